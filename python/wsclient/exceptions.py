"""Every exception that wsclient raises; the names are those of the ``websockets`` package where it has them.

::

    WebSocketException
    ├── ConnectionClosed
    │   ├── ConnectionClosedOK
    │   └── ConnectionClosedError        also a ConnectionError
    ├── InvalidURI                       also a ValueError
    ├── InvalidProxy                     also a ValueError
    ├── TLSOptionsError                  also a ValueError
    ├── ConnectError                     also an OSError, with errno
    │   ├── ResolveError
    │   └── TLSError
    │       └── CertificateError
    ├── InvalidHandshake
    │   ├── SecurityError
    │   ├── InvalidMessage
    │   ├── InvalidStatus
    │   ├── InvalidHeader
    │   │   └── InvalidUpgrade
    │   ├── NegotiationError
    │   └── ProxyError
    │       ├── InvalidProxyMessage
    │       └── InvalidProxyStatus
    ├── ProtocolError
    │   └── InvalidData                  also a ValueError
    ├── PayloadTooBig
    ├── TooManyFragments
    ├── WebSocketTimeout                 also a TimeoutError
    │   ├── OpenTimeoutError
    │   ├── ReceiveTimeoutError
    │   ├── WriteTimeoutError
    │   ├── PingTimeoutError
    │   └── CloseTimeoutError
    ├── InvalidState                     also an AssertionError
    ├── ConcurrencyError                 also a RuntimeError
    ├── OnOpenError
    ├── MessagesLostError
    └── EnvelopeError                    also a ValueError

Wrong arguments are ``TypeError`` and ``ValueError``. What breaks an open connection is a :exc:`ConnectionClosedError`
whose ``__cause__`` says why: a :exc:`ProtocolError`, a :exc:`PayloadTooBig`, an ``OSError``. All can be pickled.
``docs/errors.md`` lists what each error of the engine becomes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypedDict

from ._redact import shown_text, shown_url
from .models import Close, Response, Timings


class WebSocketException(Exception):
    """Base of all exceptions of this package."""

    timings: Timings | None = None
    """How long each phase of opening took, where the opening failed; ``None`` elsewhere."""


class ConnectionClosed(WebSocketException):
    """The connection is closed."""

    rcvd: Close | None
    """The close frame that was received."""
    sent: Close | None
    """The close frame that was sent."""
    rcvd_then_sent: bool | None
    """Whether the peer's came first; ``None`` unless there are both."""
    detail: str
    """What broke the connection, in words; ``""`` if a closing handshake ended it."""

    def __init__(
        self, rcvd: Close | None, sent: Close | None, rcvd_then_sent: bool | None = None, detail: str = ""
    ) -> None:
        Exception.__init__(self, rcvd, sent, rcvd_then_sent, detail)  # OSError's would take them for an errno
        self.rcvd = rcvd
        self.sent = sent
        self.rcvd_then_sent = rcvd_then_sent
        self.detail = detail

    def __str__(self) -> str:
        received = f"received {self.rcvd}" if self.rcvd else "no close frame received"
        sent = f"sent {self.sent}" if self.sent else "no close frame sent"
        if self.rcvd is None and self.sent is None:
            text = "no close frame received or sent"
        elif self.rcvd is None or (self.sent and not self.rcvd_then_sent):
            text = f"{sent}; {'then ' if self.rcvd else ''}{received}"
        else:
            text = f"{received}; {'then ' if self.sent else ''}{sent}"
        return f"{text}: {self.detail}" if self.detail else text

    @property
    def code(self) -> int:
        """The close code received (RFC 6455 7.1.5), 1006 if none was."""
        return self.rcvd.code if self.rcvd else 1006

    @property
    def reason(self) -> str:
        """The close reason received, ``""`` if none was."""
        return self.rcvd.reason if self.rcvd else ""


class ConnectionClosedOK(ConnectionClosed):
    """It was closed properly: both close frames said 1000, 1001 or nothing."""


class ConnectionClosedError(ConnectionClosed, ConnectionError):
    """It was closed by an error, or broke without a closing handshake. ``__cause__`` is the error on our side."""


