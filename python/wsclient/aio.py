"""Connections to any WebSocket server on asyncio, or whatever has an asyncio event loop."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import sys
import warnings
import weakref
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Generator, Iterable, Sequence
from types import TracebackType
from typing import Literal, TypeVar, overload

from . import _core
from ._callbacks import NO_CALLBACKS, Callbacks
from ._checks import check_callback
from ._data import DATA, PLAIN, UNFINISHED, Kind, async_fragments, control_payload, decode_as, fragment_kind, joined
from ._driver import LoopDriver, OpeningDriver, breathe
from ._handle import attempt_handle, keep_answer, new_handle
from ._log import traced
from ._look import BaseConnection
from ._session import Session, session_of, tell_nobody, with_hook
from .exceptions import ConcurrencyError, ConnectionClosedOK, PingTimeoutError, WebSocketException, WriteTimeoutError
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
Ticket = tuple[int, int, int]

_NOT_READ = "the peer does not read: nothing of this message was sent"


class connect:
    """Connect to a WebSocket server (RFC 6455 4.1): await it, or use it in ``async with``.

    ``url`` and the options are those of :func:`wsclient.connect`, and so are the errors: wrong arguments raise here,
    the others where it is awaited. That returns an :class:`AsyncConnection`. Cancelled while connecting, it lets go of
    everything at once::

        async with wsclient.aio.connect("ws://127.0.0.1:9999/") as connection:
            await connection.send("Hello")
            print(await connection.recv())

    The callbacks are those of :func:`wsclient.connect`, called by the loop itself when something has arrived, until 256
    messages are done or 1 ms has gone; then its other work comes first. No task is made, so that they must be plain
    functions that return soon, and send by :meth:`AsyncConnection.send_nowait`. ``on_open`` may be ``async``: it is
    called before the others, in the task that connects (with ``reconnect``, in one of its own). With ``on_message`` or
    ``on_messages``, ``recv`` and iteration raise :exc:`~wsclient.exceptions.ConcurrencyError`::

        async with wsclient.aio.connect("ws://127.0.0.1:9999/", on_message=lambda _, message: print(message)) as ws:
            await ws.wait_closed()
    """

    _connection: AsyncConnection

    def __init__(
        self,
        url: str,
        *,
        on_message: Callable[[AsyncConnection, str | bytes], object] | None = None,
        on_messages: Callable[[AsyncConnection, list[str | bytes]], object] | None = None,
        on_open: Callable[[AsyncConnection], object] | None = None,
        on_close: Callable[[AsyncConnection, CloseInfo], object] | None = None,
        on_error: Callable[[AsyncConnection, Exception], object] | None = None,
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
    ) -> None:
        check_callback("on_open", on_open, awaited=True)
        policy, self._on_open = with_hook(reconnect, on_open)
        self._callbacks = Callbacks(
            on_message=on_message, on_messages=on_messages, on_close=on_close, on_error=on_error
        ).shared()
        self._options = ClientOptions(
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
        self._url = url
        new_handle(url, self._options)  # what is wrong with them is said now

    def __await__(self) -> Generator[object, None, AsyncConnection]:
        return self._open().__await__()

    async def _open(self) -> AsyncConnection:
        connection = new_connection(self._url, self._options, self._callbacks)
        await connection._open(self._options, self._on_open)  # pyright: ignore[reportPrivateUsage]
        return connection

    async def __aenter__(self) -> AsyncConnection:
        self._connection = await self
        return self._connection

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._connection.__aexit__(kind, error, trace)


def new_connection(url: str, options: ClientOptions, callbacks: Callbacks = NO_CALLBACKS) -> AsyncConnection:
    """Make a connection that is not yet open, for the running loop."""
    handle = attempt_handle(url, options)
    driver = LoopDriver(handle, asyncio.get_running_loop())
    connection = AsyncConnection(handle, options, driver, callbacks, session_of(handle, url, options))
    connection._reconnect()  # pyright: ignore[reportPrivateUsage]
    return connection


class AsyncConnection(BaseConnection):
    """An open connection, made by awaiting :class:`wsclient.aio.connect`.

    For the tasks of its event loop, no other thread. Any of them may send, ping and close; receiving is for one task at
    a time, another gets :exc:`~wsclient.exceptions.ConcurrencyError`. Once the connection is closed every method raises
    :exc:`~wsclient.exceptions.ConnectionClosed`, after what had arrived before has been received. Times are in seconds.

    Every wait can be cancelled, and the connection goes on: no message is lost or torn. (A message in fragments is the
    exception: unfinished, it costs the connection.) While the event loop is busy or not running, a thread of the engine
    stands in: pings are answered, and up to ``max_buffer`` bytes of messages are kept for later.
    """

    def __init__(
        self,
        handle: _core.WSClient,
        options: ClientOptions,
        driver: LoopDriver,
        callbacks: Callbacks = NO_CALLBACKS,
        session: Session | None = None,
    ) -> None:
        super().__init__(handle, options, callbacks, session)
        self._driver = driver
        self._write_limit = options.write_limit
        self._write_timeout = options.write_timeout
        if callbacks is not NO_CALLBACKS:
            most = sys.maxsize if options.max_queue is None else options.max_queue
            self._calls = (callbacks.on_message, callbacks.on_messages, AsyncConnection._report, most)
        self._line: asyncio.Lock | None = None  # senders wait in it for room
        self._in_line = 0
        self._in_fragments = False
        # What is sent without a turn of the loop has one later that looks after it.
        self._later = driver.go_on_soon if traced(options) else driver.prove_later if session else None

    def __del__(self) -> None:
        if self.state in (State.CONNECTING, State.OPEN):
            what = f"{self!r} was not closed"
            self._driver.forget()
            warnings.warn(what, ResourceWarning, stacklevel=1, source=self)

    async def __aenter__(self) -> AsyncConnection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close with 1000, or with 1011 when the block raised."""
        await self.close(1000 if kind is None else 1011)

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        """Iterate over the messages until the connection is closed.

        Ends after a clean close; see :attr:`close_info` for how. Raises
        :exc:`~wsclient.exceptions.ConnectionClosedError` otherwise.
        """
        return self

    async def __anext__(self) -> str | bytes:
        try:
            found = self._handle.seek()
            if found is True:
                return await self._driver.receive_later(self._handle.take, None, None)
            return await self._driver.receive(self._handle.take, None, None) if found is None else found
        except ConnectionClosedOK:
            raise StopAsyncIteration from None

    # The loop refers to what the driver is given here, and that to no connection: one that is forgotten is collected,
    # with its callbacks and what they refer to.

    def _reconnect(self) -> None:
        """Have what reconnecting asks answered by a task of the loop."""
        if not self._session:
            return
        reference, handle, logger = weakref.ref(self), self._handle, self._logger

        async def tend() -> None:
            connection = reference()
            if connection and connection._session:
                await connection._session.tend_later(connection, connection._ahead)
            else:
                tell_nobody(handle, logger)

        self._driver.on_due = tend

    def _ahead(self) -> AsyncConnection:
        """Return what ``on_open`` gets."""
        assert self._session
        return _OpeningConnection(self._handle.ahead(), self._session.options, self._driver)

    async def _open(self, options: ClientOptions, on_open: Callable[[AsyncConnection], object] | None = None) -> None:
        """Connect: one attempt. Raises as :class:`connect` says."""
        try:
            await self._driver.open()
        finally:
            keep_answer(self._handle, options)
        await self._begin(on_open)

    async def _begin(self, on_open: Callable[[AsyncConnection], object] | None) -> None:
        """Call ``on_open``, and have the loop call the other callbacks from then on."""
        if on_open:
            await self._opened(on_open)
        if not self._callbacks.any():
            return
        self._driver.call_for(self, self._callbacks.receive())

    async def _opened(self, on_open: Callable[[AsyncConnection], object]) -> None:
        try:
            result = on_open(self)
            if inspect.isawaitable(result):
                await result
        except Exception as error:
            self._report(error)
        except BaseException:
            self.abort()
            raise

    # -- sending

    async def send(
        self,
        data: Data | Iterable[Data] | AsyncIterable[Data],
        *,
        text: bool | None = None,
        compress: bool | None = None,
    ) -> None:
        """Send one message; wait while more than ``write_limit`` bytes wait to be written.

        ``str`` goes as text, bytes as binary, unless ``text`` says otherwise (what is sent as text must be UTF-8,
        else ``ValueError``). An iterable, asynchronous or not, is one message whose items are its fragments (RFC 6455
        5.4), all ``str`` or all bytes, each sent as it comes; meanwhile nobody else can send a message. If it raises or
        is cancelled, the message cannot be finished and the connection is closed with 1011.

        ``compress`` says whether to compress it where the server agreed to compression; ``None``: from the threshold of
        :class:`~wsclient.DeflateOptions` on.

        When it is cancelled, the message is taken back if none of it is written, else it goes out whole. Raises
        :exc:`~wsclient.exceptions.ConnectionClosed`, and :exc:`~wsclient.exceptions.WriteTimeoutError` when the
        peer takes nothing for ``write_timeout`` seconds.
        """
        if type(data) not in PLAIN and not isinstance(data, DATA):
            await self._send_pieces(data, text, compress)
            return
        message: Data = data  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
        ticket = None if self._in_line else self._handle.offer_ahead(message, text, compress)
        if ticket is not True:
            await self._send_later(message, ticket, text, compress)
        elif self._later:
            self._later()

    async def _send_later(
        self, message: Data, ticket: Ticket | Literal[True] | None, text: bool | None, compress: bool | None
    ) -> None:
        """Send what could not be written at once; with a ticket it is accepted."""
        if ticket is None:
            if self._handle.hogs():
                await breathe(self._handle)
            ticket = await self._offer_in_line(lambda: self._handle.offer(message, text, compress))
        if ticket is not True:
            try:
                await self._drain(ticket)
            except asyncio.CancelledError:
                self._handle.withdraw(ticket)
                self._driver.turn()
                raise
        elif self._later:
            self._later()

    async def _send_pieces(
        self, data: Data | Iterable[Data] | AsyncIterable[Data], text: bool | None, compress: bool | None
    ) -> None:
        if not self._session:
            await self._send_fragments(async_fragments(data), text, compress)
            return
        async with contextlib.aclosing(_each(async_fragments(data))) as each:
            whole = joined([fragment async for fragment in each])
        await self.send(whole, text=text, compress=compress)

    def send_nowait(self, data: Data, *, text: bool | None = None, compress: bool | None = None) -> None:
        """Send one message without waiting: as :meth:`send`, but ``BlockingIOError`` where that would wait for room.

        Messages that follow each other within microseconds are written together: those of callbacks after them, others
        when the event loop has its next turn.
        """
        posted = -1 if self._in_line else self._handle.post(data, text, compress)
        if posted < 0:
            raise BlockingIOError("more is waiting to be written than write_limit allows")
        if posted:
            self._driver.go_on_soon()
        elif self._later:
            self._later()

    async def send_many(self, items: Iterable[Data]) -> None:
        """Send many messages with as few writes as possible. Raises as :meth:`send` does.

        When it is cancelled, those before have been sent and those behind have not.
        """
        ticket: Ticket | Literal[True] = True
        try:
            for item in items:
                ticket = await self._offer_later(item)
        finally:
            self._handle.write_out()
            self._driver.turn()
        if ticket is not True:
            await self._drain(ticket)

    async def _offer_later(self, item: Data) -> Ticket | Literal[True]:
        """Have one of many accepted: nothing is written until the limit is reached."""
        if self._handle.hogs():
            await breathe(self._handle)
        ticket = None if self._in_line else self._handle.offer(item, None, None, False)
        if ticket is None:
            self._handle.write_out()
            ticket = await self._offer_in_line(lambda: self._handle.offer(item, None, None, False))
        return ticket

    async def _send_fragments(
        self, pieces: AsyncIterable[Data] | Iterable[Data], text: bool | None, compress: bool | None
    ) -> None:
        if self._in_fragments:
            raise ConcurrencyError("another task is sending a fragmented message")
        self._in_fragments = True
        kind: Kind | None = None
        try:
            async with contextlib.aclosing(_each(pieces)) as each:
                async for fragment in each:
                    kind = fragment_kind(fragment, kind)
                    await self._send_fragment(fragment, text, False, compress)
            if kind:
                await self._send_fragment(kind(), text, True, None)
        except BaseException:
            if kind and self.state is State.OPEN:
                self._begin_close(1011, UNFINISHED, None)
            raise
        finally:
            self._in_fragments = False

    async def _send_fragment(self, data: Data, text: bool | None, final: bool, compress: bool | None) -> None:
        if self._handle.hogs():
            await breathe(self._handle)
        ticket = await self._offer_in_line(lambda: self._handle.offer_fragment(data, text, final, compress))
        if ticket is not True:
            await self._drain(ticket)

    async def _offer_in_line(self, offer: Callable[[], Ticket | Literal[True] | None]) -> Ticket | Literal[True]:
        """Have a message accepted when there is room, in the order in which it was asked for."""
        self._in_line += 1
        line = self._line = self._line or asyncio.Lock()
        try:
            async with line:
                while (ticket := offer()) is None:
                    self._driver.turn()
                    if not await self._driver.until(self._has_room, self._write_timeout):
                        raise WriteTimeoutError(_NOT_READ)
                return ticket
        finally:
            self._in_line -= 1

    def _has_room(self) -> bool:
        if self._session:
            return self._handle.has_room
        return self._handle.queued <= self._write_limit or self.state is not State.OPEN

    async def _drain(self, ticket: Ticket) -> None:
        """Have what is queued written when the socket takes it; wait for that while it is more than the limit."""
        self._driver.turn()
        if self._handle.queued <= self._write_limit:
            return
        written = self._handle.written
        if not await self._driver.until(lambda: written(ticket) or self._has_room(), self._write_timeout):
            try:
                self._handle.give_up(ticket)
            finally:
                self._driver.turn()

    # -- receiving

    @overload
    async def recv(self, timeout: float | None = None, decode: None = None) -> str | bytes: ...
    @overload
    async def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...
    @overload
    async def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...
    @overload
    async def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...
    @overload
    async def recv(self, timeout: float | None = None, *, decode: Literal[False]) -> bytes: ...
    async def recv(self, timeout: float | None = None, decode: bool | None = None) -> str | bytes:
        """Return the next message: ``str`` for text and ``bytes`` for binary, unless ``decode`` says which.

        ``timeout`` is in seconds, ``None`` for ever, 0 takes what is there. Raises
        :exc:`~wsclient.exceptions.ReceiveTimeoutError` (a ``TimeoutError``) when none came, and
        :exc:`~wsclient.exceptions.ConnectionClosed` once the connection is closed. When it is cancelled, the message
        that it waited for is there for the next.
        """
        found = self._handle.seek(decode)
        if found is True:
            return await self._driver.receive_later(self._handle.take, decode, timeout)
        return await self._driver.receive(self._handle.take, decode, timeout) if found is None else found

    async def recv_many(self, max_messages: int | None = None, timeout: float | None = None) -> list[str | bytes]:
        """Wait for one message, then return all that have arrived, at most ``max_messages``. Raises as :meth:`recv`."""
        return await self._driver.receive(self._handle.take_many, max_messages, timeout)

    async def recv_event(self, timeout: float | None = None) -> MessageEvent:
        """Return the next message and when it was read. Waits and raises as :meth:`recv` does."""
        return MessageEvent(*await self._driver.receive(lambda _: self._handle.take_event(), None, timeout))

    async def recv_as(self, type: type[T], timeout: float | None = None) -> T:
        """Return the next message, JSON, as a dataclass, ``TypedDict``, ``msgspec.Struct`` or any type msgspec knows.

        Raises ``msgspec.DecodeError`` (a ``ValueError``) for JSON that does not fit, and what :meth:`recv` raises.
        """
        return decode_as(type, await self.recv(timeout))

    # -- pings

    async def ping(self, data: Data | None = None, timeout: float | None = None) -> float:
        """Ping (RFC 6455 5.5.2), wait for the pong, and return the round trip in seconds.

        ``data`` has up to 125 bytes; ``None``: random ones. ``timeout`` ``None`` means ``ping_timeout``. Raises
        :exc:`~wsclient.exceptions.PingTimeoutError` and :exc:`~wsclient.exceptions.ConnectionClosed`.
        """
        payload = None if data is None else control_payload(data)
        if self._session and not await self._driver.until(lambda: self.state is not State.CONNECTING, timeout):
            raise PingTimeoutError("no connection in time")
        number = self._handle.send_ping(payload)
        self._driver.turn()
        answered = await self._driver.until(
            lambda: self._handle.pong_time(number) is not None, self._or_ping_timeout(timeout)
        )
        seconds = self._handle.pong_time(number)
        if not answered or seconds is None:
            raise PingTimeoutError("no pong in time")
        return seconds

    async def pong(self, data: Data = b"") -> None:
        """Send a pong that answers no ping (RFC 6455 5.5.3), with up to 125 bytes."""
        self._handle.pong(control_payload(data))
        self._driver.turn()

    async def flush(self, timeout: float | None = None) -> None:
        """Return when all that was sent before has been processed by the next WebSocket hop.

        That is what a ping that comes back proves: the server, or the WebSocket proxy before it, has read everything
        that stood before the ping. It does not prove that the application behind it has acted on it. ``timeout`` and
        errors as in :meth:`ping`. With ``reconnect`` it waits for the same across connections, and raises
        :exc:`~wsclient.exceptions.MessagesLostError` if messages were given up since the last time.
        """
        if not self._session:
            await self.ping(None, timeout)
            return
        handle, newest = self._handle, self._handle.newest
        self._driver.turn()
        proved = lambda: handle.flushed(newest) or handle.state == State.CLOSED  # noqa: E731
        if not await self._driver.until(proved, self._or_ping_timeout(timeout)):
            raise PingTimeoutError("what was sent was not proved to have arrived in time")
        self._session.raise_lost()

    # -- closing

    async def close(self, code: int = 1000, reason: str = "", timeout: float | None = None) -> None:
        """Close (RFC 6455 7.1.2) and wait for the peer to agree, at most ``timeout`` (``None``: ``close_timeout``).

        ``code`` is one that may be sent (RFC 6455 7.4), ``reason`` has up to 123 bytes; else ``ValueError``. A peer
        that does not answer is no error: the connection is broken off, and :attr:`close_info` says so. Closing again
        does nothing. When it is cancelled, the connection closes all the same, by then.
        """
        self._begin_close(code, reason, timeout)
        await self.wait_closed()

    def _begin_close(self, code: int, reason: str, timeout: float | None) -> None:
        try:
            self._handle.begin_close(code, reason, timeout)
        except (WebSocketException, OSError) as error:  # pragma: no cover - the system has no random bytes for a mask
            self._logger.debug("closing %s: %s", self.remote_address, error)
        self._driver.turn()

    def abort(self) -> None:
        """Break the connection off at once, without a closing handshake. Never waits."""
        self._driver.abort()

    async def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed, at most ``timeout`` seconds (``None``: for ever); whether it is."""
        return await self._driver.until(lambda: self._handle.state == State.CLOSED, timeout)


class _OpeningConnection(AsyncConnection):
    """What ``on_open`` gets: the same connection, before its gate is open."""

    def __init__(self, handle: _core.WSClient, options: ClientOptions, driver: LoopDriver) -> None:
        super().__init__(handle, options, OpeningDriver(driver))

    def __del__(self) -> None:
        pass


async def _each(pieces: AsyncIterable[Data] | Iterable[Data]) -> AsyncGenerator[Data]:
    if isinstance(pieces, AsyncIterable):
        async for piece in pieces:
            yield piece
    else:
        for piece in pieces:
            yield piece
