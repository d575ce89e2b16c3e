"""wsclient: a WebSocket client (RFC 6455) with one engine in C below every way to use it.

:func:`connect` talks to any WebSocket server; :class:`WSClient` speaks the chat protocol of docs/protocol.md.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

try:
    from . import _core as _core
except ImportError as _error:
    from importlib.machinery import EXTENSION_SUFFIXES
    from pathlib import Path

    _path = Path(__file__).with_name("_core" + EXTENSION_SUFFIXES[0])
    raise ImportError(f'wsclient._core not found at {_path}: run "make" or "pip install ."') from _error

from .connection import Connection, connect
from .exceptions import (
    CertificateError,
    CloseTimeoutError,
    ConcurrencyError,
    ConnectError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    EnvelopeError,
    InvalidData,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    InvalidState,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    MessagesLostError,
    NegotiationError,
    OnOpenError,
    OpenTimeoutError,
    PayloadTooBig,
    PingTimeoutError,
    ProtocolError,
    ProxyError,
    ReceiveTimeoutError,
    ResolveError,
    SecurityError,
    TLSError,
    TLSOptionsError,
    TooManyFragments,
    WebSocketException,
    WebSocketTimeout,
    WriteTimeoutError,
)
from .models import (
    BytesLike,
    Close,
    CloseInfo,
    Data,
    Frame,
    Headers,
    Message,
    MessageEvent,
    MessageInfo,
    Opcode,
    Request,
    Response,
    State,
    Stats,
    Timings,
    User,
)
from .options import ClientOptions, DeflateOptions, __version__
from .reconnect import ReconnectPolicy
from .tls import TLSInfo, TLSOptions
from .ws_client import JsonCallback, RawCallback, WSClient

if _TYPE_CHECKING:
    from . import aio
    from .aio import AsyncConnection
    from .async_ws_client import AsyncWSClient

__all__ = [
    "AsyncConnection",
    "AsyncWSClient",
    "BytesLike",
    "CertificateError",
    "ClientOptions",
    "Close",
    "CloseInfo",
    "CloseTimeoutError",
    "ConcurrencyError",
    "ConnectError",
    "Connection",
    "ConnectionClosed",
    "ConnectionClosedError",
    "ConnectionClosedOK",
    "Data",
    "DeflateOptions",
    "EnvelopeError",
    "Frame",
    "Headers",
    "InvalidData",
    "InvalidHandshake",
    "InvalidHeader",
    "InvalidMessage",
    "InvalidProxy",
    "InvalidProxyMessage",
    "InvalidProxyStatus",
    "InvalidState",
    "InvalidStatus",
    "InvalidURI",
    "InvalidUpgrade",
    "JsonCallback",
    "Message",
    "MessageEvent",
    "MessageInfo",
    "MessagesLostError",
    "NegotiationError",
    "OnOpenError",
    "Opcode",
    "OpenTimeoutError",
    "PayloadTooBig",
    "PingTimeoutError",
    "ProtocolError",
    "ProxyError",
    "RawCallback",
    "ReceiveTimeoutError",
    "ReconnectPolicy",
    "Request",
    "ResolveError",
    "Response",
    "SecurityError",
    "State",
    "Stats",
    "TLSError",
    "TLSInfo",
    "TLSOptions",
    "TLSOptionsError",
    "Timings",
    "TooManyFragments",
    "User",
    "WSClient",
    "WebSocketException",
    "WebSocketTimeout",
    "WriteTimeoutError",
    "__version__",
    "aio",
    "connect",
]

_NEEDS_ASYNCIO = {"aio": "aio", "AsyncConnection": "aio", "AsyncWSClient": "async_ws_client"}


def __getattr__(name: str) -> object:
    """Import what needs asyncio when it is asked for: that takes longer than all the rest."""
    if name not in _NEEDS_ASYNCIO:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = _import_module(f".{_NEEDS_ASYNCIO[name]}", __name__)
    return module if name == _NEEDS_ASYNCIO[name] else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_NEEDS_ASYNCIO})
