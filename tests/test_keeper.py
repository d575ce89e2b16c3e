"""A program that is busy elsewhere keeps its connections, and gets all that came meanwhile, in order.

The server floods, pings every 0.5 s and gives up who does not answer within 1 s. The program is busy for as many
seconds as WS_BUSY_SECONDS says: `make keeper` has it busy for 20.
"""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import wsclient
from certificates import Certificates
from conftest import PEERS, Program
from wsclient import Connection, TLSOptions

SECONDS = float(os.environ.get("WS_BUSY_SECONDS", "2.5"))
DEADLINE = 60.0
SMALL = 50000  # bytes; less than comes meanwhile

Options = dict[str, Any]
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
    with wsclient.connect(url, max_buffer=SMALL, ping_interval=0.2, ping_timeout=0.2) as connection:
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
        assert last.was_busy.wait(DEADLINE + SECONDS)
        tls.send("enough")
        plain.send("enough")
        for received in (first, last):
            assert received.done.wait(DEADLINE)
            check(received.messages)


def test_more_than_the_buffer_holds_in_the_background(flood: Flood) -> None:
    url, _ = flood.patient
    with wsclient.connect(url, background=True, max_buffer=SMALL, ping_interval=0.2, ping_timeout=0.2) as connection:
        first = [connection.recv(DEADLINE)]
        sleep()
        assert SMALL <= connection.stats().bytes_waiting < 2 * SMALL
        finish(connection, first)
