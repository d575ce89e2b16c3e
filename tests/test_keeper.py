"""A program that is busy elsewhere keeps its connections, and gets all that came meanwhile, in order.

The server floods, pings every 0.5 s and gives up who does not answer within 1 s. The program is busy for as many
seconds as WS_BUSY_SECONDS says: `make keeper` has it busy for 20.
"""

import asyncio
import ctypes
import gc
import os
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import wsclient
from certificates import Certificates
from conftest import PEERS, Echo, Program, wait_until
from loops import on_each_loop
from own_process import descriptors_at_rest, open_descriptors, threads
from raw_server import PING, TEXT, Peer, RawServer, close_frame, frame
from series_server import SeriesServer
from wsclient import (
    AsyncConnection,
    CloseInfo,
    Connection,
    ConnectionClosedError,
    PingTimeoutError,
    State,
    TLSOptions,
    aio,
)

SECONDS = float(os.environ.get("WS_BUSY_SECONDS", "2.5"))
DEADLINE = 60.0 + SECONDS
SMALL = 50000  # bytes; less than comes meanwhile

Options = dict[str, Any]
NARROW: Options = {"max_buffer": SMALL, "ping_interval": 0.2, "ping_timeout": 0.2}
pytestmark = pytest.mark.timeout(120 + 10 * SECONDS)


@dataclass(frozen=True)
class Flood:
    """What to connect to: URL and options, without TLS and with it; and a server that waits for pongs for ever."""

    plain: tuple[str, Options]
    tls: tuple[str, Options]
    patient: tuple[str, Options]


@pytest.fixture(scope="module")
def flood(certificates: Certificates) -> Iterator[Flood]:
    """The server that floods."""
    certificate = certificates.server
    with Program(
        sys.executable, PEERS / "flood_websockets.py", certificate.chain, certificate.key, ours=False
    ) as server:
        plain, tls, patient = (server.line().split()[1] for _ in range(3))
        yield Flood(
            plain=(f"ws://127.0.0.1:{plain}/", {}),
            tls=(f"wss://127.0.0.1:{tls}/", {"tls": TLSOptions(ca_file=certificates.ca)}),
            patient=(f"ws://127.0.0.1:{patient}/", {}),
        )


# ---- ways of being busy


def sleep() -> None:
    time.sleep(SECONDS)


def compute() -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        sum(range(1000))


def hold_the_gil() -> None:
    """One call of C that does not let go of the GIL."""
    ctypes.PyDLL(None).usleep(int(SECONDS * 1e6))


each_way = pytest.mark.parametrize("be_busy", [sleep, compute, hold_the_gil])


# ---- what came meanwhile


def check(messages: list[str | bytes]) -> None:
    """All that the server has sent, in order; and that was more than a queue of the default length."""
    *numbered, end = messages
    assert [int(number) for number in numbered] == list(range(len(numbered)))
    assert end == f"end {len(numbered)}"
    assert len(numbered) > 1000
    print(f"{len(numbered)} messages, {sum(map(len, messages))} bytes")


def finish(connection: Connection, first: list[str | bytes]) -> None:
    """Tell the server that this is enough, and receive the rest."""
    connection.send("enough")
    messages = list(first)
    while not str(messages[-1]).startswith("end"):
        messages += connection.recv_many(timeout=DEADLINE)
    check(messages)


# ---- inline


@each_way
def test_between_calls(flood: Flood, be_busy: Callable[[], None]) -> None:
    (url, _), (secure_url, options) = flood.plain, flood.tls
    with wsclient.connect(url) as plain, wsclient.connect(secure_url, **options) as tls:
        first = [[connection.recv(DEADLINE)] for connection in (plain, tls)]
        be_busy()
        finish(plain, first[0])
        finish(tls, first[1])


