"""Every option of a connection, with its default and unit."""

from __future__ import annotations

import logging
import os
import platform
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from http.cookiejar import CookieJar
from typing import Final, Literal, TypeAlias, cast

from ._checks import check_callback, check_count, check_instance, check_timeout
from .models import Frame
from .reconnect import ReconnectPolicy
from .tls import PathLike, TLSOptions, check_tls

_DEFAULT = ReconnectPolicy()
__version__ = "0.1.0"

HeadersLike: TypeAlias = Mapping[str, str] | Sequence[tuple[str, str]]
"""Headers as a mapping, or as pairs where a name is repeated."""

SocketOptions: TypeAlias = Sequence[tuple[int, int, int | bytes]]
"""Calls of ``setsockopt``: level, name and value of each."""

Cookies: TypeAlias = Mapping[str, str] | CookieJar
"""Cookies to send: names and values, or a jar, which also keeps those that the server sets."""

BearerToken: TypeAlias = str | Callable[[], str]
"""A token, or what is asked for one at each attempt to connect."""

QueuePolicy: TypeAlias = Literal["block", "drop_oldest"]
"""What becomes of messages that nobody receives; see docs/options.md."""

USER_AGENT = f"Python/{'.'.join(platform.python_version_tuple()[:2])} wsclient/{__version__}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeflateOptions:
    """How to compress with permessage-deflate (RFC 7692), for the option ``compression``.

    A window has 2 to the power of its bits in bytes, and is held in memory for each direction; without context takeover
    only while a message is on its way, but messages that resemble one another then compress less well. The server may
    choose smaller windows and to do without its context. Raises ``TypeError`` or ``ValueError``.
    """

    server_max_window_bits: int = 12
    """Window of what the server sends, 9 to 15 (RFC 7692 7.1.2.1)."""
    client_max_window_bits: int = 12
    """Window of what we send, 9 to 15 (RFC 7692 7.1.2.2)."""
    server_no_context_takeover: bool = False
    """Ask the server to compress every message by itself (RFC 7692 7.1.1.1)."""
    client_no_context_takeover: bool = False
    """Compress every message by itself (RFC 7692 7.1.1.2)."""
    threshold: int = 256
    """Bytes below which a message is not compressed unless ``compress=True`` asks for it."""

    def __post_init__(self) -> None:
        for name in ("server_max_window_bits", "client_max_window_bits"):
            check_count(name, getattr(self, name), 16, 9)
        for name in ("server_no_context_takeover", "client_no_context_takeover"):
            check_instance(name, getattr(self, name), bool)
        check_count("threshold", self.threshold, 2**31, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientOptions:
    """How to connect: each is a keyword of :func:`wsclient.connect` and :class:`wsclient.WSClient`.

    Times are in seconds, sizes in bytes. Raises ``TypeError`` or ``ValueError``, naming the option.
    """

    additional_headers: HeadersLike | None = field(default=None, repr=False)
    """HTTP headers sent with the opening handshake, besides its own."""
    origin: str | None = None
    """The ``Origin`` header (RFC 6454); ``None``: no header."""
    subprotocols: Sequence[str] | None = None
    """Subprotocols offered, in order of preference (RFC 6455 1.9)."""
    user_agent_header: str | None = USER_AGENT
    """The ``User-Agent`` header; ``None``: no header."""
    cookies: Cookies | None = field(default=None, repr=False)
    """Cookies for the server (RFC 6265). A ``http.cookiejar.CookieJar`` also takes those that the server sets."""
    bearer_token: BearerToken | None = field(default=None, repr=False)
    """Send ``Authorization: Bearer`` with this token (RFC 6750); a callable is asked for it at each attempt."""
    max_redirects: int = 10
    """Redirects to follow; 0: none. Never from ``wss`` to ``ws``; credentials and cookies stay with the URL's host."""
    open_timeout: float | None = 10
    """Seconds for resolving, connecting and upgrading together; ``None``: no limit."""
    ping_interval: float | None = 20
    """Seconds without anything from the server after which it is pinged (RFC 6455 5.5.2); ``None``: never."""
    ping_timeout: float | None = 20
    """Seconds without anything after that which end the connection; ``ping()`` waits as long. ``None``: no limit."""
    close_timeout: float | None = 10
    """Seconds for the closing handshake (RFC 6455 7); then the connection is broken off. ``None``: no limit."""
    write_timeout: float | None = 30
    """Seconds for writing one message to a peer that does not read; ``None``: no limit."""
    max_size: int | None = 2**20
    """Bytes of a message received; a larger one closes the connection with 1009. ``None``: no limit."""
    max_fragments: int = 131072
    """Frames of a message received."""
    max_head: int = 65536
    """Bytes of the head of the server's HTTP response."""
    write_limit: int = 32768
    """Bytes waiting to be written beyond which sending waits."""
    max_queue: int | None = 16
    """Messages handed to callbacks at a time, and kept with ``queue_policy="drop_oldest"``. ``None``: no limit."""
    max_buffer: int = 2**24
    """Bytes of messages that wait to be received, bookkeeping included, at most."""
    queue_policy: QueuePolicy = "block"
    """When no more may wait: ``"block"`` reads no more, ``"drop_oldest"`` drops what has waited longest."""
    compression: Literal["deflate"] | DeflateOptions | None = "deflate"
    """Offer compression by permessage-deflate (RFC 7692), on the terms of :class:`DeflateOptions`; ``None``: do not."""
    tls: TLSOptions | None = None
    """How to secure ``wss://``; ``None``: the defaults of :class:`~wsclient.TLSOptions`."""
    server_hostname: str | None = None
    """Name that the server's certificate must be valid for and that it is asked for (SNI); ``None``: the URL's host."""
    proxy: str | Literal[True] | None = field(default=True, repr=False)
    """URL of an HTTP or SOCKS proxy (docs/proxies.md); ``True``: what the environment says; ``None``: none."""
    proxy_tls: TLSOptions | None = None
    """How to secure the connection to an ``https://`` proxy; ``None``: the defaults."""
    unix: PathLike | None = None
    """Connect to this unix socket; the URL's host is only named to the server."""
    local_addr: tuple[str, int] | None = None
    """IP address and port to connect from; port 0: any."""
    socket_options: SocketOptions | None = None
    """Calls of ``setsockopt`` before connecting: level, name and value of each."""
    reconnect: bool | ReconnectPolicy | None = None
    """Outlive the loss of the connection, and how; ``True``: by :class:`~wsclient.ReconnectPolicy`'s defaults."""
    on_frame: Callable[[Frame], object] | None = None
    """Called with each frame that is sent or received, soon after it was; see docs/seeing_inside.md."""
    logger: logging.Logger | None = None
    """Where events and warnings go; ``None``: the logger ``wsclient``."""

    def __post_init__(self) -> None:
        for name, default, check in _CHECKS:
            value = getattr(self, name)
            if value is not default:
                check(name, value)
        if self.bearer_token is not None and _has_header(self.additional_headers, "authorization"):
            raise ValueError("bearer_token and a header Authorization exclude each other")

    @property
    def policy(self) -> ReconnectPolicy | None:
        """How to reconnect, ``None``: not."""
        return self.reconnect if isinstance(self.reconnect, ReconnectPolicy) else _DEFAULT if self.reconnect else None


def header_items(headers: HeadersLike | None) -> list[tuple[str, str]]:
    """Return ``additional_headers`` as pairs; ``TypeError`` if they are not names and values."""
    check_instance("additional_headers", headers, Mapping if isinstance(headers, Mapping) else Sequence)
    items: list[object] = list(headers.items() if isinstance(headers, Mapping) else headers or ())
    pairs: list[tuple[str, str]] = []
    for item in items:
        match item:
            case (str(name), str(value)):
                pairs.append((name, value))
            case _:
                raise TypeError("additional_headers must be a mapping of str to str, or pairs of str")
    return pairs


def _has_header(headers: HeadersLike | None, name: str) -> bool:
    return any(key.lower() == name for key, _ in header_items(headers))


def _check_headers(_: str, value: object) -> None:
    header_items(cast("HeadersLike", value))


def _check_text(name: str, value: object) -> None:
    check_instance(name, value, str)


def _check_token(name: str, value: object) -> None:
    if not callable(value):
        check_instance(name, value, str)


def _check_logger(name: str, value: object) -> None:
    check_instance(name, value, logging.Logger)


def _check_path(name: str, value: object) -> None:
    check_instance(name, value, str if isinstance(value, str) else os.PathLike)


def _check_reconnect(_: str, value: object) -> None:
    if not isinstance(value, bool | ReconnectPolicy | None):
        raise TypeError("reconnect must be bool, ReconnectPolicy or None")


def _count(limit: int, least: int = 1, none: bool = False) -> Callable[[str, object], None]:
    """A check of a number, which may be ``none``, too."""

    def check(name: str, value: object) -> None:
        if value is not None or not none:
            check_count(name, value, limit, least)

    return check


def _check_subprotocols(_: str, value: object) -> None:
    items: object = () if value is None else value
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise TypeError(f"subprotocols must be a sequence of str, not {type(items).__name__}")
    for item in cast("Sequence[object]", items):
        if not isinstance(item, str):
            raise TypeError(f"subprotocols must be str, not {type(item).__name__}")


def _check_queue_policy(_: str, value: object) -> None:
    if not isinstance(value, str):
        raise TypeError(f"queue_policy must be a str, not {type(value).__name__}")
    if value not in ("block", "drop_oldest"):
        raise ValueError('queue_policy must be "block" or "drop_oldest"')


def _check_compression(_: str, value: object) -> None:
    if value not in (None, "deflate") and not isinstance(value, DeflateOptions):
        raise TypeError('compression must be "deflate", DeflateOptions or None')


def _check_cookies(_: str, value: object) -> None:
    if value is None or isinstance(value, CookieJar):
        return
    if not isinstance(value, Mapping):
        raise TypeError(f"cookies must be a mapping of str to str, or a CookieJar, not {type(value).__name__}")
    for name, text in cast("Mapping[object, object]", value).items():
        if not isinstance(name, str) or not isinstance(text, str):
            raise TypeError("cookies must be of str")
        if not _COOKIE_NAME.fullmatch(name) or not _COOKIE_VALUE.fullmatch(text):
            raise ValueError(f"cookies: {name!r} has a name or a value that no cookie can have (RFC 6265 4.1.1)")


_COOKIE_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_COOKIE_VALUE = re.compile(r'"[!#-+\--:<-\[\]-~]*"|[!#-+\--:<-\[\]-~]*')


def _check_proxy(_: str, value: object) -> None:
    if value is not None and value is not True and not isinstance(value, str):
        raise TypeError(f"proxy must be a URL, True or None, not {type(value).__name__}")


def _check_local_addr(_: str, value: object) -> None:
    match value:
        case None | (str(), int()):
            return
        case _:
            raise TypeError("local_addr must be an IP address and a port: (str, int)")


def _check_socket_options(_: str, value: object) -> None:
    items: object = () if value is None else value
    if isinstance(items, str) or not isinstance(items, Sequence):
        raise TypeError(f"socket_options must be a sequence, not {type(items).__name__}")
    for item in cast("Sequence[object]", items):
        match item:
            case (int(), int(), int() | bytes()):
                continue
            case _:
                raise TypeError("socket_options must be of (level, name, value), the value int or bytes")


_CHECK: Final[dict[str, Callable[[str, object], None]]] = {
    "additional_headers": _check_headers,
    "origin": _check_text,
    "user_agent_header": _check_text,
    "cookies": _check_cookies,
    "bearer_token": _check_token,
    "max_redirects": _count(2**31, 0),
    "on_frame": check_callback,
    "logger": _check_logger,
    "subprotocols": _check_subprotocols,
    "open_timeout": check_timeout,
    "ping_interval": check_timeout,
    "ping_timeout": check_timeout,
    "close_timeout": check_timeout,
    "write_timeout": check_timeout,
    "max_size": _count(2**63, none=True),
    "max_fragments": _count(2**32),
    "max_head": _count(2**32),
    "write_limit": _count(2**32),
    "max_queue": _count(2**32, none=True),
    "max_buffer": _count(2**63),
    "queue_policy": _check_queue_policy,
    "compression": _check_compression,
    "tls": check_tls,
    "proxy_tls": check_tls,
    "server_hostname": _check_text,
    "proxy": _check_proxy,
    "unix": _check_path,
    "local_addr": _check_local_addr,
    "socket_options": _check_socket_options,
    "reconnect": _check_reconnect,
}
_CHECKS: Final = tuple((field.name, field.default, _CHECK[field.name]) for field in fields(ClientOptions))
"""Of each option: its name, its default, which is right, and the check of anything else."""
