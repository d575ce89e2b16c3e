"""An asyncio connection and its event loop: they share time and descriptors, and either may go first."""

import asyncio
import contextlib
import gc
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from certificates import Certificates, server_context, tls_echo
from conftest import Echo
from loops import LOOPS, on_each_loop, run
from own_process import descriptors_at_rest, open_descriptors
from proxies import tinyproxy
from raw_server import CLOSE, DEADLINE, TEXT, Peer, RawServer, close_frame, frame, unused_port
from test_bad_network import bytes_in_use
from wsclient import ConnectError, ConnectionClosed, InvalidHandshake, OpenTimeoutError, State, TLSOptions, aio
from wsclient.testing import ChatServer, Fault, FaultProxy
from wsclient.testing.fault_proxy import Direction, Ending

# ---------------------------------------------------------------------------------------------- sharing time


class Ticker:
    """Counts how often the loop lets another task run."""

    def __init__(self) -> None:
        self.ticks = 0
        self.task = asyncio.create_task(self.tick())

    async def tick(self) -> None:
        while True:
            self.ticks += 1
            await asyncio.sleep(0)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


def flooding(count: int) -> Callable[[Peer], None]:
    """A server that sends so many messages at once, and reads whatever comes."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"x") * count)
        peer.wait_gone()

    return serve


async def flooded(url: str, count: int) -> aio.AsyncConnection:
    """A connection in which so many messages wait."""
    connection = await aio.connect(url, compression=None)
    while connection.stats().messages_received < count:
        await asyncio.sleep(0.001)
    return connection


@on_each_loop
async def test_who_never_waits_lets_others_run() -> None:
    count = 20_000
    with RawServer(flooding(count)) as server:
        connection = await flooded(server.url, count)
        ticker = Ticker()
        for _ in range(count // 2):
            await connection.recv()
        received = ticker.ticks
        for _ in range(count // 2):
            await connection.send("x")
        await connection.send("x" for _ in range(count // 2))
        await connection.send_many("x" for _ in range(count // 2))
        await ticker.stop()
        connection.abort()
    assert received >= count // 2 // 256
    assert ticker.ticks - received >= 3 * (count // 2 // 256)


@on_each_loop
async def test_who_is_slow_lets_others_run_each_time() -> None:
    with RawServer(flooding(20)) as server:
        connection = await flooded(server.url, 20)
        ticker = Ticker()
        for _ in range(20):
            await connection.recv()
            time.sleep(0.002)  # the program's work with each message
        await ticker.stop()
        connection.abort()
    assert ticker.ticks >= 19


@on_each_loop
async def test_a_loop_that_was_busy_blames_nobody(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        await connection.send("in time")
        tasks = [asyncio.create_task(connection.recv(0.1)), asyncio.create_task(connection.ping(timeout=0.1))]
        await asyncio.sleep(0)
        time.sleep(0.3)  # while both answers come
        assert await tasks[0] == "in time"
        assert await tasks[1] > 0


@on_each_loop
async def test_a_deadline_that_has_been_met_does_nothing(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url, open_timeout=0.2) as connection:
        assert not await connection.wait_closed(0.3)
        assert connection.state is State.OPEN
        await connection.send("hello")
        assert await connection.recv(DEADLINE) == "hello"


@on_each_loop
async def test_an_idle_connection_gives_memory_back(websockets_echo: Echo) -> None:
    count, buffer = 30, 65536
    connections = [await aio.connect(websockets_echo.url, compression=None) for _ in range(count)]
    await asyncio.gather(*(connection.flush() for connection in connections))
    busy = bytes_in_use()
    until = time.monotonic() + DEADLINE
    while busy - bytes_in_use() < count * buffer * 0.9:
        assert time.monotonic() < until
        await asyncio.sleep(0.05)
    await asyncio.gather(*(connection.flush() for connection in connections))
    await asyncio.gather(*(connection.close() for connection in connections))


# ---------------------------------------------------------------------------------------------- sharing descriptors


class Watching(asyncio.SelectorEventLoop):
    """A loop that sees to it that what it watches is what it was told to watch: not closed, nor opened anew."""

    def __init__(self) -> None:
        super().__init__()
        self.watched: dict[tuple[int, str], tuple[int, int]] = {}
        self.count = 0

    def file(self, fd: int) -> tuple[int, int]:
        status = os.fstat(fd)
        return status.st_dev, status.st_ino

    def check(self) -> None:
        for (fd, _), file in self.watched.items():
            assert self.file(fd) == file, f"{fd} was closed while it was watched"

    def add(self, fd: Any, what: str) -> None:
        self.check()
        self.watched[fd, what] = self.file(fd)
        self.count += 1

    def remove(self, fd: Any, what: str) -> None:
        self.check()
        self.watched.pop((fd, what), None)

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        self.add(fd, "read")
        super().add_reader(fd, callback, *args)

    def remove_reader(self, fd: Any) -> bool:
        self.remove(fd, "read")
        return super().remove_reader(fd)

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> None:
        self.add(fd, "write")
        super().add_writer(fd, callback, *args)

    def remove_writer(self, fd: Any) -> bool:
        self.remove(fd, "write")
        return super().remove_writer(fd)

    async def unwatched(self, work: Any) -> None:
        """Do it, and see that nothing is watched then."""
        before = self.count
        await work
        self.check()
        assert not self.watched
        assert self.count > before


def hanging_up(peer: Peer) -> None:
    peer.upgrade()
    peer.sock.sendall(close_frame(1000))


def redirecting(target: str) -> Callable[[Peer], None]:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode())
        peer.wait_gone()

    return serve


def test_no_descriptor_is_closed_while_it_is_watched(websockets_echo: Echo, certificates: Certificates) -> None:
    echo, trust = websockets_echo.url, TLSOptions(ca_file=certificates.ca)
    loop = Watching()

    async def talk(url: str, **options: Any) -> None:
        async with aio.connect(url, **options) as connection:
            await connection.send(b"x" * 500_000)
            await connection.recv(DEADLINE)

    async def be_left(url: str) -> None:
        connection = await aio.connect(url)
        with pytest.raises(ConnectionClosed):
            await connection.recv(DEADLINE)

    async def abort(url: str) -> None:
        connection = await aio.connect(url)
        connection.abort()

    async def fail(url: str, **options: Any) -> None:
        with pytest.raises((OSError, ConnectError)):
            await aio.connect(url, **options)

    with (
        tls_echo(server_context(certificates.server)) as tls,
        tinyproxy() as proxy,
        RawServer(hanging_up) as hangs_up,
        RawServer(Peer.wait_gone) as silent,
        RawServer(redirecting(echo)) as elsewhere,
    ):
        through = f"http://127.0.0.1:{proxy.port}"
        for work in (
            talk(echo),
            talk(echo.replace("127.0.0.1", "localhost")),
            talk(tls.url, tls=trust, proxy=through),
            talk(elsewhere.url),
            be_left(hangs_up.url),
            abort(echo),
            fail(f"ws://localhost:{unused_port()}/"),
            fail(silent.url, open_timeout=0.1),
            fail(tls.url, proxy=None),
        ):
            loop.run_until_complete(loop.unwatched(work))
    loop.close()


class Unable(asyncio.SelectorEventLoop):
    """A loop that cannot watch descriptors, as some of other systems cannot."""

    unable = "nothing"

    def add_reader(self, fd: Any, callback: Any, *args: Any) -> None:
        if self.unable == "read":
            raise NotImplementedError
        super().add_reader(fd, callback, *args)

    def add_writer(self, fd: Any, callback: Any, *args: Any) -> None:
        if self.unable == "write":
            raise NotImplementedError
        super().add_writer(fd, callback, *args)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        if self.unable == "timers":
            raise NotImplementedError
        return super().call_at(when, callback, *args, context=context)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("unable", ["read", "write"])
def test_a_loop_that_watches_no_descriptors_says_so(websockets_echo: Echo, unable: str, host: str) -> None:
    def new_loop() -> Unable:
        loop = Unable()
        loop.unable = unable
        return loop

    async def connect() -> None:
        before = descriptors_at_rest()
        with pytest.raises(NotImplementedError):
            await aio.connect(websockets_echo.url.replace("127.0.0.1", host))
        while open_descriptors() > before:  # the look-up's own, when its thread has ended
            await asyncio.sleep(0.001)

    run(new_loop, connect())


@pytest.mark.parametrize("unable", ["write", "timers"])
def test_what_a_loop_cannot_do_costs_the_connection(unable: str) -> None:
    go = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert go.wait(DEADLINE)
        if unable == "timers":  # closing has a deadline
            peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    async def connect() -> list[Any]:
        wrong: list[Any] = []
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Unable)
        with RawServer(serve) as server:
            connection = await aio.connect(server.url)
            receiver = asyncio.create_task(connection.recv())
            await asyncio.sleep(0)
            loop.unable = unable
            loop.set_exception_handler(lambda _, context: wrong.append(context["exception"]))
            if unable == "write":
                with pytest.raises(NotImplementedError):
                    await connection.send(bytes(30_000_000))
            go.set()
            with pytest.raises(ConnectionClosed):
                await receiver
            loop.unable = "nothing"
            assert connection.state is State.CLOSED
        return wrong

    loop = Unable()
    wrong = loop.run_until_complete(connect())
    loop.close()
    assert [type(error) for error in wrong] == ([NotImplementedError] if unable == "timers" else [])


# ---------------------------------------------------------------------------------------------- going first


def telling(gone: "queue.Queue[str]") -> Callable[[Peer], None]:
    """A server that says when the client has gone, and how."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        try:
            how = "closed" if peer.read_frame()[1] == CLOSE else "talked"
            if how == "closed":
                peer.sock.sendall(close_frame(1000))
                peer.wait_gone()
        except (EOFError, ConnectionResetError):
            how = "gone"
        gone.put(how)

    return serve


