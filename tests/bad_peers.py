"""Servers that upgrade and then do what no server should."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

from raw_server import BINARY, DEADLINE, PING, Peer, RawServer, close_frame, frame

SHORT = 0.2  # s, of a timeout that is to pass


class Bad:
    """A server that upgrades and misbehaves until it is released."""

    def __init__(self, behave: Callable[["Bad", Peer], None], tls: ssl.SSLContext | None) -> None:
        self.behave = behave
        self.released = threading.Event()
        self.raw = RawServer(self.serve, tls)
        self.raw.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.url = self.raw.url

    def serve(self, peer: Peer) -> None:
        peer.upgrade()
        with contextlib.suppress(OSError, EOFError):
            self.behave(self, peer)


def never_answer(bad: Bad, peer: Peer) -> None:
    """Reads on and says nothing."""
    peer.wait_gone()


def never_read(bad: Bad, peer: Peer) -> None:
    """Does nothing at all."""
    assert bad.released.wait(DEADLINE)


def send_for_ever(bad: Bad, peer: Peer) -> None:
    """Sends messages and reads nothing."""
    while not bad.released.is_set():
        peer.sock.sendall(frame(BINARY, b"x" * 10000))


def ping_for_ever(bad: Bad, peer: Peer) -> None:
    """Pings and reads nothing."""
    while not bad.released.is_set():
        peer.sock.sendall(frame(PING, b"x" * 125) * 100)


def linger(bad: Bad, peer: Peer) -> None:
    """Answers the close frame and keeps the stream open."""
    peer.read_close()
    peer.sock.sendall(close_frame(1000))
    assert bad.released.wait(DEADLINE)


def drip(bad: Bad, peer: Peer) -> None:
    """Sends a message of which there is always more."""
    peer.sock.sendall(frame(BINARY, b"x" * 60000)[:4])
    while not bad.released.wait(0.01):
        peer.sock.sendall(b"x")


BEHAVIOURS = [never_answer, never_read, send_for_ever, ping_for_ever, linger, drip]
