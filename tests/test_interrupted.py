"""A signal ends every call that waits, at once, in each driver whose calls wait; the connection goes on."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import FrameType

import pytest

import wsclient
from raw_server import CLOSE, DEADLINE, PING, PONG, TEXT, Peer, RawServer, close_frame, frame
from wsclient import ConnectionClosed, State

BIG = bytes(16 << 20)  # more than sockets take

WAITS: dict[str, Callable[[wsclient.Connection], object]] = {
    "recv": lambda connection: connection.recv(),
    "recv_many": lambda connection: connection.recv_many(),
    "recv_event": lambda connection: connection.recv_event(),
    "iteration": lambda connection: next(iter(connection)),
    "ping": lambda connection: connection.ping(timeout=DEADLINE),
    "flush": lambda connection: connection.flush(DEADLINE),
    "wait_closed": lambda connection: connection.wait_closed(),
    "send": lambda connection: connection.send(BIG),
    "close": lambda connection: connection.close(timeout=DEADLINE),
}
if find_spec("msgspec"):  # there is none for every Python
    WAITS["recv_as"] = lambda connection: connection.recv_as(int)


class Rung(Exception):
    """What the signal handler raises, as Python's own raises KeyboardInterrupt."""


@contextmanager
def ringing(raising: bool) -> Iterator[list[int]]:
    """A signal comes soon, and again; its handler raises if it is to."""
    rung = list[int]()

    def ring(number: int, _: FrameType | None) -> None:
        rung.append(number)
        if raising:
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise Rung

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        yield rung
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def answering(go: threading.Event) -> Callable[[Peer], None]:
    """A server that reads nothing until it may; then it answers all, and says "late"."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert go.wait(DEADLINE)
        peer.sock.sendall(frame(TEXT, b"7"))
        read = peer.sock.makefile("rb").read
        while True:
            head = read(2)
            if len(head) < 2:
                return
            size = head[1] & 0x7F
            if size > 125:
                size = int.from_bytes(read(2 if size == 126 else 8), "big")
            key, payload = read(4), read(size)
            opcode = head[0] & 0x0F
            if opcode in (PING, CLOSE):
                payload = bytes(byte ^ key[i % 4] for i, byte in enumerate(payload))
                peer.sock.sendall(close_frame(1000) if opcode == CLOSE else frame(PONG, payload))

    return serve


@pytest.mark.parametrize("background", [False, True], ids=["inline", "thread"])
@pytest.mark.parametrize("wait", WAITS)
def test_a_handler_that_raises_ends_the_wait_and_nothing_else(background: bool, wait: str) -> None:
    go = threading.Event()
    with RawServer(answering(go)) as server:
        connection = wsclient.connect(server.url, background=background, compression=None)
        with ringing(raising=True) as rung, pytest.raises(Rung):
            WAITS[wait](connection)
        assert len(rung) == 1
        assert connection.state is (State.CLOSING if wait == "close" else State.OPEN)
        go.set()
        if wait != "close":
            assert connection.recv(DEADLINE) == "7"
            assert connection.ping(timeout=DEADLINE) > 0
            connection.close()
        assert connection.wait_closed(DEADLINE)
        assert connection.close_info
        assert connection.close_info.clean


@pytest.mark.parametrize("background", [False, True], ids=["inline", "thread"])
@pytest.mark.parametrize("wait", WAITS)
def test_a_handler_that_raises_nothing_is_not_noticed(background: bool, wait: str) -> None:
    """EINTR surfaces nowhere (PEP 475)."""
    go = threading.Event()
    with RawServer(answering(go)) as server, ringing(raising=False) as rung:
        connection = wsclient.connect(server.url, background=background, compression=None)

        def when_it_has_rung() -> None:
            while len(rung) < 3:
                threading.Event().wait(0.01)
            go.set()
            if wait == "wait_closed":
                connection.close()

        helper = threading.Thread(target=when_it_has_rung)
        helper.start()
        try:
            WAITS[wait](connection)
        except ConnectionClosed:
            raise AssertionError("nobody closed it") from None
        helper.join(DEADLINE)
        connection.close()
    assert len(rung) >= 3
