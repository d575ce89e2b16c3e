"""on_frame: told of every frame, in order, whoever drives the connection."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import wsclient
from conftest import wait_until
from drivers import DRIVERS, Driven
from raw_server import DEADLINE, PING, PONG, TEXT, Peer, RawServer, close_frame, frame
from wsclient import AsyncWSClient, Frame, Opcode, WSClient, aio
from wsclient.testing import ChatServer

by_each_driver = pytest.mark.parametrize("driver", DRIVERS)


def talk(peer: Peer) -> None:
    """A message in two frames with a ping between them; then it answers a ping and a close."""
    peer.upgrade()
    assert peer.read_frame()[2] == b"hello"
    peer.sock.sendall(frame(TEXT, b"one ", fin=False) + frame(PING, b"there?") + frame(0, b"two"))
    assert peer.read_frame()[1] == PONG
    _, opcode, payload = peer.read_frame()
    assert opcode == PING
    peer.sock.sendall(frame(PONG, payload))
    peer.read_close()
    peer.sock.sendall(close_frame(1000, "bye"))
    peer.wait_gone()


TALK = [
    (True, Opcode.TEXT, True, 5, b""),
    (False, Opcode.TEXT, False, 4, b""),
    (False, Opcode.PING, True, 6, b"there?"),
    (True, Opcode.PONG, True, 6, b"there?"),
    (False, Opcode.CONT, True, 3, b""),
    (True, Opcode.PING, True, 4, b"here"),
    (False, Opcode.PONG, True, 4, b"here"),
    (True, Opcode.CLOSE, True, 2, b"\x03\xe8"),
    (False, Opcode.CLOSE, True, 5, b"\x03\xe8bye"),
]


def facts(frames: list[Frame], sent: bool | None = None) -> list[tuple[bool, Opcode, bool, int, bytes]]:
    """All but who and when; of one direction, if that is said."""
    return [(f.sent, f.opcode, f.fin, f.length, f.payload) for f in frames if sent in (None, f.sent)]


@by_each_driver
def test_every_frame_is_told(driver: str) -> None:
    frames = list[Frame]()
    began = time.time()
    with RawServer(talk) as server, Driven(driver, server.url, on_frame=frames.append, compression=None) as driven:
        number = driven.connection.id
        driven.call("send", "hello")
        assert driven.call("recv") == "one two"
        driven.call("ping", b"here")
        driven.call("close")
        wait_until(lambda: len(frames) == len(TALK))
        assert driven.connection.stats().frames_missed == 0
    for sent in (True, False):  # which of two was first is not told where both were under way
        assert facts(frames, sent) == [fact for fact in TALK if fact[0] is sent]
    assert {f.connection for f in frames} == {number}
    assert not any(f.rsv1 for f in frames)
    for direction in ([f for f in frames if f.sent], [f for f in frames if not f.sent]):
        assert began <= direction[0].time <= direction[-1].time <= time.time()
        assert [f.time for f in direction] == sorted(f.time for f in direction)


def test_callbacks_do_not_keep_it_from_the_end() -> None:
    frames = list[Frame]()
    heard = threading.Event()
    with RawServer(talk) as server:
        connection = wsclient.connect(
            server.url, on_message=lambda *_: heard.set(), on_frame=frames.append, compression=None
        )
        connection.send("hello")
        assert heard.wait(DEADLINE)
        connection.ping(b"here", DEADLINE)
        connection.close()
        wait_until(lambda: len(frames) == len(TALK))
    assert facts(frames, False) == [fact for fact in TALK if not fact[0]]


def test_callbacks_of_asyncio_do_not_keep_it_from_the_end() -> None:
    frames = list[Frame]()

    async def main(url: str) -> None:
        connection = await aio.connect(
            url, on_message=lambda connection, _: connection.send_nowait("again"), on_frame=frames.append
        )
        connection.send_nowait("hello")
        await connection.wait_closed()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame()[2] == b"hello"
        peer.sock.sendall(frame(TEXT, b"message"))
        assert peer.read_frame()[2] == b"again"
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server:
        asyncio.run(main(server.url))
    assert [f.opcode.name for f in frames] == ["TEXT", "TEXT", "TEXT", "CLOSE", "CLOSE"]
    assert [f.sent for f in frames] == [True, False, True, False, True]


@by_each_driver
def test_what_is_sent_is_told_though_nothing_comes(driver: str) -> None:
    told = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame()[2] == b"hello"
        assert told.wait(DEADLINE)

    with RawServer(serve) as server, Driven(driver, server.url, on_frame=lambda _: told.set()) as driven:
        driven.call("send", "hello")
        if driver == "asyncio":
            driven.call("wait_closed", 0.05)  # the loop runs
        assert told.wait(DEADLINE)


def test_a_compressed_message_is_told_as_it_goes_over_the_wire() -> None:
    frames = list[Frame]()

    def serve(peer: Peer) -> None:
        peer.upgrade("Sec-WebSocket-Extensions: permessage-deflate")
        assert len(peer.read_frame()[2]) == frames[0].length
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, on_frame=frames.append)
        connection.send("x" * 1000)
        assert connection.wait_closed(DEADLINE)
    assert frames[0].rsv1
    assert frames[0].length < 100
    assert str(frames[0]) == f"> TEXT, compressed, {frames[0].length} bytes"
    assert str(frames[1]) == "< CLOSE, 2 bytes 03e8"


@pytest.mark.parametrize("driver", ["inline", "asyncio"])
def test_it_is_called_by_who_drives(driver: str) -> None:
    callers = set[int]()
    with (
        RawServer(talk) as server,
        Driven(driver, server.url, on_frame=lambda _: callers.add(threading.get_ident())) as driven,
    ):
        driven.call("send", "hello")
        driven.call("recv")
        driven.call("ping")
        driven.call("close")
    assert callers == {threading.get_ident()}


def test_in_the_background_it_is_called_by_the_dispatcher() -> None:
    names = set[int]()
    with (
        RawServer(talk) as server,
        Driven("thread", server.url, on_frame=lambda _: names.add(threading.get_ident())) as driven,
    ):
        driven.call("send", "hello")
        driven.call("recv")
        driven.call("ping")
        driven.call("close")
        wait_until(lambda: bool(names))
    assert len(names) == 1
    assert names != {threading.get_ident()}


@by_each_driver
def test_what_it_raises_is_logged_and_stops_nothing(driver: str, caplog: pytest.LogCaptureFixture) -> None:
    def on_frame(told: Frame) -> None:
        raise ValueError(f"told of {told.opcode.name}")

    with RawServer(talk) as server, Driven(driver, server.url, on_frame=on_frame, compression=None) as driven:
        driven.call("send", "hello")
        assert driven.call("recv") == "one two"
        driven.call("ping", b"here")
        driven.call("close")
        wait_until(lambda: len(caplog.messages) == len(TALK))
        assert caplog.messages[0] == f"#{driven.connection.id} on_frame raised"


@by_each_driver
def test_it_may_send_and_break_off(driver: str) -> None:
    """Neither waits for itself, and a frame that it sends is told, too."""
    frames = list[Frame]()

    def on_frame(told: Frame) -> None:
        frames.append(told)
        if told.payload == b"there?":
            (driven.connection.send_nowait if driver == "asyncio" else driven.connection.send)("from on_frame")
        if told.sent and told.length == len("from on_frame"):
            driven.connection.abort()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        peer.sock.sendall(frame(PING, b"there?"))
        peer.wait_gone()

    with RawServer(serve) as server, Driven(driver, server.url, on_frame=on_frame) as driven:
        driven.call("send", "hello")
        assert driven.call("wait_closed", DEADLINE)
    assert frames


def test_who_is_too_slow_misses_the_oldest() -> None:
    may_go, blocked = threading.Event(), threading.Event()
    lengths = list[int]()
    count = 3000

    def on_frame(told: Frame) -> None:
        blocked.set()
        assert may_go.wait(DEADLINE)
        lengths.append(told.length)

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(frame(TEXT, b"x" * (i % 100)) for i in range(count)))
        peer.wait_gone()

    with RawServer(serve) as server, Driven("thread", server.url, on_frame=on_frame) as driven:
        assert blocked.wait(DEADLINE)
        wait_until(lambda: driven.connection.stats().frames_received == count)
        missed = driven.connection.stats().frames_missed
        assert missed > 0
        may_go.set()
        wait_until(lambda: len(lengths) == count - missed)
        assert lengths[-1000:] == [i % 100 for i in range(count - 1000, count)]


def test_an_interrupt_in_it_loses_no_message() -> None:
    def on_frame(told: Frame) -> None:
        if not told.sent and told.opcode is Opcode.TEXT:
            raise KeyboardInterrupt

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"message"))
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, on_frame=on_frame)
        with pytest.raises(KeyboardInterrupt):
            connection.recv(DEADLINE)
        assert connection.recv(DEADLINE) == "message"
        connection.abort()


@pytest.mark.parametrize("background", [None, True])
def test_a_cycle_through_it_is_collected(background: bool | None) -> None:
    class Owner:
        def __init__(self, url: str) -> None:
            self.connection = wsclient.connect(url, background=background, on_frame=self.on_frame)

        def on_frame(self, told: Frame) -> None: ...

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    with RawServer(serve) as server:
        owner = Owner(server.url)
        gone = weakref.ref(owner)
        del owner
        gc.collect()
        wait_until(lambda: gone() is None)


def test_the_chat_clients_have_it(chat_server: ChatServer) -> None:
    frames = list[Frame]()
    where: Any = (chat_server.host, chat_server.port, "Ann")
    client = WSClient(*where, on_frame=frames.append)
    assert client.connect()
    assert client.start()
    client.stop()
    wait_until(lambda: len(frames) == 3)
    assert [f.opcode.name for f in frames] == ["TEXT", "CLOSE", "CLOSE"]

    async def main() -> None:
        client = AsyncWSClient(*where, on_frame=frames.append)
        assert await client.connect()
        await client.disconnect()

    asyncio.run(main())
    assert [f.opcode.name for f in frames[3:]] == ["TEXT", "CLOSE", "CLOSE"]
    assert frames[0].connection != frames[3].connection


async def later(told: Frame) -> None: ...


@pytest.mark.parametrize("wrong", [7, later])
@pytest.mark.parametrize("connect", [wsclient.connect, aio.connect])
def test_it_must_be_a_plain_function(connect: Callable[..., object], wrong: object) -> None:
    with pytest.raises(TypeError, match="on_frame"):
        connect("ws://127.0.0.1:1/", on_frame=wrong)