async def said(gone: "queue.Queue[str]") -> str:
    return await asyncio.get_running_loop().run_in_executor(None, gone.get, True, DEADLINE)


def forget(holder: list[Any]) -> None:
    """Let go of what nobody else has."""
    holder.clear()
    gc.collect()


@pytest.mark.parametrize("cycle", [False, True])
@on_each_loop
async def test_a_forgotten_connection_is_broken_off(cycle: bool) -> None:
    gone = queue.Queue[str]()
    with RawServer(telling(gone)) as server:
        connection: Any = await aio.connect(server.url)
        if cycle:
            connection.itself = connection
        reference = weakref.ref(connection)
        holder = [connection]
        del connection
        with pytest.warns(ResourceWarning, match=r"AsyncConnection #\d+ OPEN to \('127.0.0.1', \d+\)> was not closed"):
            forget(holder)
        assert reference() is None
        assert await said(gone) == "gone"


@on_each_loop
async def test_a_connection_is_forgotten_in_another_thread() -> None:
    gone = queue.Queue[str]()
    with RawServer(telling(gone)) as server:
        holder = [await aio.connect(server.url)]
        with pytest.warns(ResourceWarning):
            await asyncio.get_running_loop().run_in_executor(None, holder.clear)
        assert await said(gone) == "gone"