class InvalidURI(WebSocketException, ValueError):
    """The URL is no WebSocket URL (RFC 6455 3). ``uri`` is it without what may be secret: user, password, query."""

    def __init__(self, uri: str, msg: str) -> None:
        self.uri = shown_text(uri)
        super().__init__(self.uri, msg)
        self.msg = msg

    def __str__(self) -> str:
        return f"{self.uri} isn't a valid URI: {self.msg}"


class InvalidProxy(WebSocketException, ValueError):
    """The option ``proxy``, or the environment variable it came from, is no URL of a proxy."""


class TLSOptionsError(WebSocketException, ValueError):
    """The TLS options cannot be used: a file is missing or wrong, or there are no CA certificates to verify by."""


class ConnectError(WebSocketException, OSError):
    """The server cannot be reached. ``errno`` is the system's number for it, ``None`` if it gave none."""

    def __init__(self, errno: int | None, message: str) -> None:
        super().__init__(errno, message)

    def __str__(self) -> str:
        return str(self.strerror)


class ResolveError(ConnectError):
    """The host's name does not resolve."""


class TLSError(ConnectError):
    """TLS failed: what is spoken, the versions or the ciphers do not fit, or the stream was tampered with."""


class CertificateError(TLSError):
    """The server's certificate is not valid for the host, or not to be trusted."""


class InvalidHandshake(WebSocketException):
    """Base of what goes wrong in the opening handshake (RFC 6455 4)."""


class SecurityError(InvalidHandshake):
    """The server's response breaks a limit, such as ``max_head``, or redirects where it must not be followed."""


class InvalidMessage(InvalidHandshake):
    """The server's response is no HTTP."""


class InvalidStatus(InvalidHandshake):
    """The server refused the upgrade; see ``response.status_code``, ``response.headers`` and ``response.body``."""

    retry_after: float | None = None
    """Seconds that the server asks to wait before trying again (RFC 9110 10.2.3); ``None``: it does not say."""

    def __init__(self, response: Response) -> None:
        super().__init__(response)
        self.response = response

    def __str__(self) -> str:
        text = f"server rejected WebSocket connection: HTTP {self.response.status_code:d}"
        location = self.response.headers.get("Location")
        return f"{text} (it redirects to {shown_url(location)})" if location else text


class InvalidHeader(InvalidHandshake):
    """A header of the server's response is missing or wrong."""

    def __init__(self, name: str, value: str | None = None) -> None:
        super().__init__(name, value)
        self.name = name
        self.value = value

    def __str__(self) -> str:
        if self.value is None:
            return f"missing {self.name} header"
        return f"invalid {self.name} header: {self.value}" if self.value else f"empty {self.name} header"


class InvalidUpgrade(InvalidHeader):
    """The server's ``Upgrade`` or ``Connection`` header does not agree to WebSocket."""


class NegotiationError(InvalidHandshake):
    """The server chose a subprotocol or an extension that was not offered."""


class ProxyError(InvalidHandshake):
    """The proxy did not make the connection."""


class InvalidProxyMessage(ProxyError):
    """The proxy's response is no HTTP."""


class InvalidProxyStatus(ProxyError):
    """The proxy refused the connection; see ``response.status_code`` and ``response.headers``."""

    response: Response
    """The proxy's answer."""
    detail: str
    """Who refused what, and what to do, in words."""

    def __init__(self, response: Response, detail: str = "") -> None:
        super().__init__(response, detail)
        self.response = response
        self.detail = detail

    def __str__(self) -> str:
        return self.detail or f"proxy rejected connection: HTTP {self.response.status_code:d}"


class ProtocolError(WebSocketException):
    """The peer broke the protocol (RFC 6455 5)."""


class InvalidData(ProtocolError, ValueError):
    """Text that is not UTF-8 (RFC 6455 8.1): the peer's as a cause, the caller's directly."""


class PayloadTooBig(WebSocketException):
    """A message is larger than ``max_size``. Both in bytes; ``size`` is ``None`` where it is not known."""

    def __init__(self, size: int | None, max_size: int) -> None:
        super().__init__(size, max_size)
        self.size = size
        self.max_size = max_size

    def __str__(self) -> str:
        size = "" if self.size is None else f"with {self.size} bytes "
        return f"message {size}exceeds limit of {self.max_size} bytes"