@pytest.mark.parametrize("be_busy", [sleep, compute])
@pytest.mark.parametrize("server", ["plain", "tls"])
def test_in_the_body_of_a_loop(flood: Flood, server: str, be_busy: Callable[[], None]) -> None:
    url, options = getattr(flood, server)
    messages: list[str | bytes] = []
    with wsclient.connect(url, **options) as connection:
        for message in connection:
            messages.append(message)
            if len(messages) == 10:
                be_busy()
                connection.send("enough")
            if str(message).startswith("end"):
                break
    check(messages)


def test_more_than_the_buffer_holds(flood: Flood) -> None:
    """The engine stops reading, and judges nobody whom it does not read. (This server waits for its pongs.)"""
    url, _ = flood.patient
    with wsclient.connect(url, **NARROW) as connection:
        first = [connection.recv(DEADLINE)]
        sleep()
        assert SMALL <= connection.stats().bytes_waiting < 2 * SMALL
        finish(connection, first)


# ---- by the I/O thread


class Received:
    """An on_message that is busy at its first message."""

    def __init__(self, be_busy: Callable[[], None]) -> None:
        self.be_busy = be_busy
        self.messages: list[str | bytes] = []
        self.was_busy = threading.Event()
        self.done = threading.Event()

    def __call__(self, connection: Connection, message: str | bytes) -> None:
        self.messages.append(message)
        if len(self.messages) == 1:
            self.be_busy()
            self.was_busy.set()
        if str(message).startswith("end"):
            self.done.set()


@each_way
def test_in_a_callback(flood: Flood, be_busy: Callable[[], None]) -> None:
    """One thread calls all callbacks: while the last one's is busy, so is that of the other connection."""
    (url, _), (secure_url, options) = flood.plain, flood.tls
    first, last = Received(lambda: None), Received(be_busy)
    with (
        wsclient.connect(secure_url, on_message=first, **options) as tls,
        wsclient.connect(url, on_message=last) as plain,
    ):
        assert last.was_busy.wait(DEADLINE)
        tls.send("enough")
        plain.send("enough")
        for received in (first, last):
            assert received.done.wait(DEADLINE)
            check(received.messages)


def test_more_than_the_buffer_holds_in_the_background(flood: Flood) -> None:
    url, _ = flood.patient
    with wsclient.connect(url, background=True, **NARROW) as connection:
        first = [connection.recv(DEADLINE)]
        sleep()
        assert SMALL <= connection.stats().bytes_waiting < 2 * SMALL
        finish(connection, first)


# ---- asyncio


async def finish_later(connection: AsyncConnection, first: list[str | bytes]) -> None:
    """As finish()."""
    await connection.send("enough")
    messages = list(first)
    while not str(messages[-1]).startswith("end"):
        messages += await connection.recv_many(timeout=DEADLINE)
    check(messages)


@each_way
@on_each_loop
async def test_in_a_task(flood: Flood, be_busy: Callable[[], None]) -> None:
    (url, _), (secure_url, options) = flood.plain, flood.tls
    async with aio.connect(url) as plain, aio.connect(secure_url, **options) as tls:
        first = [[await connection.recv(DEADLINE)] for connection in (plain, tls)]
        waiting = asyncio.create_task(tls.recv(DEADLINE))
        await asyncio.sleep(0)
        be_busy()
        first[1].append(await waiting)
        await finish_later(plain, first[0])
        await finish_later(tls, first[1])


@pytest.mark.parametrize("server", ["plain", "tls"])
@on_each_loop
async def test_in_the_body_of_an_async_for(flood: Flood, server: str) -> None:
    url, options = getattr(flood, server)
    messages: list[str | bytes] = []
    async with aio.connect(url, **options) as connection:
        async for message in connection:
            messages.append(message)
            if len(messages) == 10:
                compute()
                await connection.send("enough")
            if str(message).startswith("end"):
                break
    check(messages)


