"""What every chat client is, whoever drives its connection: a name, and what is made of envelopes and of failures."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, TypeVar, cast

from ._codec import check_name, decode, encode
from ._handle import new_handle
from ._log import ConnectionLogger
from .exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedOK, EnvelopeError, WebSocketException
from .models import Message, MessageInfo, User
from .options import ClientOptions

C = TypeVar("C")

FAILURES: Final = (WebSocketException, OSError, MemoryError)
"""What fails at run time, unlike wrong arguments."""


class ChatClient:
    """A name at a chat server."""

    def __init__(self, ip: str, port: str | int, username: str, url: str | None, options: ClientOptions) -> None:
        check_name(username)
        self._options = options
        self._url = _url(ip, port) if url is None else url
        self._username = username
        self._logger: logging.Logger | ConnectionLogger = options.logger or logging.getLogger("wsclient")
        self._leaving = False
        self._skipped = 0
        self._last_error: Exception | None = None
        new_handle(self._url, options)  # what is wrong with them is said now

    @property
    def username(self) -> str:
        """The name we speak by."""
        return self._username

    @property
    def last_error(self) -> Exception | None:
        """What made the last call fail, or ended the connection; ``None`` since :meth:`connect` if nothing did."""
        return self._last_error

    @property
    def skipped(self) -> int:
        """How many messages were no chat messages and were passed over."""
        return self._skipped

    def _introducing(self, send: Callable[[C, str], object]) -> ClientOptions:
        """Return the options; with ``reconnect``, such that our name is told on every opening before anything else."""
        policy = self._options.policy
        if policy is None:
            return self._options
        reference, more = weakref.ref(self), cast("Callable[[C], object] | None", policy.on_open)

        def on_open(connection: C) -> object:
            client = reference()
            if client:
                send(connection, announcement(client.username))
            return more(connection) if more else None

        hook = cast("Callable[[object], object]", on_open)
        return replace(self._options, reconnect=replace(policy, on_open=hook))

    def _envelope(self, text: str, info: MessageInfo) -> str:
        return encode(Message(text, User(self._username), info))

    def _left(self, error: Exception) -> bool:
        """Whether that is only our own leaving."""
        return self._leaving and isinstance(error, ConnectionClosed)

    def _failed(self, what: str, error: Exception) -> Literal[False]:
        if isinstance(error, ConcurrencyError):
            raise error
        self._last_error = error
        level = logging.DEBUG if isinstance(error, ConnectionClosedOK) else logging.WARNING
        self._logger.log(level, "%s: %s", what, error)
        return False

    def _parse(self, data: str | bytes) -> Message | None:
        if not isinstance(data, str):
            self._skip("a binary message")
            return None
        try:
            return decode(data)
        except EnvelopeError as error:
            self._skip(f"a text that is no chat message: {error}")
        return None

    def _text(self, data: str | bytes) -> str | None:
        if isinstance(data, str):
            return data
        self._skip("a binary message")
        return None

    def _skip(self, what: str) -> None:
        self._skipped += 1
        self._logger.warning("skipped %s", what)


def announcement(name: str) -> str:
    """Return the envelope by which a client takes a name."""
    return encode(Message("", User(name), MessageInfo.NO_BROADCAST | MessageInfo.CHANGE_USERNAME))


def _url(ip: object, port: object) -> str:
    if not isinstance(ip, str):
        raise TypeError(f"ip must be str, not {type(ip).__name__}")
    if not ip or set(ip) & set("/?#@[]\\"):
        raise ValueError(f"ip must be an address or a host's name, not {ip!r}")
    if not isinstance(port, str | int) or isinstance(port, bool):
        raise TypeError(f"port must be str or int, not {type(port).__name__}")
    digits = str(port)
    if not (digits.isascii() and digits.isdecimal()) or not 1 <= int(digits) <= 65535:
        raise ValueError(f"port must be 1 to 65535, not {port!r}")
    return f"ws://[{ip}]:{int(digits)}/" if ":" in ip else f"ws://{ip}:{int(digits)}/"
