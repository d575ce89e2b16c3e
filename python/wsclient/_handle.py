"""From a URL and options to the native handle."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from http.cookiejar import CookieJar
from typing import Literal, TypedDict, cast
from urllib.parse import quote, urlsplit, urlunsplit

from . import _core
from ._cookies import cookie_header, keep_cookies
from ._log import watch
from .exceptions import InvalidURI
from .options import ClientOptions, DeflateOptions, header_items
from .tls import TLSOptions

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_DEFAULTS: CoreTLS = {"min_version": _VERSIONS["TLSv1.2"]}  # of TLSOptions, where the engine does not have them


class CoreTLS(TypedDict, total=False):
    """wsTls of the C API, the same defaults: numbers 0, strings none."""

    ca_file: bytes | None
    ca_path: bytes | None
    ca_data: str | None
    system_ca_file: str | None
    cert_file: bytes | None
    key_file: bytes | None
    key_password: str | bytes | None
    alpn: str | None
    ciphers: str | None
    ciphersuites: str | None
    pins: str | None
    keylog_file: bytes | None
    min_version: int
    max_version: int
    insecure: int
    no_resumption: int


class CoreReconnect(TypedDict, total=False):
    """wsReconnect of the C API, the same defaults. Times are in seconds, ``None`` for none."""

    initial_delay: float
    max_delay: float
    max_time: float | None
    max_attempts: int
    steady_after: float
    at_most_once: int
    outbox_messages: int
    outbox_bytes: int
    greeting: Sequence[tuple[bool, str | bytes]]
    """Whether it is text, and what."""
    asks: int
    ask_timeout: float | None


class CoreCounters(TypedDict):
    """ws_counters of the engine: :class:`~wsclient.Stats` but for the timings."""

    messages_sent: int
    messages_received: int
    messages_dropped: int
    messages_waiting: int
    bytes_waiting: int
    frames_sent: int
    frames_received: int
    bytes_sent: int
    bytes_received: int
    bytes_queued: int
    pings_received: int
    pongs_received: int
    latency: float
    ping_p50: float
    ping_p90: float
    ping_p99: float
    frames_missed: int
    reconnects: int
    outbox_messages: int
    outbox_bytes: int


class CoreOptions(TypedDict, total=False):
    """wsOptions of the C API, the same defaults. Times are in seconds, ``None`` for none."""

    headers: Sequence[tuple[str, str]]
    origin: str | None
    subprotocols: Sequence[str]
    max_redirects: int
    user_agent: str | None
    """``None``: the default, ``""``: no header."""
    open_timeout: float | None
    ping_interval: float | None
    ping_timeout: float | None
    close_timeout: float | None
    write_timeout: float | None
    max_size: int | None
    max_fragments: int
    max_head: int
    write_limit: int
    max_queue: int | None
    max_buffer: int
    queue_policy: int
    """0: block, 1: drop the oldest."""
    deflate: tuple[int, int, bool, bool, int] | None
    """Window bits of server and client, "no context takeover" of both, the threshold; ``None``: not offered."""
    tls: CoreTLS
    server_hostname: str | None
    proxy: str | None
    """``None``: what the environment says, ``""``: none."""
    proxy_tls: CoreTLS
    unix: bytes | None
    local_address: tuple[str, int] | None
    socket_options: Sequence[tuple[int, int, int | bytes]]
    reconnect: CoreReconnect | None


def open_handle(handle: _core.WSClient, options: ClientOptions) -> None:
    """Connect."""
    try:
        handle.open()
    except BaseException:
        handle.abort()  # what interrupted it, in on_open say, has a traceback that may keep the handle for long
        raise
    finally:
        keep_answer(handle, options)


def attempt_handle(url: str, options: ClientOptions) -> _core.WSClient:
    """Make the native handle for one attempt to connect, for which the bearer token is asked anew; it is watched."""
    handle = new_handle(url, options, _credentials(options))
    watch(handle, options)
    return handle


def request_headers(url: str, options: ClientOptions) -> list[tuple[str, str]]:
    """Return the headers of the opening handshake for a new attempt."""
    return [*_credentials(options), *_headers(ascii_url(url), options)]


def _credentials(options: ClientOptions) -> list[tuple[str, str]]:
    token = options.bearer_token() if callable(options.bearer_token) else options.bearer_token
    return [] if token is None else [("Authorization", f"Bearer {token}")]


def keep_answer(handle: _core.WSClient, options: ClientOptions) -> None:
    """Keep what the server wants remembered of an attempt to connect, whether it has succeeded or not."""
    if isinstance(options.cookies, CookieJar):
        _keep_cookies(options.cookies, handle)


def _keep_cookies(jar: CookieJar, handle: _core.WSClient) -> None:
    for asked, head in handle.redirects:
        keep_cookies(jar, asked, head)
    if handle.response:
        keep_cookies(jar, handle.url, handle.response)


def new_handle(url: str, options: ClientOptions, credentials: Sequence[tuple[str, str]] = ()) -> _core.WSClient:
    """Make the native handle for a URL and options, not yet connected."""
    url = ascii_url(url)
    secure = url[:4].lower() == "wss:"
    return _core.WSClient(
        url,
        headers=[*credentials, *_headers(url, options)],
        origin=options.origin,
        subprotocols=options.subprotocols or (),
        user_agent=options.user_agent_header or "",
        max_redirects=options.max_redirects,
        open_timeout=options.open_timeout,
        ping_interval=options.ping_interval,
        ping_timeout=options.ping_timeout,
        close_timeout=options.close_timeout,
        write_timeout=options.write_timeout,
        max_size=options.max_size,
        max_fragments=options.max_fragments,
        max_head=options.max_head,
        write_limit=options.write_limit,
        max_queue=options.max_queue,
        max_buffer=options.max_buffer,
        queue_policy=int(options.queue_policy == "drop_oldest"),
        deflate=_deflate(options.compression),
        tls=_tls(options.tls, secure),
        server_hostname=None if options.server_hostname is None else _ascii_host(options.server_hostname),
        proxy=None if options.proxy is True else options.proxy or "",
        proxy_tls=_tls(options.proxy_tls, _is_https(options.proxy)),
        unix=_path(options.unix),
        local_address=options.local_addr,
        socket_options=options.socket_options or (),
        reconnect=_reconnect(options),
    )


def _reconnect(options: ClientOptions) -> CoreReconnect | None:
    policy = options.policy
    if policy is None:
        return None
    asks = 1 if policy.retry else 0
    asks |= 2 if callable(options.bearer_token) or isinstance(options.cookies, CookieJar) else 0
    asks |= 4 if policy.on_open else 0
    return {
        "initial_delay": policy.initial_delay,
        "max_delay": policy.max_delay,
        "max_time": policy.max_time,
        "max_attempts": policy.max_attempts or 0,
        "steady_after": policy.steady_after,
        "at_most_once": int(policy.delivery == "at_most_once"),
        "outbox_messages": policy.outbox_messages,
        "outbox_bytes": policy.outbox_bytes,
        "greeting": [(isinstance(data, str), data) for data in policy.on_open_send],
        "asks": asks,
        "ask_timeout": policy.on_open_timeout,
    }


def _headers(url: str, options: ClientOptions) -> list[tuple[str, str]]:
    headers = header_items(options.additional_headers)
    cookies = cookie_header(options.cookies, url)
    return headers if cookies is None else [*headers, ("Cookie", cookies)]


def ascii_url(url: str) -> str:
    """Write a URL as it goes over the wire: the host by IDNA, the rest percent-encoded (RFC 3987 3.1)."""
    if not isinstance(cast("object", url), str):
        raise TypeError(f"url must be str, not {type(url).__name__}")
    if url.isascii():
        return url
    try:
        parts = urlsplit(url)
        userinfo, at, _ = parts.netloc.rpartition("@")
        host = _ascii_host(parts.hostname or "")
        port = "" if parts.port is None else f":{parts.port}"
        netloc = quote(userinfo, safe="%:!$&'()*+,;=") + at + (f"[{host}]" if ":" in host else host) + port
    except ValueError as error:
        raise InvalidURI(url, str(error)) from None
    path, query = quote(parts.path, safe="%/:@!$&'()*+,;=~"), quote(parts.query, safe="%/?:@!$&'()*+,;=~")
    return urlunsplit((parts.scheme, netloc, path, query, parts.fragment))


def _ascii_host(host: str) -> str:
    """Return the name as DNS and certificates have it (RFC 5890); ``ValueError`` if it has no such form."""
    if host.isascii():
        return host
    try:
        import idna  # the rules in force; Python's own are those of 2003
    except ImportError:
        return host.encode("idna").decode()
    return idna.encode(host, uts46=True).decode()


def _deflate(compression: Literal["deflate"] | DeflateOptions | None) -> tuple[int, int, bool, bool, int] | None:
    if compression is None:
        return None
    terms = compression if isinstance(compression, DeflateOptions) else DeflateOptions()
    return (
        terms.server_max_window_bits,
        terms.client_max_window_bits,
        terms.server_no_context_takeover,
        terms.client_no_context_takeover,
        terms.threshold,
    )


def _is_https(proxy: str | Literal[True] | None) -> bool:
    """Whether TLS to the proxy is certain. For one from the environment the engine looks for CAs itself."""
    return isinstance(proxy, str) and proxy[:6].lower() == "https:"


def _tls(options: TLSOptions | None, secure: bool) -> CoreTLS:
    if options is None and not secure:
        return _DEFAULTS  # for a redirect to wss://
    options = options or TLSOptions()
    tls: CoreTLS = {
        "min_version": _VERSIONS[options.min_version],
        "max_version": _VERSIONS[options.max_version] if options.max_version else 0,
        "insecure": int(not options.verify),
        "no_resumption": int(not options.resumption),
    }
    tls["ca_file"] = _path(options.ca_file)
    tls["ca_path"] = _path(options.ca_path)
    tls["cert_file"] = _path(options.cert_file)
    tls["key_file"] = _path(options.key_file)
    tls["keylog_file"] = _path(options.keylog_file)
    tls["ca_data"] = _pem(options.ca_data)
    tls["key_password"] = options.key_password
    tls["ciphers"] = options.ciphers
    tls["ciphersuites"] = options.ciphersuites
    tls["alpn"] = ",".join(options.alpn) if options.alpn else None
    tls["pins"] = ",".join(options.pins) if options.pins else None
    if secure and options.verify and not (options.ca_file or options.ca_path or options.ca_data):
        tls["system_ca_file"] = _system_ca_file()
    return tls


def _path(path: str | os.PathLike[str] | None) -> bytes | None:
    return None if path is None else os.fsencode(path)


def _pem(data: str | bytes | None) -> str | None:
    """Return certificates as PEM text; DER has no other first byte than that of a sequence."""
    if isinstance(data, bytes) and data[:1] == b"\x30":
        return f"-----BEGIN CERTIFICATE-----\n{base64.encodebytes(data).decode()}-----END CERTIFICATE-----\n"
    return data.decode("ascii", "replace") if isinstance(data, bytes) else data


def _system_ca_file() -> str | None:
    """Python's own default, which a wheel's OpenSSL does not know, or certifi's."""
    import ssl

    if path := ssl.get_default_verify_paths().cafile:
        return path
    try:
        import certifi
    except ImportError:
        return None
    return certifi.where()
