"""Cancelling whatever waits on an asyncio connection: nothing is lost, torn or left, and the connection goes on."""

import asyncio
import contextlib
import itertools
import os
import queue
import socket
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Generator
from typing import Any

import pytest

from certificates import Certificates, server_context, tls_echo
from conftest import Echo
from loops import on_each_loop
from own_process import descriptors_at_rest, open_descriptors
from proxies import tinyproxy
from raw_server import CLOSE, DEADLINE, PING, TEXT, Peer, RawServer, close_frame, frame
from wsclient import State, TLSOptions, aio

At = Callable[[asyncio.Task[Any], Any], None]


def at_once(task: asyncio.Task[Any], waited_for: Any) -> None:
    """Cancel as soon as it waits."""
    task.cancel()


def when_decided(task: asyncio.Task[Any], waited_for: Any) -> None:
    """Cancel when what it waits for has come, and before it goes on."""
    if waited_for is None:  # it only lets others run
        task.cancel()
    else:
        waited_for.add_done_callback(lambda _: task.cancel())


class Cancelled:
    """Awaits something and has the task cancelled at its n-th wait; `waits` is how many there were."""

    def __init__(self, work: Awaitable[Any], n: int, at: At) -> None:
        self.work, self.n, self.at = work, n, at
        self.waits = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task
        steps = self.work.__await__()
        thrown: BaseException | None = None
        while True:
            try:
                waited_for = steps.throw(thrown) if thrown else steps.send(None)
            except StopIteration as end:
                return end.value
            self.waits += 1
            if self.waits == self.n:
                self.at(task, waited_for)
            thrown = None
            try:
                yield waited_for
            except BaseException as error:
                thrown = error


async def cancelled_at(n: int, at: At, work: Coroutine[Any, Any, Any]) -> bool:
    """Do it in a task that is cancelled at its n-th wait; whether it was, or had ended before."""
    steps = Cancelled(work, n, at)

    async def do() -> None:
        await steps

    done = (await asyncio.gather(asyncio.create_task(do()), return_exceptions=True))[0]
    assert done is None or isinstance(done, asyncio.CancelledError), repr(done)
    assert done is None or steps.waits >= n
    return done is not None


def ways(test: Any) -> Any:
    """Both moments of cancelling."""
    return pytest.mark.parametrize("at", [at_once, when_decided], ids=lambda at: at.__name__)(test)


async def received_until(connection: aio.AsyncConnection, last: str) -> list[str | bytes]:
    """All that comes before this message."""
    received: list[str | bytes] = []
    while (message := await connection.recv(DEADLINE)) != last:
        received.append(message)
    return received


class Conversation:
    """Sends and receives on a connection, and notes what."""

    def __init__(self, connection: aio.AsyncConnection) -> None:
        self.connection = connection
        self.begun = 0
        self.sent = 0
        self.received: list[str | bytes] = []

    async def hold(self) -> None:
        """Four messages there and back, with pings between."""
        while self.sent < 4:
            self.begun += 1
            await self.connection.send(f"message {self.sent}")
            self.sent += 1
            self.received.append(await self.connection.recv(DEADLINE))
            await self.connection.ping(timeout=DEADLINE)

    async def check(self) -> None:
        """See that the connection is usable, and that nothing has been lost or is there twice."""
        await self.connection.send("last")
        self.received += await received_until(self.connection, "last")
        count = len(self.received)
        assert self.received == [f"message {i}" for i in range(count)]
        assert self.sent <= count <= self.begun
        assert await self.connection.ping() > 0


@ways
@on_each_loop
async def test_every_wait_of_a_conversation_can_be_cancelled(websockets_echo: Echo, at: At) -> None:
    n, more = 0, True
    while more:
        n += 1
        async with aio.connect(websockets_echo.url) as connection:
            conversation = Conversation(connection)
            more = await cancelled_at(n, at, conversation.hold())
            await conversation.check()
    assert n > 4


