"""What a connection says of itself: to the log, and its frames to ``on_frame``."""

from __future__ import annotations

import logging
import weakref
from collections.abc import MutableMapping
from typing import TYPE_CHECKING, Any

from . import _core
from ._redact import shown_url
from .exceptions import ConnectionClosed, WebSocketException
from .models import Frame, Headers, Opcode, Request, Response, Timings
from .options import ClientOptions

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter

_LOGGER = logging.getLogger("wsclient")
_OPENED, _CLOSED, _FRAMES = 8, 16, 32  # news
_BY = ("nobody", "this side", "the peer")
# Headers that are no secret, whatever is in them. Any other may be somebody's key.
_PUBLIC = frozenset(
    {
        *("connection", "content-length", "content-type", "date", "host", "origin", "retry-after", "server", "upgrade"),
        *("sec-websocket-extensions", "sec-websocket-version", "user-agent", "via"),
    }
)


class ConnectionLogger(_Adapter):
    """A logger that names the connection in front of each message."""

    def __init__(self, logger: logging.Logger | None, handle: _core.WSClient) -> None:
        super().__init__(logger or _LOGGER, {})
        self._prefix = f"#{handle.id} "

    def process(self, msg: object, kwargs: MutableMapping[str, Any]) -> tuple[str, MutableMapping[str, Any]]:
        """Put the id before the message."""
        return f"{self._prefix}{msg}", kwargs


def traced(options: ClientOptions) -> bool:
    """Whether somebody wants to know of every frame."""
    log = options.logger or _LOGGER
    return options.on_frame is not None or log.isEnabledFor(logging.DEBUG)


def watch(handle: _core.WSClient, options: ClientOptions) -> None:
    """Have what the handle does from now on told to whom it concerns, if there is anybody."""
    log = ConnectionLogger(options.logger, handle)
    frames = traced(options)
    if frames or log.isEnabledFor(logging.INFO):
        handle.watch(_Watcher(handle, options, log).tell, frames)


class _Watcher:
    """Tells the news of a native handle, which refers to it."""

    def __init__(self, handle: _core.WSClient, options: ClientOptions, log: ConnectionLogger) -> None:
        self._handle = weakref.ref(handle)
        self._on_frame = options.on_frame
        self._log = log

    def tell(self) -> None:
        """Called by who drives the connection, or waits for it, one at a time."""
        handle = self._handle()
        assert handle is not None, "it is what calls this"
        news = handle.take_news()
        if news & _OPENED:
            self._opened(handle)
        if news & _FRAMES:
            for sent, opcode, fin, rsv1, length, payload, time in handle.take_frames():
                self._frame(Frame(handle.id, sent, Opcode(opcode), fin, rsv1, length, payload, time))
        if news & _CLOSED:
            self._closed(handle)

    def _opened(self, handle: _core.WSClient) -> None:
        status = Response.parse(handle.response or b"HTTP/1.1 101").status_code
        self._log.info("opened %s: HTTP %d, %s", shown_url(handle.url), status, _shown_times(Timings(*handle.timings)))
        self._handshake(handle)

    def _handshake(self, handle: _core.WSClient) -> None:
        if not self._log.isEnabledFor(logging.DEBUG):
            return
        request = Request.parse(handle.request or b"GET / HTTP/1.1")
        self._log.debug("> GET %s, %s", shown_url(request.path), _shown_headers(request.headers))
        if handle.response:
            self._log.debug("< %s", _shown_response(handle.response))

    def _closed(self, handle: _core.WSClient) -> None:
        error = handle.error
        if isinstance(error, ConnectionClosed):
            by, _received, _sent, clean = handle.close_info
            self._log.info("closed by %s, %s: %s", _BY[by], "clean" if clean else "not clean", error)
            return
        times = error.timings if isinstance(error, WebSocketException) else None
        after = f", {_shown_times(times)}" if times else ""
        self._log.info("not opened, %s%s: %s", shown_url(handle.url), after, error)
        self._handshake(handle)

    def _frame(self, frame: Frame) -> None:
        self._log.debug("%s", frame)
        if self._on_frame is None:
            return
        try:
            self._on_frame(frame)
        except Exception:
            self._log.exception("on_frame raised")


def _shown_times(times: Timings) -> str:
    """Return the phases that there were, in milliseconds."""
    phases = {name: getattr(times, name) for name in ("resolve", "tcp", "proxy", "tls", "upgrade")}
    return ", ".join(f"{name} {seconds * 1000:.3g} ms" for name, seconds in phases.items() if seconds)


def _shown_response(head: bytes) -> str:
    try:
        response = Response.parse(head)
    except ValueError:  # nor has the engine accepted it
        return "no HTTP"
    return f"HTTP {response.status_code}, {_shown_headers(response.headers)}"


def _shown_headers(headers: Headers) -> str:
    return ", ".join(f"{name}: {value if name.lower() in _PUBLIC else '***'}" for name, value in headers.raw_items())