class TooManyFragments(WebSocketException):
    """A message has more frames than ``max_fragments``."""


class WebSocketTimeout(WebSocketException, TimeoutError):
    """Base of what was not done in time."""


class OpenTimeoutError(WebSocketTimeout):
    """The connection was not open within ``open_timeout``."""


class ReceiveTimeoutError(WebSocketTimeout):
    """No message came within the call's ``timeout``. The connection goes on."""


class WriteTimeoutError(WebSocketTimeout):
    """The peer did not take a message within ``write_timeout``. Nothing of it was sent and the connection goes on."""


class PingTimeoutError(WebSocketTimeout):
    """No pong came within ``ping_timeout``.

    Raised by ``ping()`` the connection goes on. As the cause of a :exc:`ConnectionClosedError` it has ended: for that
    long nothing at all came.
    """


class CloseTimeoutError(WebSocketTimeout):
    """The peer did not finish the closing handshake within ``close_timeout``; the connection was broken off."""


class InvalidState(WebSocketException, AssertionError):
    """The connection's state does not allow it, such as sending before connecting."""


class ConcurrencyError(WebSocketException, RuntimeError):
    """Another call is using the connection, such as two threads receiving."""


class OnOpenError(WebSocketException):
    """What the program does on opening has failed, and reconnecting was given up (docs/reconnecting.md)."""


class MessagesLostError(WebSocketException):
    """Messages that were accepted were given up: they may not have arrived (docs/reconnecting.md)."""

    messages: list[str | bytes]
    """What they were."""

    def __init__(self, messages: list[str | bytes]) -> None:
        super().__init__(messages)
        self.messages = messages

    def __str__(self) -> str:
        return f"{len(self.messages)} messages were given up that may not have arrived"


class EnvelopeError(WebSocketException, ValueError):
    """A text is no chat envelope (docs/protocol.md)."""


class CoreDetails(TypedDict):
    """What the engine knows of a failure besides its name and words; 0 and ``None`` where a part does not apply."""

    opened: bool
    url: str
    os_error: int
    http_status: int
    size: int
    max_size: int
    response: bytes | None
    received: tuple[int, str] | None
    sent: tuple[int, str] | None
    by: int
    closed: bool
    timings: tuple[float, float, float, float, float] | None
    body: bytes
    retry_after: int


ERRORS: dict[str, type[Exception]] = {
    "MEMORY": MemoryError,
    "ARGUMENT": ValueError,
    "STATE": InvalidState,
    "CONCURRENCY": ConcurrencyError,
    "INTERRUPTED": InterruptedError,
    "QUEUE_FULL": BlockingIOError,
    "URL": InvalidURI,
    "PROXY_URL": InvalidProxy,
    "TLS_OPTIONS": TLSOptionsError,
    "SYSTEM": OSError,
    "RESOLVE": ResolveError,
    "CONNECT": ConnectError,
    "OPEN_TIMEOUT": OpenTimeoutError,
    "RECEIVE_TIMEOUT": ReceiveTimeoutError,
    "WRITE_TIMEOUT": WriteTimeoutError,
    "PING_TIMEOUT": PingTimeoutError,
    "CLOSE_TIMEOUT": CloseTimeoutError,
    "HTTP": InvalidMessage,
    "HEAD_TOO_BIG": SecurityError,
    "STATUS": InvalidStatus,
    "UPGRADE": InvalidUpgrade,
    "ACCEPT": InvalidHeader,
    "HEADER": InvalidHandshake,
    "SUBPROTOCOL": NegotiationError,
    "EXTENSION": NegotiationError,
    "REDIRECT": SecurityError,
    "PROTOCOL": ProtocolError,
    "UTF8": InvalidData,
    "TOO_BIG": PayloadTooBig,
    "TOO_MANY_FRAGMENTS": TooManyFragments,
    "CLOSED": ConnectionClosed,
    "LOST": ConnectionClosedError,
    "TLS": TLSError,
    "CERTIFICATE": CertificateError,
    "PROXY": ProxyError,
    "PROXY_HTTP": InvalidProxyMessage,
    "PROXY_STATUS": InvalidProxyStatus,
    "ON_OPEN": OnOpenError,
    "ENVELOPE": EnvelopeError,
    "USERNAME": ValueError,
}
"""The exception of each error in the table of ``wsclient.h``."""

