"""The network breaks at every byte of an opening, and of a message: always a typed error in time, and nothing left."""

import contextlib
import ctypes
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wsclient
from certificates import Certificates
from conftest import Echo
from proxies import dante, haproxy, tinyproxy
from wsclient import TLSOptions
from wsclient.exceptions import (
    ConnectError,
    ConnectionClosedError,
    InvalidHandshake,
    OpenTimeoutError,
    PayloadTooBig,
    ProtocolError,
    ReceiveTimeoutError,
)
from wsclient.testing import ChatServer, Fault, FaultProxy
from wsclient.testing.fault_proxy import Direction, Ending

DEADLINE = 10.0
WATCHDOG = 60.0  # for all the connections of one sweep
SHORT = 0.5  # seconds to wait where nothing but the clock ends it
BUSY = 16  # connections that have not come to where they break: more would wait for each other
GARBAGE = b"\0\xff" * 20 + b"\r\n\r\n"
USER, PASSWORD = "alice", "secret-1"
DIRECTIONS: tuple[Direction, ...] = ("to_server", "to_client")
ENDINGS: tuple[Ending | bytes, ...] = ("drop", "reset", "half_close", "stall", GARBAGE)
SIGNATURES = 16  # bytes by which TLS handshakes differ: two ECDSA signatures in DER form


@dataclass(frozen=True, kw_only=True)
class Route:
    """A way to a server, whose first hop is the bad network."""

    port: int
    url: str
    """``{port}`` is the bad network's."""
    options: Mapping[str, Any]
    stride: int = 1
    dialog: int = 0
    """That many bytes are broken at each one, what follows by strides."""

    def connect(self, network: FaultProxy, open_timeout: float) -> wsclient.Connection:
        """Open a connection over the bad network."""
        options = {
            name: value.format(port=network.port) if isinstance(value, str) else value
            for name, value in self.options.items()
        }
        return wsclient.connect(self.url.format(port=network.port), open_timeout=open_timeout, **options)

    def needs(self) -> dict[Direction, int]:
        """How many bytes pass until the connection is open."""
        with FaultProxy("127.0.0.1", self.port) as network:
            self.connect(network, DEADLINE).abort()
            return {"to_server": network.bytes_to_server, "to_client": network.bytes_to_client}


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer() as running:
        yield running


@pytest.fixture(scope="module")
def tls_port(server: ChatServer, certificates: Certificates) -> Iterator[int]:
    with haproxy(server.port, certificates.server) as proxy:
        yield proxy.port


@pytest.fixture(scope="module")
def trust(certificates: Certificates) -> TLSOptions:
    return TLSOptions(ca_file=certificates.ca, resumption=False)


@pytest.fixture(scope="module", params=["ws", "wss", "wss through http", "ws through socks"])
def route(request: pytest.FixtureRequest, server: ChatServer, tls_port: int, trust: TLSOptions) -> Iterator[Route]:
    login = f"{USER}:{PASSWORD}@127.0.0.1"
    if request.param == "ws":
        yield Route(port=server.port, url="ws://127.0.0.1:{port}/", options={})
    elif request.param == "wss":
        yield Route(port=tls_port, url="wss://127.0.0.1:{port}/", options={"tls": trust}, stride=3)
    elif request.param == "wss through http":
        url = f"wss://127.0.0.1:{tls_port}/"
        with tinyproxy((USER, PASSWORD)) as proxy:
            options = {"proxy": f"http://{login}:{{port}}", "tls": trust}
            yield Route(port=proxy.port, url=url, options=options, stride=41, dialog=200)
    else:
        with dante((USER, PASSWORD)) as proxy:
            options = {"proxy": f"socks5h://{login}:{{port}}"}
            yield Route(port=proxy.port, url=server.url, options=options, stride=5, dialog=60)


def places(route: Route, direction: Direction, then: Ending | bytes) -> list[int]:
    """Where to break. Each ending begins with another byte, so that together they strike all."""
    need, first = route.needs()[direction], ENDINGS.index(then) % route.stride
    return [*range(min(route.dialog, need)), *range(route.dialog + first, need + 2, route.stride), need]


