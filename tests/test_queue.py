"""What becomes of messages that nobody receives: max_queue, max_buffer and queue_policy, whoever drives."""

import asyncio
import queue
import threading
from typing import Any

import pytest

import wsclient
from conftest import wait_until
from raw_server import DEADLINE, PING, PONG, TEXT, Peer, RawServer, close_frame, frame
from wsclient import Connection, Stats, WSClient, aio

COUNT, KEPT = 1000, 3
DROPPING: dict[str, Any] = {"queue_policy": "drop_oldest", "max_queue": KEPT, "compression": None}
NEWEST = [f"{i}" for i in range(COUNT - KEPT, COUNT)]


def flood(peer: Peer) -> None:
    """Many messages before the pong."""
    peer.upgrade()
    _, opcode, payload = peer.read_frame()
    assert opcode == PING
    peer.sock.sendall(b"".join(frame(TEXT, b"%d" % i) for i in range(COUNT)) + frame(PONG, payload))
    peer.read_close()
    peer.sock.sendall(close_frame(1000))
    peer.wait_gone()


def assert_dropped(stats: Stats) -> None:
    """All but the newest are."""
    assert stats.messages_received == COUNT
    assert stats.messages_dropped == COUNT - KEPT


@pytest.mark.parametrize("background", [False, True])
def test_the_newest_are_kept(background: bool) -> None:
    with RawServer(flood) as server, wsclient.connect(server.url, background=background, **DROPPING) as connection:
        connection.ping(timeout=DEADLINE)
        assert connection.stats().messages_waiting == KEPT
        assert connection.recv_many(timeout=DEADLINE) == NEWEST
        assert_dropped(connection.stats())


def test_the_newest_are_kept_on_asyncio() -> None:
    async def main(url: str) -> None:
        async with aio.connect(url, **DROPPING) as connection:
            await connection.ping(timeout=DEADLINE)
            assert connection.stats().messages_waiting == KEPT
            assert await connection.recv_many(timeout=DEADLINE) == NEWEST
            assert_dropped(connection.stats())

    with RawServer(flood) as server:
        asyncio.run(main(server.url))


def test_nothing_is_set_aside_for_who_takes_one_at_a_time() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(frame(TEXT, b"early") for _ in range(100)))
        _, opcode, payload = peer.read_frame()
        assert opcode == PING
        peer.sock.sendall(b"".join(frame(TEXT, b"%d" % i) for i in range(COUNT)) + frame(PONG, payload))
        peer.wait_gone()

    async def main(url: str) -> None:
        connection = await aio.connect(url, **DROPPING)
        assert await connection.recv() == "early"
        await connection.ping(timeout=DEADLINE)
        assert connection.stats().messages_waiting == KEPT
        assert [await connection.recv() for _ in NEWEST] == NEWEST
        connection.abort()

    with RawServer(serve) as server:
        asyncio.run(main(server.url))


def test_a_callback_that_takes_long_gets_the_newest() -> None:
    called, go, seen = threading.Event(), threading.Event(), list[str | bytes]()

    def on_message(_: Connection, message: str | bytes) -> None:
        seen.append(message)
        called.set()
        assert go.wait(DEADLINE)

    with (
        RawServer(flood) as server,
        wsclient.connect(server.url, on_message=on_message, **DROPPING) as connection,
    ):
        connection.ping(timeout=DEADLINE)
        assert called.wait(DEADLINE)
        assert connection.stats().messages_waiting <= KEPT
        go.set()
        wait_until(lambda: seen[-1] == NEWEST[-1])
        assert seen[-KEPT:] == NEWEST
        assert connection.stats().messages_dropped == COUNT - len(seen)


