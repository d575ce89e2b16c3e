"""stats(): what went over a connection, and what waits."""

import asyncio
import threading
from typing import Any

import pytest

import wsclient
from conftest import wait_until
from raw_server import DEADLINE, PING, PONG, TEXT, Peer, RawServer, close_frame, frame
from series_server import SeriesServer, end, read_message
from wsclient import AsyncWSClient, InvalidState, Stats, WSClient, aio
from wsclient.testing import ChatServer

MESSAGES = [b"one", b"two", b"x" * 1000]


def behind_a_ping(peer: Peer) -> None:
    """A server that sends three messages, one of them in two frames, before the pong, and then closes when told."""
    peer.upgrade()
    _, opcode, payload = peer.read_frame()
    assert opcode == PING
    halves = frame(TEXT, b"x" * 500, fin=False) + frame(0, b"x" * 500)
    peer.sock.sendall(frame(TEXT, b"one") + frame(TEXT, b"two") + halves + frame(PONG, payload))
    peer.read_close()
    peer.sock.sendall(close_frame(1000))
    peer.wait_gone()


def assert_waiting(stats: Stats) -> None:
    """What there is to be counted behind_a_ping."""
    assert stats.messages_received == stats.messages_waiting == 3
    assert stats.bytes_waiting > sum(map(len, MESSAGES))
    assert (stats.frames_sent, stats.frames_received) == (1, 5)
    assert stats.pongs_received == 1
    assert stats.bytes_queued == stats.messages_dropped == 0
    assert stats.latency > 0


@pytest.mark.parametrize("background", [False, True])
def test_what_waits_is_counted(background: bool) -> None:
    with RawServer(behind_a_ping) as server:
        connection = wsclient.connect(server.url, background=background)
        connection.ping(timeout=DEADLINE)
        stats = connection.stats()
        assert_waiting(stats)
        assert stats.timings == connection.timings
        assert stats.timings.tcp > 0
        assert stats.timings.upgrade > 0
        assert connection.recv(DEADLINE) == "one"
        assert connection.stats().messages_waiting == 2
        assert len(connection.recv_many(timeout=DEADLINE)) == 2
        stats = connection.stats()
        assert (stats.messages_waiting, stats.bytes_waiting) == (0, 0)
        connection.close()
        stats = connection.stats()
        assert (stats.frames_sent, stats.frames_received) == (2, 6)


def test_what_waits_is_counted_on_asyncio() -> None:
    async def main(url: str) -> None:
        async with aio.connect(url) as connection:
            await connection.ping(timeout=DEADLINE)
            assert_waiting(connection.stats())
            assert connection.stats().timings == connection.timings
            assert await connection.recv(DEADLINE) == "one"
            assert connection.stats().messages_waiting == 2
            assert len(await connection.recv_many(timeout=DEADLINE)) == 2
            assert connection.stats().messages_waiting == 0

    with RawServer(behind_a_ping) as server:
        asyncio.run(main(server.url))


def test_what_is_queued_is_counted() -> None:
    read = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert read.wait(DEADLINE)
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, compression=None)
        sender = threading.Thread(target=connection.send, args=[bytes(16 << 20)])
        sender.start()
        wait_until(lambda: connection.stats().bytes_queued > 0)
        stats = connection.stats()
        assert stats.messages_sent == stats.frames_sent == 1
        assert stats.bytes_sent + stats.bytes_queued > 16 << 20
        read.set()
        sender.join(DEADLINE)
        assert connection.stats().bytes_queued == 0
        assert connection.stats().bytes_sent > 16 << 20
        connection.abort()


def test_what_is_taken_back_was_not_sent() -> None:
    async def main(url: str) -> None:
        connection = await aio.connect(url, compression=None, write_limit=1)
        connection.send_nowait(bytes(16 << 20))
        task = asyncio.create_task(connection.send("x"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert connection.stats().messages_sent == connection.stats().frames_sent == 1
        assert connection.stats().bytes_queued > 0
        connection.abort()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert over.wait(DEADLINE)

    over = threading.Event()
    with RawServer(serve) as server:
        asyncio.run(main(server.url))
        over.set()


def test_surplus_messages_are_dropped_while_closing() -> None:
    """Somebody closes, and in front of the peer's close frame there is more than may wait."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_close()
        message = frame(TEXT, bytes(1 << 20))
        for _ in range(20):
            peer.sock.sendall(message)
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url)
        connection.close()
        stats = connection.stats()
        assert stats.messages_received == 20
        assert stats.messages_dropped == 20 - stats.messages_waiting > 0
        assert len(list(connection)) == stats.messages_waiting


@pytest.mark.parametrize("background", [False, True])
def test_the_counting_goes_on_across_connections(background: bool) -> None:
    looked = threading.Event()

    def first(peer: Peer) -> None:
        peer.upgrade()
        assert read_message(peer) == b"one"
        peer.sock.sendall(frame(TEXT, b"first"))
        assert looked.wait(DEADLINE)

    def second(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"second"))
        end(peer)
        peer.wait_gone()

    policy = wsclient.ReconnectPolicy(initial_delay=0.01)
    with SeriesServer([first, second]) as server:
        connection = wsclient.connect(server.url, reconnect=policy, background=background)
        connection.send("one")
        assert connection.recv(DEADLINE) == "first"
        before = connection.stats()
        looked.set()
        assert connection.recv(DEADLINE) == "second"
        after = connection.stats()
        assert after.reconnects == 1
        assert after.frames_received == before.frames_received + 1
        assert after.frames_sent >= before.frames_sent + 1  # the message again
        assert after.bytes_sent > before.bytes_sent + len("GET / HTTP/1.1")
        connection.close()


def test_the_chat_clients_have_them(chat_server: ChatServer) -> None:
    where: Any = (chat_server.host, chat_server.port, "Ann")
    client = WSClient(*where)
    with pytest.raises(InvalidState):
        client.stats()
    assert client.connect()
    assert client.stats().messages_sent == 1  # the name
    client.disconnect()
    assert client.stats().frames_received > 0

    async def main() -> None:
        client = AsyncWSClient(*where)
        with pytest.raises(InvalidState):
            client.stats()
        assert await client.connect()
        assert client.stats().messages_sent == 1
        await client.disconnect()

    asyncio.run(main())