def bytes_passed(network: FaultProxy, direction: Direction) -> int:
    return network.bytes_to_server if direction == "to_server" else network.bytes_to_client


Task = Callable[[], BaseException | None]


def run_all(task: Task, network: FaultProxy, faults: Sequence[Fault]) -> list[BaseException | None]:
    """Run it for each fault, many at once: the next starts when most of those before have come to their fault."""
    pool = ThreadPoolExecutor(len(faults))
    running: list[Future[BaseException | None]] = []
    for i in range(len(faults)):
        running.append(pool.submit(task))
        passed = sum(fault.after for fault in faults[: max(0, i - BUSY)])
        with contextlib.suppress(TimeoutError):  # some never come there
            network.wait_until(lambda it, least=passed: bytes_passed(it, faults[0].direction) >= least, 0.1)
    _, hanging = wait(running, WATCHDOG)
    pool.shutdown(wait=not hanging, cancel_futures=True)
    assert not hanging, f"{len(hanging)} of {len(faults)} hang"
    return [future.result() for future in running]


def all_threads() -> int:
    return len(os.listdir("/proc/self/task"))


def sanitizers_threads() -> int:
    """What a sanitizer has of its own, from a program's first thread on."""
    with ThreadPoolExecutor(1) as pool:
        others: Future[int] = pool.submit(lambda: all_threads() - threading.active_count())
        return others.result()


SANITIZERS_THREADS = sanitizers_threads()