@on_each_loop
async def test_in_a_callback_of_the_loop(flood: Flood) -> None:
    messages: list[str | bytes] = []
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_message(connection: AsyncConnection, message: str | bytes) -> None:
        messages.append(message)
        if len(messages) == 10:
            sleep()
            connection.send_nowait("enough")
        if str(message).startswith("end"):
            ended.set_result(None)

    async with aio.connect(flood.plain[0], on_message=on_message):
        await asyncio.wait_for(ended, DEADLINE)
    check(messages)


def test_while_the_loop_is_stopped(flood: Flood) -> None:
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(open_later(flood.plain[0]))
    first = [loop.run_until_complete(connection.recv(DEADLINE))]
    sleep()
    loop.run_until_complete(finish_later(connection, first))
    loop.run_until_complete(connection.close())
    loop.close()


async def open_later(url: str) -> AsyncConnection:
    return await aio.connect(url)


@on_each_loop
async def test_more_than_the_buffer_holds_on_asyncio(flood: Flood) -> None:
    async with aio.connect(flood.patient[0], **NARROW) as connection:
        first = [await connection.recv(DEADLINE)]
        sleep()
        assert SMALL <= connection.stats().bytes_waiting < 2 * SMALL
        await finish_later(connection, first)


# ---- asyncio: what is done while the loop is busy, the loop learns, though its sockets have nothing to say any more


def be_busy_until(condition: Callable[[], bool]) -> None:
    """Let no event loop of this thread run before that."""
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def saying(*frames: bytes) -> Callable[[Peer], None]:
    """What a server does that says so after the upgrade, and then waits for the client's end."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(frames))
        peer.wait_gone()

    return serve


@on_each_loop
async def test_who_waits_gets_what_was_read_while_the_loop_was_busy() -> None:
    with RawServer(saying(frame(TEXT, b"one"), frame(TEXT, b"two"))) as server:
        async with aio.connect(server.url) as connection:
            waiting = asyncio.create_task(connection.recv())
            await asyncio.sleep(0)
            be_busy_until(lambda: connection.stats().messages_waiting == 2)
            assert await asyncio.wait_for(waiting, DEADLINE) == "one"
            assert await connection.recv(0) == "two"
            connection.abort()


@on_each_loop
async def test_callbacks_are_called_for_what_was_read_while_the_loop_was_busy() -> None:
    messages: asyncio.Queue[str | bytes] = asyncio.Queue()
    with RawServer(saying(frame(TEXT, b"one"), frame(TEXT, b"two"))) as server:
        async with aio.connect(server.url, on_message=lambda _, message: messages.put_nowait(message)) as connection:
            be_busy_until(lambda: connection.stats().messages_waiting == 2)
            assert [await asyncio.wait_for(messages.get(), DEADLINE) for _ in range(2)] == ["one", "two"]
            connection.abort()


@on_each_loop
async def test_an_end_while_the_loop_was_busy_is_told() -> None:
    closed: asyncio.Queue[CloseInfo] = asyncio.Queue()
    with RawServer(saying(frame(TEXT, b"last"), close_frame(1000))) as server:
        connection = await aio.connect(server.url, on_close=lambda _, info: closed.put_nowait(info))
        waiting = asyncio.create_task(connection.wait_closed())
        await asyncio.sleep(0)
        be_busy_until(lambda: connection.state is State.CLOSED)
        assert await asyncio.wait_for(waiting, DEADLINE)
        assert (await asyncio.wait_for(closed.get(), DEADLINE)).code == 1000
        assert [message async for message in connection] == ["last"]


@on_each_loop
async def test_a_loss_while_the_loop_was_busy_is_made_good() -> None:
    def drop(peer: Peer) -> None:
        peer.upgrade()

    with SeriesServer([drop, saying(frame(TEXT, b"here again"))]) as server:
        async with aio.connect(server.url, reconnect=wsclient.ReconnectPolicy(initial_delay=0)) as connection:
            be_busy_until(lambda: connection.state is not State.OPEN)
            assert await connection.recv(DEADLINE) == "here again"
            connection.abort()


@on_each_loop
async def test_a_peer_that_is_gone_while_the_loop_was_busy_is_noticed() -> None:
    with RawServer(saying()) as server:
        connection = await aio.connect(server.url, ping_interval=0.1, ping_timeout=0.1)
        waiting = asyncio.create_task(connection.recv())
        await asyncio.sleep(0)
        be_busy_until(lambda: connection.state is State.CLOSED)
        with pytest.raises(ConnectionClosedError) as raised:
            await asyncio.wait_for(waiting, DEADLINE)
        assert isinstance(raised.value.__cause__, PingTimeoutError)


@on_each_loop
async def test_a_ping_that_is_due_later_needs_no_timer() -> None:
    """Of more than a second the loop knows nothing: the keeper pings, and the loop is told what came of it."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame()[1] == PING
        peer.sock.sendall(frame(TEXT, b"pinged"))
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = await aio.connect(server.url, ping_interval=1.5, ping_timeout=DEADLINE)
        assert await connection.recv(DEADLINE) == "pinged"
        connection.abort()


