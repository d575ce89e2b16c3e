"""Big messages, which are received straight into their bytes: whole, however they come and whoever takes them."""

import asyncio
import threading
import tracemalloc
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

import wsclient
from conftest import Echo, wait_until
from drivers import DRIVERS, Driven
from loops import on_each_loop
from raw_server import BINARY, PING, TEXT, Peer, RawServer, frame
from series_server import SeriesServer

SIZES = [65535, 65536, 65537, 70000, 200_000, 1_000_000, 5_000_000]
BIG = Random(1).randbytes(300_000)
HALF = 150_000
FIRST, REST = frame(BINARY, BIG)[:HALF], frame(BINARY, BIG)[HALF:]
WIDE: dict[str, Any] = {"max_size": 2**24, "compression": None}


@pytest.mark.parametrize("driver", DRIVERS)
def test_they_come_back_as_they_went(driver: str, node_echo: Echo) -> None:
    """Those of before stay what they are: each has memory of its own."""
    sent: list[bytes | str] = []
    for seed, size in enumerate(SIZES):
        sent += [Random(seed).randbytes(size), "x" * size, b"small", "small"]
    with Driven(driver, node_echo.url, **WIDE) as driven:
        came = []
        for message in sent:
            driven.call("send", message)
            came.append(driven.call("recv", timeout=10))
        assert came == sent


@pytest.mark.parametrize("driver", DRIVERS)
def test_many_at_once(driver: str, node_echo: Echo) -> None:
    sent = [Random(size).randbytes(size) for size in SIZES[:6]] * 2
    with Driven(driver, node_echo.url, **WIDE) as driven:
        for message in sent:
            driven.call("send", message)
        came: list[bytes] = []
        while len(came) < len(sent):
            came += driven.call("recv_many", timeout=10)
        assert came == sent


@on_each_loop
async def test_callbacks_of_a_loop_get_them(node_echo: Echo) -> None:
    came: list[bytes | str] = []
    done = asyncio.Event()

    def on_message(_: wsclient.AsyncConnection, message: str | bytes) -> None:
        came.append(message)
        if len(came) == len(SIZES):
            done.set()

    sent = [Random(size).randbytes(size) for size in SIZES]
    async with wsclient.aio.connect(node_echo.url, on_message=on_message, **WIDE) as connection:
        for message in sent:
            await connection.send(message)
        await done.wait()
    assert came == sent


class Halves:
    """A server that sends the first half of a big message, and more when it is told to."""

    def __init__(self, rest: bytes, *, stays: bool = True) -> None:
        self.rest = rest
        self.stays = stays
        self.go = threading.Event()

    def __call__(self, peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(FIRST)
        assert self.go.wait(10)
        peer.sock.sendall(self.rest)
        if self.stays:
            peer.wait_gone()


def take_half(driven: Driven, verb: str = "recv") -> None:
    """Receive in vain until the half is there."""
    while driven.connection.stats().bytes_received < HALF:
        with pytest.raises(TimeoutError):
            driven.call(verb, timeout=0.05)


@pytest.fixture
def traced() -> Iterator[None]:
    """What Python allocates is counted."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("driver", ["inline", "asyncio"])
def test_the_rest_comes_into_the_bytes_that_are_handed_out(driver: str) -> None:
    """They are there, for all of it, when half of it is."""
    serve = Halves(REST)
    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        before, _ = tracemalloc.get_traced_memory()
        take_half(driven)
        half, _ = tracemalloc.get_traced_memory()
        serve.go.set()
        message = driven.call("recv", timeout=10)
        assert half - before > len(BIG)
        assert message == BIG


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_recv_that_gave_up_in_the_midst_loses_nothing(driver: str) -> None:
    serve = Halves(REST + frame(TEXT, b"next"))
    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        take_half(driven)
        serve.go.set()
        assert driven.call("recv", timeout=10) == BIG
        assert driven.call("recv", timeout=10) == "next"


@pytest.mark.parametrize("driver", DRIVERS)
def test_who_was_busy_while_the_rest_came_gets_it(driver: str) -> None:
    """The keeper finished what had begun in the program's own memory, and went on."""
    serve = Halves(REST + frame(PING) + frame(BINARY, BIG[::-1]))
    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        take_half(driven)
        serve.go.set()
        wait_until(lambda: driven.connection.stats().messages_waiting == 2)
        assert driven.call("recv", timeout=10) == BIG
        assert driven.call("recv", timeout=10) == BIG[::-1]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_recv_many_that_gave_up_loses_nothing(driver: str) -> None:
    serve = Halves(REST)
    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        take_half(driven, "recv_many")
        serve.go.set()
        assert driven.call("recv_many", timeout=10) == [BIG]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("decode", [True, False])
def test_they_are_what_the_caller_wants(driver: str, decode: bool) -> None:
    text = "é" * 100_000

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(BINARY, text.encode()) * 2)
        peer.wait_gone()

    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        for _ in range(2):
            assert driven.call("recv", timeout=10, decode=decode) == (text if decode else text.encode())


@pytest.mark.parametrize("driver", DRIVERS)
def test_bytes_that_are_no_text_stay_for_who_asks_for_bytes(driver: str) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(BINARY, BIG) + frame(TEXT, b"next"))
        peer.wait_gone()

    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        with pytest.raises(UnicodeDecodeError):
            driven.call("recv", timeout=10, decode=True)
        assert driven.call("recv", timeout=10) == "next"


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_connection_lost_in_the_midst_is_lost(driver: str) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(FIRST)

    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        for _ in range(2):
            with pytest.raises(wsclient.ConnectionClosedError):
                driven.call("recv", timeout=10)


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_next_connection_begins_anew(driver: str) -> None:
    """What came of a message that the connection was lost in is nobody's."""

    def whole(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(BINARY, BIG[::-1]) + frame(TEXT, b"next"))
        peer.wait_gone()

    lost = Halves(b"", stays=False)
    with SeriesServer([lost, whole]) as server, Driven(driver, server.url, reconnect=True) as driven:
        take_half(driven)
        lost.go.set()
        assert driven.call("recv", timeout=10) == BIG[::-1]
        assert driven.call("recv", timeout=10) == "next"