@on_each_loop
async def test_a_connection_that_is_forgotten_while_it_closes_goes_on_closing() -> None:
    gone = queue.Queue[str]()
    with RawServer(telling(gone)) as server:
        connection = await aio.connect(server.url)
        closing = asyncio.create_task(connection.close())
        await asyncio.sleep(0)
        closing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await closing
        del connection, closing
        gc.collect()
        assert await said(gone) == "closed"


async def open_connection(url: str) -> aio.AsyncConnection:
    return await aio.connect(url)


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("abort", [False, True], ids=["forgotten", "aborted"])
def test_the_loop_is_closed_first(new_loop: Callable[[], asyncio.AbstractEventLoop], abort: bool) -> None:
    gone = queue.Queue[str]()
    with RawServer(telling(gone)) as server:
        loop = new_loop()
        connection: Any = loop.run_until_complete(open_connection(server.url))
        loop.close()
        if abort:
            connection.abort()
            assert connection.state is State.CLOSED
        else:
            holder = [connection]
            del connection
            with pytest.warns(ResourceWarning):
                forget(holder)
        assert gone.get(timeout=DEADLINE) == "gone"


@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_the_loop_is_closed_while_connecting(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.wait_gone()
        gone.set()

    async def begin() -> Any:
        opening = aio.connect(server.url).__await__()
        opening.send(None)
        return opening

    with RawServer(serve) as server:
        loop = new_loop()
        opening = loop.run_until_complete(begin())
        loop.close()
        opening.close()
        assert gone.wait(DEADLINE)


def test_connections_of_several_loops_at_once(websockets_echo: Echo) -> None:
    async def talk() -> None:
        async with aio.connect(websockets_echo.url) as connection:
            for i in range(100):
                await connection.send(f"{i}")
                assert await connection.recv(DEADLINE) == f"{i}"

    failed: list[BaseException] = []

    def thread(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
        try:
            run(new_loop, talk())
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=thread, args=(new_loop,)) for new_loop in (*LOOPS.values(), *LOOPS.values())]
    for one in threads:
        one.start()
    for one in threads:
        one.join(DEADLINE)
    assert not failed


# ---------------------------------------------------------------------------------------------- a bad network

ENDINGS: tuple[Ending | bytes, ...] = ("drop", "reset", "half_close", "stall", b"\0\xff" * 20 + b"\r\n\r\n")
DIRECTIONS: tuple[Direction, ...] = ("to_server", "to_client")


@pytest.mark.parametrize("then", ENDINGS, ids=lambda then: then if isinstance(then, str) else "garbage")
@on_each_loop
async def test_the_network_breaks_at_every_byte_of_an_opening(chat_server: ChatServer, then: Ending | bytes) -> None:
    with FaultProxy("127.0.0.1", chat_server.port) as network:
        (await aio.connect(network.url())).abort()
        needed = {"to_server": network.bytes_to_server, "to_client": network.bytes_to_client}
    before = descriptors_at_rest()

    async def fail(direction: Direction, after: int) -> None:
        with (
            FaultProxy("127.0.0.1", chat_server.port, Fault(direction=direction, after=after, then=then)) as network,
            pytest.raises((ConnectError, InvalidHandshake, OpenTimeoutError)),
        ):
            await aio.connect(network.url(), open_timeout=0.5 if then == "stall" else DEADLINE)

    for direction in DIRECTIONS:
        # The last byte of the request completes it, so that the answer may come before the end does.
        places = range(0, needed[direction] - (direction == "to_server"), 7)
        await asyncio.gather(*(fail(direction, after) for after in places))
    assert open_descriptors() <= before