@on_each_loop
async def test_the_connections_of_a_loop_share_one_descriptor(websockets_echo: Echo) -> None:
    before = descriptors_at_rest()
    first = await aio.connect(websockets_echo.url)
    beside = open_descriptors() - before - 1  # the loop's, and those of the engine's thread
    others = [await aio.connect(websockets_echo.url) for _ in range(10)]
    assert open_descriptors() == before + 11 + beside
    for connection in (first, *others):
        connection.abort()
    assert descriptors_at_rest() == before


@pytest.mark.parametrize("end", ["stopped", "closed"])
def test_nobody_keeps_what_is_forgotten_with_its_loop(websockets_echo: Echo, end: str) -> None:
    before = descriptors_at_rest()
    loop = asyncio.new_event_loop()
    connection = loop.run_until_complete(open_later(websockets_echo.url))
    wait_until(lambda: threads() == {"wsclient-io": 1})
    if end == "closed":
        loop.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del connection
        gc.collect()
    wait_until(lambda: not threads())
    if end == "stopped":
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
    assert open_descriptors() == before


def test_a_loop_that_is_forgotten_with_its_connections_is_collected(websockets_echo: Echo) -> None:
    before = descriptors_at_rest()

    async def leave_waiting(url: str) -> weakref.ref[asyncio.AbstractEventLoop]:
        connection = await aio.connect(url)
        loop = asyncio.get_running_loop()
        loop.create_task(connection.recv())  # type: ignore[unused-awaitable]  # noqa: RUF006
        await asyncio.sleep(0)
        return weakref.ref(loop)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        loop = asyncio.new_event_loop()
        reference = loop.run_until_complete(leave_waiting(websockets_echo.url))
        del loop
        gc.collect()
    assert reference() is None
    wait_until(lambda: not threads())
    assert open_descriptors() == before


def test_a_child_of_fork_leaves_its_parents_connection_kept(websockets_echo: Echo) -> None:
    async def talk() -> None:
        async with aio.connect(websockets_echo.url) as connection:
            child = os.fork()
            if child == 0:
                os._exit(0 if connection.state is State.CLOSED else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            await connection.send("hello")
            be_busy_until(lambda: connection.stats().messages_waiting == 1)
            assert await connection.recv(DEADLINE) == "hello"

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of a process with threads, from 3.12 on
        asyncio.run(talk())


WITHOUT_A_THREAD = """
import asyncio, pathlib, resource, sys
import wsclient, wsclient.aio
pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**22  # less than a thread's stack
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
async def connect():
    await wsclient.aio.connect(sys.argv[1], proxy=None)
for way in (lambda: wsclient.connect(sys.argv[1], proxy=None), lambda: asyncio.run(connect())):
    try:
        way()
    except OSError as error:
        print(error)
"""


def test_without_a_thread_to_keep_it_there_is_no_connection(websockets_echo: Echo) -> None:
    command = [sys.executable, "-W", "error", "-c", WITHOUT_A_THREAD, websockets_echo.url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("there is no thread to be had") == 2
