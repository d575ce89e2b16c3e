"""A connection to any WebSocket server, driven by the thread that calls it or in the background."""

from __future__ import annotations

import _thread
import logging
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Literal, TypeVar, overload

from . import _core
from ._callbacks import NO_CALLBACKS, Callbacks, in_background
from ._data import DATA, PLAIN, UNFINISHED, Kind, control_payload, decode_as, fragment_kind, fragments, joined
from ._handle import attempt_handle, open_handle
from ._look import BaseConnection
from ._session import Session, session_of, with_hook
from .exceptions import (
    ConcurrencyError,
    ConnectionClosedOK,
    WebSocketException,
)
from .models import CloseInfo, Data, Frame, MessageEvent, State
from .options import (
    USER_AGENT,
    BearerToken,
    ClientOptions,
    Cookies,
    DeflateOptions,
    HeadersLike,
    QueuePolicy,
    SocketOptions,
)
from .reconnect import ReconnectPolicy
from .tls import PathLike, TLSOptions

T = TypeVar("T")

_FRAGMENTS = threading.Lock()  # for a look at whether a connection is in the middle of a fragmented message


def connect(
    url: str,
    *,
    background: bool | None = None,
    on_message: Callable[[Connection, str | bytes], object] | None = None,
    on_messages: Callable[[Connection, list[str | bytes]], object] | None = None,
    on_open: Callable[[Connection], object] | None = None,
    on_close: Callable[[Connection, CloseInfo], object] | None = None,
    on_error: Callable[[Connection, Exception], object] | None = None,
    additional_headers: HeadersLike | None = None,
    origin: str | None = None,
    subprotocols: Sequence[str] | None = None,
    user_agent_header: str | None = USER_AGENT,
    cookies: Cookies | None = None,
    bearer_token: BearerToken | None = None,
    max_redirects: int = 10,
    open_timeout: float | None = 10,
    ping_interval: float | None = 20,
    ping_timeout: float | None = 20,
    close_timeout: float | None = 10,
    write_timeout: float | None = 30,
    max_size: int | None = 2**20,
    max_fragments: int = 131072,
    max_head: int = 65536,
    write_limit: int = 32768,
    max_queue: int | None = 16,
    max_buffer: int = 2**24,
    queue_policy: QueuePolicy = "block",
    compression: Literal["deflate"] | DeflateOptions | None = "deflate",
    tls: TLSOptions | None = None,
    server_hostname: str | None = None,
    proxy: str | Literal[True] | None = True,
    proxy_tls: TLSOptions | None = None,
    unix: PathLike | None = None,
    local_addr: tuple[str, int] | None = None,
    socket_options: SocketOptions | None = None,
    reconnect: bool | ReconnectPolicy | None = None,
    on_frame: Callable[[Frame], object] | None = None,
    logger: logging.Logger | None = None,
) -> Connection:
    """Connect to a WebSocket server and return the open connection (RFC 6455 4.1).

    ``url`` is ``ws://host[:port][/path][?query]``, or ``wss://`` for TLS; :class:`~wsclient.ClientOptions` describes
    the options. Raises ``TypeError`` and ``ValueError`` (:exc:`~wsclient.exceptions.InvalidURI` among them) for wrong
    arguments, :exc:`~wsclient.exceptions.ConnectError` when the server cannot be reached,
    :exc:`~wsclient.exceptions.InvalidHandshake` when it does not agree to WebSocket, and
    :exc:`~wsclient.exceptions.OpenTimeoutError` after ``open_timeout`` seconds.

    Use it as a context manager, or call :meth:`Connection.close`::

        with wsclient.connect("ws://127.0.0.1:9999/") as connection:
            connection.send("Hello")
            print(connection.recv())

    ``background=True`` has a thread of the engine read, answer pings and keep deadlines, which never waits for Python:
    however busy the program is, the connection lives, and what arrives waits for ``recv``.

    With a callback it does so, too, and what arrives goes to the callbacks, so that ``recv`` and iteration raise
    :exc:`~wsclient.exceptions.ConcurrencyError` (``background=False`` with one is a ``ValueError``, an ``async def``
    a ``TypeError``)::

        def on_message(connection, message):
            print(message)

        connection = wsclient.connect("ws://127.0.0.1:9999/", on_message=on_message)
        connection.wait_closed()

    ``on_message(connection, message)`` is called for each message, or ``on_messages(connection, messages)`` for a list
    of at most ``max_queue``; ``on_open(connection)`` before them, ``on_close(connection, close_info)`` after them.
    ``on_error(connection, error)`` gets the :exc:`~wsclient.exceptions.ConnectionClosedError` that ended the
    connection, and what a callback raised: that is logged and stops nothing.
    One thread calls them all, for all connections, in order: one that takes long delays the others, but no pings. The
    program does not wait for that thread at its end, and a connection that nobody refers to any more is dropped.
    """
    policy, on_open = with_hook(reconnect, on_open)
    callbacks = Callbacks(
        on_message=on_message, on_messages=on_messages, on_open=on_open, on_close=on_close, on_error=on_error
    ).shared()
    driven = in_background(background, callbacks)
    options = ClientOptions(
        additional_headers=additional_headers,
        origin=origin,
        subprotocols=subprotocols,
        user_agent_header=user_agent_header,
        cookies=cookies,
        bearer_token=bearer_token,
        max_redirects=max_redirects,
        open_timeout=open_timeout,
        ping_interval=ping_interval,
        ping_timeout=ping_timeout,
        close_timeout=close_timeout,
        write_timeout=write_timeout,
        max_size=max_size,
        max_fragments=max_fragments,
        max_head=max_head,
        write_limit=write_limit,
        max_queue=max_queue,
        max_buffer=max_buffer,
        queue_policy=queue_policy,
        compression=compression,
        tls=tls,
        server_hostname=server_hostname,
        proxy=proxy,
        proxy_tls=proxy_tls,
        unix=unix,
        local_addr=local_addr,
        socket_options=socket_options,
        reconnect=policy,
        on_frame=on_frame,
        logger=logger,
    )
    handle = attempt_handle(url, options)
    session = session_of(handle, url, options)
    connection = Connection(handle, options, callbacks, session)
    tend = look_after(handle, options, session, connection) if session else None
    open_handle(handle, options)
    try:
        if driven and tend:
            handle.set_on_due(aside(tend))
        if callbacks.any():
            most = sys.maxsize if max_queue is None else max_queue
            handle.dispatch(connection, on_message, on_messages, on_open, _closed, _raised, most)
        elif driven:
            handle.drive(connection)
        else:
            handle.keep()
    except OSError:  # there is no thread to be had
        connection.abort()
        raise
    return connection


