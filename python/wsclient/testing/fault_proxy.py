"""A bad network, for tests: a TCP proxy that delays, splits, stalls, cuts or garbles what passes through it."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from types import TracebackType
from typing import Literal, TypeAlias, get_args

Direction: TypeAlias = Literal["both", "to_server", "to_client"]
"""What a fault applies to."""
Ending: TypeAlias = Literal["stall", "drop", "reset", "half_close"]
"""What happens to a direction, see ``Fault.then``."""

_PIECE = 65536
_STOP_DEADLINE = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What is wrong with a connection through a :class:`FaultProxy`. Raises ``ValueError``, naming the field.

    For other faults in the other direction, put one proxy in front of another.
    """

    direction: Direction = "both"
    """The direction it applies to; "both" are counted each by itself."""
    delay: float = 0.0
    """Seconds before each piece is passed on."""
    split: int = _PIECE
    """Bytes of the largest piece, at least 1. Without ``delay`` the receiver may find several pieces at once."""
    after: int = 0
    """Bytes that pass before ``then`` happens; with 0 it happens as soon as the connection is open."""
    then: Ending | bytes | None = None
    """What happens after that many bytes.

    - "stall": nothing more is read or passed on, the connection stays open.
    - "drop": both ends see the connection closed (FIN); what they still send is thrown away.
    - "reset": both ends see the connection reset (RST).
    - "half_close": the receiver sees the end (FIN), the other direction goes on; what is still sent is thrown away.
    - ``bytes``: these are sent instead of all that would follow.
    - ``None``: all goes on.
    """

    def __post_init__(self) -> None:
        if self.direction not in get_args(Direction):
            raise ValueError(f"direction must be one of {get_args(Direction)}, not {self.direction!r}")
        if not self.delay >= 0:
            raise ValueError(f"delay must be at least 0, not {self.delay}")
        if self.split < 1:
            raise ValueError(f"split must be at least 1, not {self.split}")
        if self.after < 0:
            raise ValueError(f"after must be at least 0, not {self.after}")
        if not (self.then is None or isinstance(self.then, bytes) or self.then in get_args(Ending)):
            raise ValueError(f"then must be one of {get_args(Ending)}, bytes or None, not {self.then!r}")


