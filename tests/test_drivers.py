"""Closing and keepalive keep their deadlines whoever drives the connection."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bad_peers import BEHAVIOURS, SHORT, Bad, linger, never_answer, never_read, send_for_ever
from conftest import Echo
from drivers import DRIVERS, Driven
from raw_server import CLOSE, DEADLINE, PING, PONG, TEXT, Peer, RawServer, frame
from wsclient import CloseInfo, ConnectionClosed, ConnectionClosedError, PingTimeoutError, State, WriteTimeoutError
from wsclient.testing import Fault, FaultProxy

ENOUGH = 12 * 2**20  # bytes that no two sockets take

by_each_driver = pytest.mark.parametrize("driver", DRIVERS)


@contextlib.contextmanager
def misbehaving(behave: Callable[[Bad, Peer], None]) -> Iterator[Bad]:
    """A server that misbehaves until the end of the block."""
    bad = Bad(behave, None)
    with bad.raw:
        try:
            yield bad
        finally:
            bad.released.set()


def fill(driven: Driven) -> None:
    """Send what the peer does not take; how that ends depends on whether a frame was torn."""
    with contextlib.suppress(WriteTimeoutError, ConnectionClosed):
        for _ in range(12):
            driven.call("send", bytes(ENOUGH // 12))


@by_each_driver
@pytest.mark.parametrize("full", [False, True], ids=["", "with a backlog"])
@pytest.mark.parametrize("behave", BEHAVIOURS, ids=lambda behave: behave.__name__)
def test_close_ends_by_its_deadline(driver: str, behave: Callable[[Bad, Peer], None], full: bool) -> None:
    options = {"close_timeout": SHORT, "write_timeout": SHORT, "compression": None}
    with misbehaving(behave) as bad, Driven(driver, bad.url, **options) as driven:
        if full:
            fill(driven)
        driven.call("close")
        connection = driven.connection
        assert connection.state is State.CLOSED
        assert connection.fileno() == -1
        if behave is not linger:
            assert not connection.close_info.clean
        elif not full:  # with a backlog it depends on how much of that the peer has read
            assert connection.close_info == CloseInfo("local", 1000, "", True)


def assert_given_up(error: object) -> None:
    """It says that the peer was silent in spite of a ping, and for how long."""
    assert isinstance(error, ConnectionClosedError)
    assert isinstance(error.__cause__, PingTimeoutError)
    assert "nothing was received for" in str(error)
    assert error.sent is not None
    assert (error.sent.code, error.sent.reason) == (1011, "keepalive ping timeout")


@by_each_driver
@pytest.mark.parametrize("behave", [never_answer, never_read], ids=lambda behave: behave.__name__)
def test_a_silent_peer_ends_every_wait(driver: str, behave: Callable[[Bad, Peer], None]) -> None:
    options = {"ping_interval": SHORT, "ping_timeout": SHORT}
    with misbehaving(behave) as bad, Driven(driver, bad.url, **options) as driven:
        received, pinged, closed = driven.outcomes(["recv", "ping", "wait_closed"])
        assert_given_up(received)
        assert isinstance(pinged, PingTimeoutError) or assert_given_up(pinged) is None
        assert closed is True
        with pytest.raises(ConnectionClosedError):
            driven.call("send", "x")


@by_each_driver
def test_a_peer_that_neither_reads_nor_writes_ends_sending(driver: str) -> None:
    """What it does not read is in front of the ping: it is given up all the same."""
    options = {"ping_interval": SHORT, "ping_timeout": SHORT, "write_timeout": None, "compression": None}
    with misbehaving(never_read) as bad, Driven(driver, bad.url, **options) as driven:
        with pytest.raises(ConnectionClosedError) as ended:
            driven.call("send", bytes(ENOUGH))
        assert isinstance(ended.value.__cause__, PingTimeoutError)


@by_each_driver
def test_a_peer_that_sends_and_never_answers_lives(driver: str) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        for i in range(5):  # each a message after a ping that goes unanswered
            assert peer.read_frame()[1] == PING
            peer.sock.sendall(frame(TEXT, b"%d" % i))
        peer.wait_gone()

    options = {"ping_interval": SHORT, "ping_timeout": DEADLINE}
    with RawServer(serve) as server, Driven(driver, server.url, **options) as driven:
        assert [driven.call("recv") for _ in range(5)] == ["0", "1", "2", "3", "4"]


@by_each_driver
def test_a_flood_that_nobody_asks_for_is_no_silence(driver: str) -> None:
    """Reading has stopped, for there is more than max_buffer: what is not read is not missed."""
    options = {"ping_interval": SHORT, "ping_timeout": SHORT, "max_buffer": 1, "compression": None}
    with misbehaving(send_for_ever) as bad, Driven(driver, bad.url, **options) as driven:
        assert not driven.call("wait_closed", 5 * SHORT)
        for _ in range(1000):
            assert driven.call("recv", DEADLINE) == b"x" * 10000


@by_each_driver
def test_a_network_that_has_gone_is_noticed(driver: str, websockets_echo: Echo) -> None:
    """Both ends are there and nothing passes between them."""
    with FaultProxy("127.0.0.1", websockets_echo.port) as network:
        Driven("inline", network.url()).connection.abort()
        opening = network.bytes_to_client
    black_hole = Fault(direction="to_client", after=opening, then="stall")
    with FaultProxy("127.0.0.1", websockets_echo.port, black_hole) as network:
        options = {"ping_interval": SHORT, "ping_timeout": SHORT, "close_timeout": SHORT}
        with Driven(driver, network.url(), **options) as driven:
            driven.call("send", "anybody?")
            with pytest.raises(ConnectionClosedError) as ended:
                driven.call("recv")
            assert_given_up(ended.value)
        with Driven(driver, network.url(), **(options | {"ping_interval": None})) as driven:
            driven.call("close")
            assert driven.connection.state is State.CLOSED
            assert not driven.connection.close_info.clean


class LatePongs:
    """A server whose first pong waits until it may go, and those behind it go at once; then a text."""

    def __init__(self) -> None:
        self.pinged, self.may_answer = threading.Event(), threading.Event()
        self.answered, self.may_talk = threading.Event(), threading.Event()
        self.raw = RawServer(self.serve)

    def serve(self, peer: Peer) -> None:
        peer.upgrade()
        while not self.may_talk.is_set():
            if not select.select([peer.sock], [], [], 0.05)[0]:
                continue
            _, opcode, payload = peer.read_frame()
            if opcode == CLOSE:
                return
            self.pinged.set()
            assert self.may_answer.wait(DEADLINE)
            peer.sock.sendall(frame(PONG, payload))
            self.answered.set()
        peer.sock.sendall(frame(TEXT, b"still here"))
        peer.wait_gone()


@by_each_driver
def test_a_busy_program_finds_the_pong_that_waits(driver: str) -> None:
    """It sends a ping, is busy for longer than interval and timeout, and then looks: the answer lay there."""
    server = LatePongs()
    with server.raw, Driven(driver, server.raw.url, ping_interval=0.05, ping_timeout=1.0) as driven:
        while not server.pinged.is_set():
            with contextlib.suppress(TimeoutError):
                driven.call("recv", 0.02)
        server.may_answer.set()
        assert server.answered.wait(DEADLINE)
        threading.Event().wait(1.5)
        with contextlib.suppress(TimeoutError):
            driven.call("recv", 0)
        assert driven.connection.state is State.OPEN
        server.may_talk.set()
        assert driven.call("recv", DEADLINE) == "still here"


PROGRAM = """
import sys
from drivers import Driven
with Driven(sys.argv[1], sys.argv[2], ping_interval=0.05, ping_timeout=1.0) as driven:
    print(driven.call("recv"))
"""


@by_each_driver
def test_a_process_that_was_stopped_finds_the_pong_that_waits(driver: str) -> None:
    """Not one of its threads has run for longer than the timeout: whichever is first must read before it judges."""
    server = LatePongs()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-c", PROGRAM, driver, server.raw.url]
    with server.raw, subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as program:
        try:
            assert server.pinged.wait(DEADLINE)
            program.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, program.pid, os.WSTOPPED)
            server.may_answer.set()
            assert server.answered.wait(DEADLINE)
            threading.Event().wait(1.5)
            program.send_signal(signal.SIGCONT)
            server.may_talk.set()
            assert program.communicate(timeout=DEADLINE)[0] == b"still here\n"
        finally:
            program.kill()