def test_the_chat_client_drops_too() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame()[1] == TEXT  # the name
        _, opcode, payload = peer.read_frame()
        assert opcode == PING
        peer.sock.sendall(b"".join(frame(TEXT, b"%d" % i) for i in range(COUNT)) + frame(PONG, payload))
        peer.wait_gone()

    seen = list[str]()
    with RawServer(serve) as server, WSClient(url=server.url, close_timeout=0.1, **DROPPING) as client:
        client.set_message_callback(lambda _client, text, _received: seen.append(text))
        assert client.flush(DEADLINE)
        assert client.listen(DEADLINE)
        wait_until(lambda: client.listen(0) and len(seen) == KEPT)
        assert seen == NEWEST
        assert_dropped(client.stats())


def test_without_max_queue_max_buffer_bounds_what_is_kept() -> None:
    options = {**DROPPING, "max_queue": None, "max_buffer": 1000}
    with RawServer(flood) as server, wsclient.connect(server.url, **options) as connection:
        connection.ping(timeout=DEADLINE)
        stats = connection.stats()
        assert 0 < stats.bytes_waiting <= 1000
        assert stats.messages_waiting < COUNT
        messages = connection.recv_many(timeout=DEADLINE)
        assert messages == [str(i) for i in range(COUNT - len(messages), COUNT)]


class Flood:
    """A server that pings behind some messages, and when told sends more than may wait, and goes on."""

    BUFFER = 1 << 20
    MESSAGE = frame(TEXT, bytes(1 << 16))

    def __init__(self) -> None:
        self.ponged, self.flood = threading.Event(), threading.Event()
        self.sent: queue.Queue[int] = queue.Queue()

    def __call__(self, peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(8 * self.MESSAGE + frame(PING, b"behind"))
        while peer.read_frame()[1:] != (PONG, b"behind"):
            pass
        self.ponged.set()
        assert self.flood.wait(DEADLINE)
        for i in range(1000):
            peer.sock.sendall(self.MESSAGE)
            self.sent.put(i)
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    def assert_bounded(self, stats: Stats) -> None:
        """The buffer is full, and not much more than that."""
        assert self.BUFFER <= stats.bytes_waiting < 2 * self.BUFFER
        assert self.sent.qsize() < 1000

    @classmethod
    def options(cls) -> dict[str, Any]:
        """A peer that is silent is given up soon."""
        return {"max_buffer": cls.BUFFER, "ping_interval": 0.2, "ping_timeout": 1, "compression": None}


def full(stats: Stats) -> bool:
    """Nothing more is read."""
    return stats.bytes_waiting >= Flood.BUFFER


def test_a_full_buffer_stops_reading_and_the_ping_timeout() -> None:
    """Until then pings behind what waits are answered; afterwards nothing is lost."""
    serve = Flood()
    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, background=True, **serve.options())
        assert serve.ponged.wait(DEADLINE)
        serve.flood.set()
        wait_until(lambda: full(connection.stats()))
        assert not connection.wait_closed(2)  # longer than the ping timeout, by far
        serve.assert_bounded(connection.stats())
        assert sum(1 for _ in connection) == 1008
        assert connection.stats().messages_dropped == 0


def test_a_full_buffer_stops_reading_and_the_ping_timeout_on_asyncio() -> None:
    async def main(url: str, serve: Flood) -> None:
        connection = await aio.connect(url, **serve.options())
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, serve.ponged.wait, DEADLINE)
        serve.flood.set()
        while not full(connection.stats()):
            await asyncio.sleep(0.01)
        assert not await connection.wait_closed(2)
        serve.assert_bounded(connection.stats())
        count = 0
        async for _ in connection:
            count += 1
        assert count == 1008

    serve = Flood()
    with RawServer(serve) as server:
        asyncio.run(main(server.url, serve))


def test_a_full_buffer_stops_reading_inline() -> None:
    """In a call that waits for something else."""
    serve = Flood()
    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, **serve.options())
        serve.flood.set()
        assert not connection.wait_closed(2)
        assert serve.ponged.is_set()
        serve.assert_bounded(connection.stats())
        assert sum(1 for _ in connection) == 1008