def held() -> tuple[int, int, int]:
    """Descriptors, threads but a sanitizer's, Python's threads."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), all_threads() - SANITIZERS_THREADS, threading.active_count()


def wait_until(condition: Callable[[], bool], what: str, most: float = DEADLINE) -> None:
    until = time.monotonic() + most
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.01)


@contextmanager
def nothing_left() -> Iterator[None]:
    """At the end there are as many descriptors and threads as at the start."""
    # Those of before are gone, which another file's servers may take their time for.
    wait_until(lambda: held()[1] == held()[2], "threads that are not Python's", 3 * DEADLINE)
    before = held()
    yield
    wait_until(lambda: held() == before, f"more descriptors and threads than {before}")


def is_seen(direction: Direction, then: Ending | bytes) -> bool:
    """Does the client see what happens, or only that nothing comes?"""
    return then in ("drop", "reset") or (then == "half_close" and direction == "to_client")


# ---- the opening ----


def opening(route: Route, network: FaultProxy, open_timeout: float) -> BaseException | None:
    """What connecting raised."""
    try:
        route.connect(network, open_timeout).abort()
    except Exception as error:
        return error
    return None


def name_of(then: object) -> str | None:
    return "garbage" if then == GARBAGE else None


@pytest.mark.parametrize("then", ENDINGS, ids=name_of)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_an_opening_that_breaks(route: Route, direction: Direction, then: Ending | bytes) -> None:
    need = route.needs()[direction]
    faults = [Fault(direction=direction, after=place, then=then) for place in places(route, direction, then)]
    seen = is_seen(direction, then)
    with nothing_left(), FaultProxy("127.0.0.1", route.port, faults) as network:
        errors = run_all(lambda: opening(route, network, DEADLINE if seen else SHORT), network, faults)
        network.wait_closed()
    assert network.connections == len(faults)
    failed = [error for error in errors if error]
    for error in failed:
        assert isinstance(error, ConnectError | InvalidHandshake | OpenTimeoutError), repr(error)
        assert not (seen and isinstance(error, OpenTimeoutError)), f"what was there to see was not seen: {error}"
        assert error.timings
        assert PASSWORD not in str(error)
    assert len(failed) >= sum(fault.after < need - SIGNATURES for fault in faults)


# ---- an open connection ----

MESSAGE = "every byte counts"


@dataclass(frozen=True)
class Echoes:
    """Ways to an echo server, by scheme: the port of each."""

    ports: Mapping[str, int]
    trust: TLSOptions

    def connect(self, scheme: str, network: FaultProxy) -> wsclient.Connection:
        """Open a connection over the bad network."""
        url = network.url(scheme)
        return wsclient.connect(url, tls=self.trust, open_timeout=DEADLINE, compression=None)


@pytest.fixture(scope="module")
def echoes(websockets_echo: Echo, certificates: Certificates, trust: TLSOptions) -> Iterator[Echoes]:
    with haproxy(websockets_echo.port, certificates.server) as proxy:
        yield Echoes({"ws": websockets_echo.port, "wss": proxy.port}, trust)


def until_it_breaks(connection: wsclient.Connection, garbled: bool, patience: float) -> BaseException | None:
    """What the connection dies of, while messages go to and fro; ``None`` if it only falls silent."""
    try:
        for _ in range(4):
            connection.send(MESSAGE)
            assert connection.recv(patience) == MESSAGE or garbled
    except ReceiveTimeoutError:
        return None
    except ConnectionClosedError as error:
        return error
    finally:
        connection.abort()
    raise AssertionError("nothing has happened")


def passed(echoes: Echoes, scheme: str, messages: int) -> dict[Direction, int]:
    """How many bytes have passed when it is open, and so many messages have come back."""
    with FaultProxy("127.0.0.1", echoes.ports[scheme]) as network:
        with contextlib.closing(echoes.connect(scheme, network)) as connection:
            for _ in range(messages):
                connection.send(MESSAGE)
                connection.recv(DEADLINE)
            counted: dict[Direction, int] = {
                "to_server": network.bytes_to_server,
                "to_client": network.bytes_to_client,
            }
        network.wait_closed()
    return counted


@pytest.mark.parametrize("then", ENDINGS, ids=name_of)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_connection_that_breaks_in_a_message(
    echoes: Echoes, scheme: str, direction: Direction, then: Ending | bytes
) -> None:
    slack = SIGNATURES if scheme == "wss" else 1  # it is open, and the answer to the upgrade not overtaken
    start, end = (passed(echoes, scheme, messages)[direction] for messages in (0, 2))
    faults = [Fault(direction=direction, after=place, then=then) for place in range(start + slack, end + 1)]
    assert len(faults) > len(MESSAGE)

    patience = DEADLINE if is_seen(direction, then) else SHORT
    with nothing_left(), FaultProxy("127.0.0.1", echoes.ports[scheme], faults) as network:
        errors = run_all(
            lambda: until_it_breaks(echoes.connect(scheme, network), then == GARBAGE, patience), network, faults
        )
        network.wait_closed()
    for error in errors:
        if error:
            assert isinstance(error, ConnectionClosedError)
            why = error.__cause__
            assert why or error.rcvd, f"{error!r} has no cause"  # the server may say what it thinks of garbage
            assert why is None or isinstance(why, OSError | EOFError | ProtocolError | PayloadTooBig), repr(why)
            assert error.detail or error.rcvd
    if is_seen(direction, then):
        assert all(error and error.__cause__ for error in errors)


# ---- memory ----


def bytes_in_use() -> int:
    """What malloc has given out: uordblks of mallinfo2."""

    class Info(ctypes.Structure):
        _fields_ = [(f"field{i}", ctypes.c_size_t) for i in range(10)]

    mallinfo = ctypes.CDLL(None).mallinfo2
    mallinfo.restype = Info
    gc.collect()
    return int(mallinfo().field7)


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_broken_openings_leave_no_memory(route: Route) -> None:
    need = route.needs()
    faults = [
        Fault(direction=direction, after=place, then=then)
        for direction in DIRECTIONS
        for place in range(0, need[direction], need[direction] // 8)
        for then in ("drop", "reset")
    ]

    def break_all() -> None:
        with FaultProxy("127.0.0.1", route.port, faults) as network:
            for _ in faults:
                opening(route, network, DEADLINE)
            network.wait_closed()

    for _ in range(2):
        break_all()
    used, had = bytes_in_use(), resident()
    rounds = 9
    for _ in range(rounds):
        break_all()
    connections = rounds * len(faults)
    assert connections >= 300
    assert bytes_in_use() - used < 100 * connections
    assert resident() - had < 2**21