@ways
@on_each_loop
async def test_a_receive_that_is_cancelled_at_any_wait_loses_nothing(at: At) -> None:
    """The server sends in pieces that are no messages, each when it is asked for; two make at least one message."""
    count = 300
    messages = [f"{i}" * (i % 7 * 50) for i in range(count)]
    stream = b"".join(frame(TEXT, message.encode()) + frame(PING, b"you?") for message in messages)

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for start in range(0, len(stream), 1001):
            while peer.read_frame()[1] != TEXT:
                pass
            peer.sock.sendall(stream[start : start + 1001])
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = await aio.connect(server.url, compression=None)
        received: list[str | bytes] = []

        async def receive() -> None:
            received.append(await connection.recv(DEADLINE))

        async def receive_many() -> None:
            received.extend(await connection.recv_many(3, DEADLINE))

        cancelled = Counter[bool]()
        tries = list(itertools.product((1, 2, 3), (receive, receive_many)))
        ways = {True: itertools.cycle(tries), False: itertools.cycle(tries)}
        while len(received) < count:
            there = connection.stats().messages_received > len(received)
            for _ in range(0 if there else 2):
                connection.send_nowait("more")
            n, what = next(ways[there])
            cancelled[there] += await cancelled_at(n, at, what())
        assert received == messages
        assert cancelled[False] > 5
        connection.abort()


def ends(peer: Peer) -> None:
    """A server that answers each message with its first and last letter; between them are only x."""
    peer.upgrade()
    while True:
        _, opcode, payload = peer.read_frame()
        if opcode == CLOSE:
            peer.sock.sendall(frame(CLOSE, payload[:2]))
            return
        assert set(payload[1:-1]) <= {ord("x")}, "torn"
        peer.sock.sendall(frame(TEXT, payload[:1] + payload[-1:]))


@ways
@on_each_loop
async def test_a_send_that_is_cancelled_at_any_wait_is_sent_whole_or_not_at_all(at: At) -> None:
    options: dict[str, Any] = {
        "socket_options": [(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)],
        "write_limit": 2000,
        "compression": None,
    }
    n, more = 0, True
    while more:
        n += 1
        with RawServer(ends) as server:
            server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            async with aio.connect(server.url, **options) as connection:
                sent: list[str] = []

                async def send(connection: aio.AsyncConnection = connection, sent: list[str] = sent) -> None:
                    for i in range(3):
                        sent.append(f"{i}{i}")
                        await connection.send(f"{i}" + "x" * 60_000 + f"{i}")

                aside = asyncio.create_task(connection.send("a" + "x" * 60_000 + "a"))
                more = await cancelled_at(n, at, send())
                await aside
                await connection.send("zz")
                received = await received_until(connection, "zz")
                assert received.count("aa") == 1
                received.remove("aa")
                assert received in (sent, sent[:-1])
    assert n > 4


@on_each_loop
async def test_a_send_of_which_nothing_is_written_is_taken_back() -> None:
    go = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert go.wait(DEADLINE)
        assert [len(peer.read_frame()[2]) for _ in range(2)] == [1_000_000, 5]
        peer.sock.sendall(close_frame(*peer.read_close()))

    with RawServer(serve) as server:
        server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        options: dict[str, Any] = {"socket_options": [(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)]}
        async with aio.connect(server.url, write_limit=1_500_000, **options) as connection:
            await connection.send(bytes(1_000_000))  # there is room for that
            more = await cancelled_at(1, at_once, connection.send(bytes(900_000)))
            assert more
            assert connection.stats().messages_sent == 1
            await connection.send("after")
            go.set()


@ways
@on_each_loop
async def test_a_send_many_that_is_cancelled_has_sent_the_first_ones(websockets_echo: Echo, at: At) -> None:
    items = [f"{i} " + "x" * 700 for i in range(400)]
    n, more = 0, True
    while more and n < 12:
        n += 1
        async with aio.connect(websockets_echo.url, write_limit=1000, compression=None) as connection:
            more = await cancelled_at(n, at, connection.send_many(items))
            await connection.send("last")
            received = await received_until(connection, "last")
            assert received == items[: len(received)]
            assert more or len(received) == len(items)
    assert n > 1


@ways
@on_each_loop
async def test_a_fragmented_message_that_is_cancelled_closes_with_1011_or_has_not_begun(at: At) -> None:
    async def parts() -> AsyncIterator[str]:
        for i in range(3):
            await asyncio.sleep(0)
            yield f"{i}"

    n, more = 0, True
    while more:
        n += 1
        frames = queue.Queue[tuple[bool, int, bytes]]()

        def serve(peer: Peer, frames: "queue.Queue[tuple[bool, int, bytes]]" = frames) -> None:
            peer.upgrade()
            while True:
                frames.put(got := peer.read_frame())
                if got[1] == CLOSE:
                    peer.sock.sendall(frame(CLOSE, got[2][:2]))
                    return

        with RawServer(serve) as server:
            async with aio.connect(server.url) as connection:
                more = await cancelled_at(n, at, connection.send(parts()))
                begun = frames.qsize() > 0 or connection.state is not State.OPEN
                if more and not begun:
                    await connection.send("usable")
            seen = [frames.get(timeout=DEADLINE) for _ in range(frames.qsize())]
        code = int.from_bytes(seen[-1][2][:2], "big")
        if not more:
            assert [payload for _, _, payload in seen[:-1]] == [b"0", b"1", b"2", b""]
        elif begun:
            assert code == 1011
            assert not any(fin for fin, _, _ in seen[:-1])
        else:
            assert [payload for _, _, payload in seen[:-1]] == [b"usable"]
    assert n > 3