def look_after(
    handle: _core.WSClient, options: ClientOptions, session: Session, connection: Connection
) -> Callable[[], None]:
    """Have who waits on the connection answer what reconnecting asks, while there is one; return what answers."""
    reference = weakref.ref(connection)

    def tend() -> None:
        connection = reference()
        if connection:
            session.tend(connection, lambda: Connection(handle.ahead(), options))

    handle.set_on_due(tend)
    return tend


def aside(tend: Callable[[], None]) -> Callable[[], None]:
    """Return what has that done by a thread of its own, which no program waits for where that is allowed."""
    allowed = getattr(_thread, "daemon_threads_allowed", None)  # from 3.12 on; a sub-interpreter waits for its threads
    daemon = allowed is None or bool(allowed())
    return lambda: threading.Thread(target=tend, daemon=daemon).start()


def _closed(connection: Connection) -> None:
    """Called by the dispatcher after the last message."""
    connection._end()  # pyright: ignore[reportPrivateUsage]


def _raised(connection: Connection, error: Exception) -> None:
    """Called by the dispatcher with what a callback raised."""
    connection._report(error)  # pyright: ignore[reportPrivateUsage]


class Connection(BaseConnection):
    """An open connection, made by :func:`wsclient.connect`.

    Sending (``send``, ``send_many``, ``ping``, ``pong``, ``flush``), ``close`` and ``abort`` may be called from any
    thread; receiving by one thread at a time, another gets :exc:`~wsclient.exceptions.ConcurrencyError`. Once the
    connection is closed every method raises :exc:`~wsclient.exceptions.ConnectionClosed`, after what had arrived
    before has been received. Times are in seconds.
    """

    def __init__(
        self,
        handle: _core.WSClient,
        options: ClientOptions,
        callbacks: Callbacks = NO_CALLBACKS,
        session: Session | None = None,
    ) -> None:
        super().__init__(handle, options, callbacks, session)
        self._in_fragments = False

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close with 1000, or with 1011 when the block raised."""
        self.close(1000 if kind is None else 1011)

    def __iter__(self) -> Iterator[str | bytes]:
        """Iterate over the messages until the connection is closed.

        Ends after a clean close; see :attr:`close_info` for how. Raises
        :exc:`~wsclient.exceptions.ConnectionClosedError` otherwise.
        """
        recv = self._handle.recv
        try:
            while True:
                yield recv()
        except ConnectionClosedOK:
            return

    @_core.quick_send
    def send(self, data: Data | Iterable[Data], *, text: bool | None = None, compress: bool | None = None) -> None:
        """Send one message, and return when the system has taken it.

        ``str`` goes as text, bytes as binary, unless ``text`` says otherwise (what is sent as text must be UTF-8,
        else ``ValueError``). An iterable is one message whose items are its fragments (RFC 6455
        5.4), all ``str`` or all bytes, each sent as it comes; meanwhile nobody else can send a message. If it raises,
        the message cannot be finished and the connection is closed with 1011.

        ``compress`` says whether to compress it where the server agreed to compression; ``None``: from the threshold of
        :class:`~wsclient.DeflateOptions` on.

        Raises :exc:`~wsclient.exceptions.ConnectionClosed`, and :exc:`~wsclient.exceptions.WriteTimeoutError` when the
        peer takes nothing for ``write_timeout`` seconds.
        """
        if type(data) in PLAIN or isinstance(data, DATA):
            self._handle.send(data, text, compress)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        elif self._session:
            self._handle.send(joined(fragments(data)), text, compress)
        else:
            self._send_fragments(fragments(data), text, compress)

    def _send_fragments(self, pieces: Iterable[Data], text: bool | None, compress: bool | None) -> None:
        with _FRAGMENTS:
            if self._in_fragments:
                raise ConcurrencyError("another thread is sending a fragmented message")
            self._in_fragments = True
        kind: Kind | None = None
        try:
            for fragment in pieces:
                kind = fragment_kind(fragment, kind)
                self._handle.send_fragment(fragment, text, False, compress)
            if kind:
                self._handle.send_fragment(kind(), text, True)
        except BaseException:
            if kind and self.state is State.OPEN:
                self.close(1011, UNFINISHED)
            raise
        finally:
            self._in_fragments = False

    def send_many(self, items: Iterable[Data]) -> None:
        """Send many messages with as few writes as possible. Raises as :meth:`send` does."""
        self._handle.send_many(items)

    @overload
    def recv(self, timeout: float | None = None, decode: None = None) -> str | bytes: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[False]) -> bytes: ...
    @_core.quick_recv
    def recv(self, timeout: float | None = None, decode: bool | None = None) -> str | bytes:
        """Return the next message: ``str`` for text and ``bytes`` for binary, unless ``decode`` says which.

        ``timeout`` is in seconds, ``None`` for ever, 0 takes what is there. Raises
        :exc:`~wsclient.exceptions.ReceiveTimeoutError` (a ``TimeoutError``) when none came, and
        :exc:`~wsclient.exceptions.ConnectionClosed` once the connection is closed.
        """
        return self._handle.recv(timeout, decode)

    def recv_many(self, max_messages: int | None = None, timeout: float | None = None) -> list[str | bytes]:
        """Wait for one message, then return all that have arrived, at most ``max_messages``. Raises as :meth:`recv`."""
        return self._handle.recv_many(max_messages, timeout)

    def recv_event(self, timeout: float | None = None) -> MessageEvent:
        """Return the next message and when it was read. Waits and raises as :meth:`recv` does."""
        return MessageEvent(*self._handle.recv_event(timeout))

    def recv_as(self, type: type[T], timeout: float | None = None) -> T:
        """Return the next message, JSON, as a dataclass, ``TypedDict``, ``msgspec.Struct`` or any type msgspec knows.

        Raises ``msgspec.DecodeError`` (a ``ValueError``) for JSON that does not fit, and what :meth:`recv` raises.
        """
        return decode_as(type, self._handle.recv(timeout))

    def ping(self, data: Data | None = None, timeout: float | None = None) -> float:
        """Ping (RFC 6455 5.5.2), wait for the pong, and return the round trip in seconds.

        ``data`` has up to 125 bytes; ``None``: random ones. ``timeout`` ``None`` means ``ping_timeout``. Raises
        :exc:`~wsclient.exceptions.PingTimeoutError` and :exc:`~wsclient.exceptions.ConnectionClosed`.
        """
        payload = None if data is None else control_payload(data)
        return self._handle.ping(payload, self._or_ping_timeout(timeout))

    def pong(self, data: Data = b"") -> None:
        """Send a pong that answers no ping (RFC 6455 5.5.3), with up to 125 bytes."""
        self._handle.pong(control_payload(data))

    def flush(self, timeout: float | None = None) -> None:
        """Return when all that was sent before has been processed by the next WebSocket hop.

        That is what a ping that comes back proves: the server, or the WebSocket proxy before it, has read everything
        that stood before the ping. It does not prove that the application behind it has acted on it. ``timeout`` and
        errors as in :meth:`ping`. With ``reconnect`` it waits for the same across connections, and raises
        :exc:`~wsclient.exceptions.MessagesLostError` if messages were given up since the last time.
        """
        if self._session:
            self._session.flush(self._or_ping_timeout(timeout))
        else:
            self._handle.ping(None, self._or_ping_timeout(timeout))

    def close(self, code: int = 1000, reason: str = "", timeout: float | None = None) -> None:
        """Close (RFC 6455 7.1.2) and wait for the peer to agree, at most ``timeout`` (``None``: ``close_timeout``).

        ``code`` is one that may be sent (RFC 6455 7.4), ``reason`` has up to 123 bytes; else ``ValueError``. A peer
        that does not answer is no error: the connection is broken off, and :attr:`close_info` says so. Closing again
        does nothing.
        """
        try:
            self._handle.close(code, reason, timeout)
        except (WebSocketException, OSError) as error:  # pragma: no cover - the system has no random bytes for a mask
            self._logger.debug("closing %s: %s", self.remote_address, error)

    def abort(self) -> None:
        """Break the connection off at once, without a closing handshake. Never waits."""
        self._handle.abort()

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed, at most ``timeout`` seconds (``None``: for ever); whether it is."""
        return self._handle.wait_closed(timeout)