class FaultProxy:
    """A TCP proxy in front of a server, as a context manager; it runs in a thread of its own and on 127.0.0.1.

    ``host`` and ``port`` are the server's. ``fault`` is that of every connection, or an iterable, such as a generator,
    that gives the fault of each connection, ``None`` for none; when it ends, later connections have none. It passes
    bytes and knows nothing of TLS or WebSocket. When one end resets its connection, or the server cannot be reached,
    the other end's is reset. Raises ``OSError`` when the name has no address.
    """

    host: str
    """The address it listens on."""
    port: int
    """The port it listens on."""

    def __init__(self, host: str, port: int, fault: Fault | Iterable[Fault | None] | None = None) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self._targets = [(family, address) for family, _, _, _, address in found]
        self._faults: Iterator[Fault | None] = (
            repeat(fault) if fault is None or isinstance(fault, Fault) else iter(fault)
        )
        self._news = threading.Condition()
        self._counts = Counter[str]()
        self._clients = set[socket.socket]()
        self._error: BaseException | None = None
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._listener.setblocking(False)
        self.host, self.port = self._listener.getsockname()
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._tasks = set[asyncio.Task[None]]()
        self._thread = threading.Thread(target=self._run, name="FaultProxy", daemon=True)
        self._thread.start()

    def __enter__(self) -> FaultProxy:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def connections(self) -> int:
        """How many connections it has accepted."""
        return self._counts["connections"]

    @property
    def bytes_to_server(self) -> int:
        """Bytes of all clients that it has passed on."""
        return self._counts["to_server"]

    @property
    def bytes_to_client(self) -> int:
        """Bytes of the server that it has passed on to all clients."""
        return self._counts["to_client"]

    def url(self, scheme: str = "ws", path: str = "/") -> str:
        """Return a URL that leads through the proxy."""
        return f"{scheme}://{self.host}:{self.port}{path}"

    def wait_until(self, condition: Callable[[FaultProxy], bool], timeout: float = 10.0) -> None:
        """Wait until this is true of the proxy, such as ``lambda proxy: proxy.bytes_to_client >= 100``.

        Raises ``TimeoutError`` after ``timeout`` seconds.
        """
        with self._news:
            if not self._news.wait_for(lambda: condition(self), timeout):
                raise TimeoutError(
                    f"not within {timeout} s: {self.connections} connections, {len(self._clients)} of them open, "
                    f"{self.bytes_to_server} bytes to the server, {self.bytes_to_client} to the client"
                )

    def wait_closed(self, timeout: float = 10.0) -> None:
        """Wait until every client has closed its connection, or lost it.

        Of a stalled one it is seen unless more waits behind the stall than the system's buffers hold. Raises
        ``TimeoutError`` after ``timeout`` seconds.
        """
        self.wait_until(lambda _: not self._clients and not self._knocks(), timeout)

    def stop(self) -> None:
        """Close all connections and listen no more. Again: no-op. Raises what the iterable of faults has raised."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: stopped before
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(_STOP_DEADLINE)
        self._listener.close()
        error, self._error = self._error, None
        if error:
            raise error

    def _run(self) -> None:
        self._loop.run_until_complete(self._main())
        self._loop.close()

    async def _main(self) -> None:
        self._loop.add_reader(self._listener, self._accept)
        await self._stopping.wait()
        self._loop.remove_reader(self._listener)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _knocks(self) -> bool:
        """Tell whether a connection waits to be accepted."""
        return bool(self._listener.fileno() >= 0 and select.select([self._listener], [], [], 0)[0])

    def _accept(self) -> None:
        with self._news:  # so that wait_closed sees it either knock or in
            client, _ = self._listener.accept()
            self._clients.add(client)
        self._count("connections", 1)
        task = self._loop.create_task(self._serve(client))
        self._tasks.add(task)
        task.add_done_callback(self._served)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._error = task.exception() or self._error

    def _count(self, what: str, amount: int) -> None:
        with self._news:
            self._counts[what] += amount
            self._news.notify_all()

    def _gone(self, end: socket.socket) -> None:
        with self._news:
            self._clients.discard(end)
            self._news.notify_all()

    async def _serve(self, client: socket.socket) -> None:
        """One connection, to its end."""
        ends = [client]
        try:
            fault = next(self._faults, None) or Fault()
            ends.append(await self._reach_server())
            for end in ends:
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await self._exchange(ends[0], ends[1], fault)
        except OSError:
            for end in ends:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        finally:
            for end in ends:
                end.close()
            self._gone(client)

    async def _reach_server(self) -> socket.socket:
        """Connect to the first address that answers."""
        failed: OSError | None = None
        for family, address in self._targets:
            server = socket.socket(family, socket.SOCK_STREAM)
            server.setblocking(False)
            try:
                await self._loop.sock_connect(server, address)
                return server
            except OSError as error:
                failed = error
            except BaseException:
                server.close()
                raise
            server.close()
        raise failed or OSError("no address")

    async def _exchange(self, client: socket.socket, server: socket.socket, fault: Fault) -> None:
        try:
            await _both(
                self._pass(client, server, fault if fault.direction != "to_client" else Fault(), "to_server"),
                self._pass(server, client, fault if fault.direction != "to_server" else Fault(), "to_client"),
            )
        except _Drop:
            client.shutdown(socket.SHUT_WR)
            server.shutdown(socket.SHUT_WR)
            # Closing with something unread would be a reset.
            await _both(self._discard(client), self._discard(server))

    async def _pass(self, source: socket.socket, sink: socket.socket, fault: Fault, direction: str) -> None:
        """One direction, to its end."""
        left = fault.after
        while fault.then is None or left > 0:
            most = fault.split if fault.then is None else min(fault.split, left)
            piece = await self._receive(source, most)
            if not piece:
                sink.shutdown(socket.SHUT_WR)
                return
            if fault.delay:
                await asyncio.sleep(fault.delay)
            self._count(direction, len(piece))  # first: who has received a byte finds it counted
            await self._loop.sock_sendall(sink, piece)
            left -= len(piece)
        await self._end(source, sink, fault.then)

    async def _end(self, source: socket.socket, sink: socket.socket, then: Ending | bytes) -> None:
        if then == "drop":
            raise _Drop
        if then == "reset":
            raise ConnectionResetError
        if then == "stall":
            await self._wait_for_hangup(source)
            return
        if isinstance(then, bytes):
            await self._loop.sock_sendall(sink, then)
        else:
            sink.shutdown(socket.SHUT_WR)
        await self._discard(source)
        if isinstance(then, bytes):
            sink.shutdown(socket.SHUT_WR)

    async def _receive(self, source: socket.socket, most: int = _PIECE) -> bytes:
        piece = await self._loop.sock_recv(source, most)
        if not piece:
            self._gone(source)
        return piece

    async def _discard(self, source: socket.socket) -> None:
        while await self._receive(source):
            pass

    async def _wait_for_hangup(self, source: socket.socket) -> None:
        """Wait until the end comes, behind bytes that nobody reads."""
        seen = asyncio.Event()
        with select.epoll() as hangup:
            hangup.register(source, select.EPOLLRDHUP)
            self._loop.add_reader(hangup.fileno(), seen.set)
            try:
                await seen.wait()
            finally:
                self._loop.remove_reader(hangup.fileno())
        self._gone(source)


class _Drop(Exception):
    """The connection is to be closed."""


async def _both(one: Coroutine[None, None, None], other: Coroutine[None, None, None]) -> None:
    """Run both; when one fails, so does this, and the other is ended."""
    tasks = [asyncio.ensure_future(one), asyncio.ensure_future(other)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
