"""What every connection shows of itself, whoever drives it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from . import _core
from ._callbacks import NO_CALLBACKS, Callbacks
from ._log import ConnectionLogger
from ._session import Session
from .exceptions import ConnectionClosedError
from .models import CloseInfo, Request, Response, State, Stats, Timings
from .options import ClientOptions
from .tls import TLSInfo


class BaseConnection:
    """A native handle, looked at, and its callbacks. Nothing here waits."""

    def __init__(
        self,
        handle: _core.WSClient,
        options: ClientOptions,
        callbacks: Callbacks = NO_CALLBACKS,
        session: Session | None = None,
    ) -> None:
        self._handle = handle
        self._callbacks = callbacks
        self._session = session
        self._ping_timeout = options.ping_timeout
        self._given_logger = options.logger

    def __repr__(self) -> str:
        return f"<wsclient.{type(self).__name__} #{self.id} {self.state.name} to {self.remote_address}>"

    @property
    def _logger(self) -> ConnectionLogger:
        return ConnectionLogger(self._given_logger, self._handle)

    @property
    def id(self) -> int:
        """A number that no other connection of this process has; it stands in the log, too."""
        return self._handle.id

    def fileno(self) -> int:
        """Return the socket's descriptor, -1 once it is closed."""
        return self._handle.fileno()

    def stats(self) -> Stats:
        """Count what went over the connection so far, and what waits."""
        return stats_of(self._handle)

    @property
    def state(self) -> State:
        """What the connection is doing."""
        return State(self._handle.state)

    @property
    def close_info(self) -> CloseInfo | None:
        """Who closed, how and why; ``None`` until the connection is closed."""
        if self.state is not State.CLOSED:
            return None
        by, received, _sent, clean = self._handle.close_info
        code, reason = received or (1006, "")
        sides: tuple[Literal["local", "remote"] | None, ...] = (None, "local", "remote")
        lost = self._session.collect() if self._session else 0
        return CloseInfo(sides[by], code, reason, clean, lost)

    @property
    def close_code(self) -> int | None:
        """The peer's close code (RFC 6455 7.1.5), 1006 if it sent none; ``None`` until the connection is closed."""
        return self.close_info.code if self.close_info else None

    @property
    def close_reason(self) -> str | None:
        """The peer's reason for closing (RFC 6455 7.1.6); ``None`` until the connection is closed."""
        return self.close_info.reason if self.close_info else None

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol the server chose, ``None`` for none (RFC 6455 1.9)."""
        return self._handle.subprotocol

    @property
    def extensions(self) -> tuple[str, ...]:
        """The extensions in use, with their parameters, as the server named them (RFC 6455 9.1)."""
        return tuple(self.response.headers.get_all("Sec-WebSocket-Extensions"))

    @property
    def request(self) -> Request:
        """The opening handshake's HTTP request."""
        return Request.parse(self._handle.request or b"")

    @property
    def response(self) -> Response:
        """The opening handshake's HTTP response."""
        return Response.parse(self._handle.response or b"")

    @property
    def timings(self) -> Timings:
        """How long each phase of opening took."""
        return timings_of(self._handle)

    @property
    def tls(self) -> TLSInfo | None:
        """What TLS with the server agreed on; ``None`` without TLS."""
        info = self._handle.tls
        if info is None:
            return None
        version, cipher, alpn, resumed, certificate = info
        return TLSInfo(version, cipher, alpn or None, resumed, certificate)

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Our IP address and port, ``None`` once the socket is closed, and of a unix socket."""
        return self._handle.local_address

    @property
    def remote_address(self) -> tuple[str, int] | None:
        """The IP address and port we are connected to (a proxy's, if there is one); ``None`` as above."""
        return self._handle.remote_address

    @property
    def latency(self) -> float:
        """The last round trip of a ping in seconds, 0 before the first."""
        return self._handle.latency

    def _or_ping_timeout(self, timeout: float | None) -> float | None:
        return self._ping_timeout if timeout is None else timeout

    def _end(self) -> None:
        """Tell the callbacks of the end."""
        error = self._handle.error
        if isinstance(error, ConnectionClosedError) and self._callbacks.on_error:
            self._call(self._callbacks.on_error, error)
        if self._callbacks.on_close:
            self._call(self._callbacks.on_close, self.close_info)

    def _call(self, callback: Callable[..., object], argument: object) -> None:
        try:
            callback(self, argument)
        except Exception as error:
            self._report(error)

    def _report(self, error: Exception) -> None:
        """Log what a callback raised, and hand it to on_error."""
        self._logger.error("a callback raised", exc_info=error)
        if self._callbacks.on_error:
            try:
                self._callbacks.on_error(self, error)
            except Exception:
                self._logger.exception("on_error raised")


def timings_of(handle: _core.WSClient) -> Timings:
    """Return how long each phase of opening took."""
    return Timings(*handle.timings)


def stats_of(handle: _core.WSClient) -> Stats:
    """Count what went over the connection of this handle."""
    return Stats(**handle.counters(), timings=timings_of(handle))