@ways
@on_each_loop
async def test_a_close_that_is_cancelled_goes_on(websockets_echo: Echo, at: At) -> None:
    n, more = 0, True
    while more:
        n += 1
        connection = await aio.connect(websockets_echo.url)
        more = await cancelled_at(n, at, connection.close(3001, "bye"))
        assert await connection.wait_closed(DEADLINE)
        assert connection.close_info
        assert (connection.close_info.code, connection.close_info.clean) == (3001, True)
    assert n > 1


@pytest.mark.parametrize("way", ["plain", "name", "tls", "proxy"])
@ways
@on_each_loop
async def test_a_connect_that_is_cancelled_in_any_phase_leaves_nothing(
    websockets_echo: Echo, certificates: Certificates, way: str, at: At
) -> None:
    with contextlib.ExitStack() as servers:
        url, options = websockets_echo.url, dict[str, Any]()
        if way == "name":
            url = url.replace("127.0.0.1", "localhost")
        if way == "tls":
            url = servers.enter_context(tls_echo(server_context(certificates.server))).url
            options = {"tls": TLSOptions(ca_file=certificates.ca), "proxy": None}
        if way == "proxy":
            options = {"proxy": f"http://127.0.0.1:{servers.enter_context(tinyproxy()).port}"}
        await (await aio.connect(url, **options)).close()
        before, n, more = descriptors_at_rest(), 0, True
        while more:
            n += 1

            async def use() -> None:
                connection = await aio.connect(url, **options)
                connection.abort()

            more = await cancelled_at(n, at, use())
            while open_descriptors() > before:  # a look-up's own, when its thread has ended
                await asyncio.sleep(0.001)
        assert n > 1


async def connected(url: str) -> aio.AsyncConnection:
    return await aio.connect(url, open_timeout=None)


@on_each_loop
async def test_a_connect_that_is_cancelled_while_the_server_is_silent_leaves_nothing() -> None:
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.wait_gone()
        gone.set()

    with RawServer(serve) as server:
        before = descriptors_at_rest()
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(connected(server.url), 0.1)
        assert await asyncio.get_running_loop().run_in_executor(None, gone.wait, DEADLINE)
    assert open_descriptors() <= before


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout and TaskGroup are new in Python 3.11")
@on_each_loop
async def test_timeouts_and_task_groups(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.recv()
        with pytest.raises(ExceptionGroup):  # noqa: F821
            async with asyncio.TaskGroup() as group:
                group.create_task(connection.recv())
                group.create_task(connection.ping())
                await connection.flush()
                raise LookupError
        await connection.send("fine")
        assert await connection.recv(DEADLINE) == "fine"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="TaskGroup is new in Python 3.11")
@on_each_loop
async def test_a_task_group_ends_in_time_though_the_peer_answers_nothing() -> None:
    with RawServer(lambda peer: (peer.upgrade(), peer.wait_gone())) as server:

        async def stay() -> None:
            async with aio.connect(server.url, close_timeout=0.2) as connection:
                await connection.recv()

        with pytest.raises(ExceptionGroup):  # noqa: F821
            async with asyncio.TaskGroup() as group:
                group.create_task(stay())
                await asyncio.sleep(0.05)
                raise LookupError


@on_each_loop
async def test_who_is_cancelled_while_waiting_in_line_is_passed_over() -> None:
    go = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert go.wait(DEADLINE)
        got = [peer.read_frame()[2] for _ in range(4)]
        assert got[1:] == [b"0", b"2", b"4"]
        code, reason = peer.read_close()
        peer.sock.sendall(close_frame(code, reason))

    with RawServer(serve) as server:
        server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        options = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)]
        async with aio.connect(server.url, socket_options=options, compression=None) as connection:
            connection.send_nowait(os.urandom(1_000_000))
            senders = [asyncio.create_task(connection.send(f"{i}")) for i in range(5)]
            await asyncio.sleep(0)
            for sender in senders[1::2]:
                sender.cancel()
            go.set()
            done = await asyncio.gather(*senders, return_exceptions=True)
            assert [isinstance(result, asyncio.CancelledError) for result in done] == [False, True] * 2 + [False]
