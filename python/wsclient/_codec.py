"""The chat envelope (docs/protocol.md): JSON text <-> Message. The same verdicts as ``ws_envelope_parse`` in C.

The native module reads what is written plainly: the known members, each once, without escapes. Any other text in which
no string, number or nesting can be out of bounds is parsed by msgspec, or where that does not load by the standard
``json``. A regular expression tells; the rest takes the standard parser with its hooks, which see every value, those of
repeated members too. One set of checks follows for all.
"""

from __future__ import annotations

import functools
import importlib
import json
import math
import re
import sys
from collections.abc import Callable
from typing import cast

from . import _core
from .exceptions import EnvelopeError
from .models import Message, MessageInfo, User

MAX_NAME = 128
"""Bytes of a user name."""
MAX_DEPTH = 64
"""Nesting of objects and arrays."""

_SUSPECT = re.compile(r"\\u(?:0000|[dD][89a-fA-F])|[0-9]{19}|[0-9][eE]\+?[0-9]{3}")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def encode(message: Message) -> str:
    """Write the envelope of a message."""
    body = {"text": message.text, "text_len": message.text_len, "info": int(message.info)}
    return _dumps()({"user": {"name": message.user.name}, "message": body})


_read_plain = _core.envelope_reader(Message, User, MessageInfo)


def decode(text: str) -> Message:
    """Read an envelope; :exc:`~wsclient.exceptions.EnvelopeError` says what is malformed."""
    return _read_plain(text) or decode_any(text)


def decode_any(text: str) -> Message:
    """Do the same by a JSON library, whatever the text is."""
    if text.count("{") + text.count("[") > MAX_DEPTH and _depth(text) > MAX_DEPTH:
        raise EnvelopeError(f"nested deeper than {MAX_DEPTH}")
    try:
        parsed = _loads_strictly(text) if _SUSPECT.search(text) else _loads()(text)
    except (ValueError, RecursionError) as exc:
        raise EnvelopeError(f"not JSON that an envelope may have: {exc}") from None
    envelope = _object(parsed, "the envelope")
    user = _object(envelope.get("user"), "user")
    message = _object(envelope.get("message"), "message")
    _integer(message.get("text_len", 0), "message.text_len")
    info = _integer(message.get("info", 0), "message.info")
    if not 0 <= info < 2**31:
        raise EnvelopeError("message.info is not 0 to 2**31 - 1")
    try:
        name, body = _string(user.get("name"), "user.name"), _string(message.get("text"), "message.text")
        return Message(body, User(name), MessageInfo(info))
    except ValueError as exc:
        raise EnvelopeError(str(exc)) from None


def check_name(name: str) -> None:
    """Check a user name: 1 to 128 bytes of UTF-8 without control characters. ``TypeError``, ``ValueError``."""
    User(name)
    if not 1 <= len(name.encode()) <= MAX_NAME:
        raise ValueError(f"a user name has 1 to {MAX_NAME} bytes of UTF-8, not {len(name.encode())}")
    if _CONTROL.search(name):
        raise ValueError("a user name has no control characters")


def _object(value: object, what: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise EnvelopeError(f"{what} is missing or no object")
    return cast("dict[str, object]", value)


def _string(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise EnvelopeError(f"{what} is missing or no string")
    return value


def _integer(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise EnvelopeError(f"{what} is no integer")
    return value


def _depth(text: str) -> int:
    depth = deepest = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        deepest = max(deepest, depth)
    return deepest


def _has_msgspec() -> bool:
    """Whether it loads (not in sub-interpreters), and leaves the GIL off where that is off (from 3.14 on)."""
    gil = getattr(sys, "_is_gil_enabled", None)
    if sys.version_info < (3, 14) and gil and not gil():
        return False
    try:
        importlib.import_module("msgspec")
    except ImportError:
        return False
    return True


@functools.cache
def _loads() -> Callable[[str], object]:
    if not _has_msgspec():
        return functools.partial(json.loads, parse_constant=_refuse_constant)
    import msgspec

    return msgspec.json.Decoder().decode


@functools.cache
def _dumps() -> Callable[[object], str]:
    if not _has_msgspec():
        return json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    import msgspec

    encoder = msgspec.json.Encoder()
    return lambda value: encoder.encode(value).decode()


def _loads_strictly(text: str) -> object:
    return cast(
        object,
        json.loads(
            text,
            object_pairs_hook=_checked_object,
            parse_int=_checked_int,
            parse_float=_checked_float,
            parse_constant=_refuse_constant,
        ),
    )


def _checked_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    _check_strings(pairs)
    return dict(pairs)


def _check_strings(value: object) -> None:
    """Look into strings and arrays; objects inside have been through here before."""
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("a string contains NUL")
        value.encode()  # UnicodeEncodeError for a lone surrogate
    elif isinstance(value, list | tuple):
        for item in cast("list[object]", value):
            _check_strings(item)


def _checked_int(digits: str) -> int:
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError("an integer is out of bounds")
    return int(digits)


def _checked_float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("a number is out of bounds")
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")
