"""recv_event(): a message, and when it was read."""

import asyncio
import dataclasses
import threading
import time
from collections.abc import Callable

import pytest

import wsclient
from conftest import wait_until
from raw_server import BINARY, DEADLINE, PING, TEXT, Peer, RawServer, close_frame, frame
from wsclient import ConnectionClosedOK, MessageEvent, ReceiveTimeoutError, aio


def sending(*pieces: bytes, when: threading.Event | None = None) -> Callable[[Peer], None]:
    """A server that upgrades, sends all this at once, and closes once it may."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(pieces))
        assert when is None or when.wait(DEADLINE)
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    return serve


@pytest.mark.parametrize("background", [False, True])
def test_a_message_and_its_time(background: bool) -> None:
    before = time.time()
    with RawServer(sending(frame(TEXT, b"one"), frame(PING), frame(BINARY, b"\0"), frame(TEXT))) as server:
        connection = wsclient.connect(server.url, background=background)
        events = [connection.recv_event(DEADLINE) for _ in range(2)]
        assert connection.recv(DEADLINE) == ""
        assert [event.data for event in events] == ["one", b"\0"]
        times = [event.received for event in events]
        after = time.time()
        assert before <= times[0] <= times[1] <= after
        with pytest.raises(ConnectionClosedOK):
            connection.recv_event(DEADLINE)


def test_an_event_is_a_value() -> None:
    event = MessageEvent("x", 1.5)
    assert event == MessageEvent(data="x", received=1.5)
    assert hash(event) == hash(MessageEvent("x", 1.5))
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.data = "y"  # type: ignore[misc]


def test_the_time_is_that_of_reading_not_of_asking() -> None:
    end = threading.Event()
    with RawServer(sending(frame(TEXT, b"x"), when=end)) as server:
        connection = wsclient.connect(server.url, background=True)
        wait_until(lambda: connection.stats().messages_waiting == 1)
        asked = time.time()
        assert connection.recv_event(DEADLINE).received <= asked
        with pytest.raises(ReceiveTimeoutError):
            connection.recv_event(0)
        end.set()
        assert connection.wait_closed(DEADLINE)


def test_what_one_read_brings_has_one_time() -> None:
    sent = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"one") + frame(TEXT, b"two"))
        sent.set()
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url)
        assert sent.wait(DEADLINE)
        events = [connection.recv_event(DEADLINE) for _ in range(2)]
        assert [event.data for event in events] == ["one", "two"]
        assert events[0].received == events[1].received
        connection.abort()


def test_a_message_and_its_time_on_asyncio() -> None:
    async def main(url: str) -> None:
        before = time.time()
        async with aio.connect(url) as connection:
            events = [await connection.recv_event(DEADLINE) for _ in range(2)]
            assert await connection.recv(DEADLINE) == ""
            assert [event.data for event in events] == ["one", b"\0"]
            times = [event.received for event in events]
            after = time.time()
            assert before <= times[0] <= times[1] <= after
            with pytest.raises(ReceiveTimeoutError):
                await connection.recv_event(0)
            end.set()
            with pytest.raises(ConnectionClosedOK):
                await connection.recv_event(DEADLINE)

    end = threading.Event()
    pieces = [frame(TEXT, b"one"), frame(PING), frame(BINARY, b"\0"), frame(TEXT)]
    with RawServer(sending(*pieces, when=end)) as server:
        asyncio.run(main(server.url))


def test_a_cancelled_one_takes_nothing() -> None:
    async def main(url: str) -> None:
        async with aio.connect(url) as connection:
            task = asyncio.create_task(connection.recv_event())
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            end.set()
            assert (await connection.recv_event(DEADLINE)).data == "x"

    end = threading.Event()
    with RawServer(sending(frame(TEXT, b"x"), when=end)) as server:
        asyncio.run(main(server.url))