_LIVES_ON = {
    *("ARGUMENT", "STATE", "CONCURRENCY", "INTERRUPTED", "QUEUE_FULL", "URL", "PROXY_URL"),
    *("RECEIVE_TIMEOUT", "ENVELOPE", "USERNAME"),
}
"""Errors of one call, which never are what broke the connection."""


def from_core(name: str, message: str, details: CoreDetails) -> BaseException:
    """Make the exception for an error of the engine: its name in the C table, its words, and what is known of it."""
    if name == "CLOSED":
        return _closed(details)
    make = _MAKERS.get(name)
    error = make(message, details) if make else ERRORS.get(name, WebSocketException)(message)
    if isinstance(error, WebSocketException) and details["timings"] and not details["opened"]:
        error.timings = Timings(*details["timings"])
    if not (details["opened"] and details["closed"]) or name in _LIVES_ON:
        return error
    closed = ConnectionClosedError(*_close_frames(details), message)
    closed.__cause__ = error
    return closed


def _close_frames(details: CoreDetails) -> tuple[Close | None, Close | None, bool | None]:
    rcvd = Close(*details["received"]) if details["received"] else None
    sent = Close(*details["sent"]) if details["sent"] else None
    return rcvd, sent, details["by"] == 2 if rcvd and sent else None


def _closed(details: CoreDetails) -> ConnectionClosed:
    rcvd, sent, rcvd_then_sent = _close_frames(details)
    fine = rcvd and sent and {rcvd.code, sent.code} <= {1000, 1001, 1005}
    return (ConnectionClosedOK if fine else ConnectionClosedError)(rcvd, sent, rcvd_then_sent)


def _system(message: str, details: CoreDetails) -> Exception:
    """An ``OSError`` of the kind that Python has for the number."""
    if not details["opened"]:
        return ConnectError(details["os_error"] or None, message)
    return OSError(details["os_error"], message) if details["os_error"] else OSError(message)


def _url(message: str, details: CoreDetails) -> InvalidURI:
    """The message names the URL before what is wrong with it."""
    return InvalidURI(details["url"], message.rpartition(": ")[2])


def _lost(message: str, details: CoreDetails) -> Exception:
    if details["opened"]:
        return _system(message, details) if details["os_error"] else EOFError(message)
    return InvalidMessage(message)


def _status(message: str, details: CoreDetails) -> InvalidStatus:
    head = details["response"]
    error = InvalidStatus(Response.parse(head, details["body"]) if head else Response(details["http_status"]))
    if details["retry_after"] >= 0:
        error.retry_after = details["retry_after"]
    return error


def _proxy_status(message: str, details: CoreDetails) -> InvalidProxyStatus:
    head = details["response"]
    return InvalidProxyStatus(Response.parse(head) if head else Response(details["http_status"]), message)


def _accept(message: str, details: CoreDetails) -> InvalidHeader:
    headers = Response.parse(details["response"] or b"HTTP/1.1 101").headers
    return InvalidHeader("Sec-WebSocket-Accept", headers.get("Sec-WebSocket-Accept"))


def _upgrade(message: str, details: CoreDetails) -> InvalidUpgrade:
    headers = Response.parse(details["response"] or b"HTTP/1.1 101").headers
    name = "Connection" if headers.get("Upgrade", "").lower() == "websocket" else "Upgrade"
    return InvalidUpgrade(name, headers.get(name))


_MAKERS: dict[str, Callable[[str, CoreDetails], Exception]] = {
    "URL": _url,
    "SYSTEM": _system,
    "RESOLVE": lambda message, details: ResolveError(details["os_error"] or None, message),
    "TLS": lambda message, details: TLSError(details["os_error"] or None, message),
    "CERTIFICATE": lambda message, details: CertificateError(None, message),
    "PROXY_STATUS": _proxy_status,
    "CONNECT": lambda message, details: ConnectError(details["os_error"] or None, message),
    "STATUS": _status,
    "UPGRADE": _upgrade,
    "ACCEPT": _accept,
    "TOO_BIG": lambda message, details: PayloadTooBig(details["size"] or None, details["max_size"]),
    "LOST": _lost,
}
"""How to make those exceptions that carry more than words."""
