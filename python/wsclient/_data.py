"""What may be sent as a message, and what a message is received as."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterable, Callable, Hashable, Iterable, Mapping
from typing import Final, TypeAlias, TypeVar, cast

from .models import Data

T = TypeVar("T")

DATA: Final = (str, bytes, bytearray, memoryview)
"""The types of a whole message, or of a fragment."""

PLAIN: Final = frozenset((str, bytes))
"""What most messages are: isinstance takes long to find that something is not of its first type."""

Kind: TypeAlias = type[str] | type[bytes]
"""What the fragments of a message are."""

UNFINISHED: Final = "a fragmented message was not finished"
"""The reason for closing with 1011."""


def fragments(data: object) -> Iterable[Data]:
    """Check what is to be the fragments of a message."""
    kind = type(data).__name__
    if not isinstance(data, Iterable) or isinstance(data, Mapping):
        raise TypeError(f"data must be str, bytes-like or an iterable of them, not {kind}")
    return cast("Iterable[Data]", data)


def async_fragments(data: object) -> AsyncIterable[Data] | Iterable[Data]:
    """Check what is to be the fragments of a message, perhaps asynchronous."""
    return cast("AsyncIterable[Data]", data) if isinstance(data, AsyncIterable) else fragments(data)


def fragment_kind(fragment: object, kind: Kind | None) -> Kind:
    """Return what the fragments are, by this one and those before it; ``TypeError`` if it is none or another."""
    found: Kind = str if isinstance(fragment, str) else bytes
    name = type(fragment).__name__
    if not isinstance(fragment, DATA) or found is not (kind or found):
        raise TypeError(f"a message's fragments are all str or all bytes, not {name}")
    return found


def joined(pieces: Iterable[Data]) -> str | bytes:
    """Return the one message of which these are the fragments."""
    kind: Kind | None = None
    parts: list[Data] = []
    for piece in pieces:
        kind = fragment_kind(piece, kind)
        parts.append(piece)
    if kind is str:
        return "".join(cast("list[str]", parts))
    return b"".join(cast("list[bytes]", parts))


def control_payload(data: Data) -> bytes:
    """Return what a ping or pong carries."""
    return data.encode() if isinstance(data, str) else bytes(data)


def decode_as(kind: type[T], message: str | bytes) -> T:
    """Return a JSON message as an object of this type; ``msgspec.DecodeError`` if it does not fit."""
    return cast("T", _decoder(cast("Hashable", kind))(message))


@functools.lru_cache(maxsize=256)
def _decoder(kind: Hashable) -> Callable[[str | bytes], object]:
    import msgspec

    return cast("msgspec.json.Decoder[object]", msgspec.json.Decoder(kind)).decode
