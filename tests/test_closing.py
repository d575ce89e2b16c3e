"""Closing ends in time whatever the peer does, aborting and forgetting never wait; plain and under TLS."""

import contextlib
import gc
import os
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterator

import pytest

import wsclient
from bad_peers import BEHAVIOURS, SHORT, Bad, linger, send_for_ever
from certificates import Certificates, server_context
from raw_server import DEADLINE, Peer, RawServer
from wsclient import (
    CloseInfo,
    ConnectionClosed,
    PingTimeoutError,
    ReceiveTimeoutError,
    State,
    TLSOptions,
    WriteTimeoutError,
    WSClient,
)


@pytest.fixture(params=["ws", "wss"])
def tls(request: pytest.FixtureRequest, certificates: Certificates) -> ssl.SSLContext | None:
    """The server's side of TLS, or none."""
    return server_context(certificates.server) if request.param == "wss" else None


@pytest.fixture(params=BEHAVIOURS, ids=lambda behave: behave.__name__)
def bad(request: pytest.FixtureRequest, tls: ssl.SSLContext | None) -> Iterator[Bad]:
    """A server that misbehaves, each in its way."""
    server = Bad(request.param, tls)
    with server.raw:
        yield server
        server.released.set()


@pytest.fixture
def connect(bad: Bad, tls: ssl.SSLContext | None, certificates: Certificates) -> Callable[..., wsclient.Connection]:
    """What connects to it."""
    trusting = TLSOptions(ca_file=certificates.ca) if tls else None
    return lambda **options: wsclient.connect(bad.url, tls=trusting, proxy=None, compression=None, **options)


def fill(connection: wsclient.Connection) -> None:
    """Send until the peer takes no more; how that ends depends on whether a frame was torn."""
    with contextlib.suppress(WriteTimeoutError, ConnectionClosed):
        for _ in range(12):
            connection.send(b"x" * 2**20)


@pytest.mark.parametrize("full", [False, True], ids=["", "with a backlog"])
def test_close_ends_by_its_deadline(bad: Bad, connect: Callable[..., wsclient.Connection], full: bool) -> None:
    connection = connect(close_timeout=SHORT, write_timeout=SHORT)
    if full:
        fill(connection)
    connection.close()
    assert connection.state is State.CLOSED
    assert connection.fileno() == -1
    if bad.behave is not linger:
        assert connection.close_info and not connection.close_info.clean
    elif not full:  # with a backlog it depends on how much of that the peer has read
        assert connection.close_info == CloseInfo("local", 1000, "", True)


@pytest.mark.parametrize("timeout", [0, SHORT])
def test_every_wait_ends_by_its_deadline(bad: Bad, connect: Callable[..., wsclient.Connection], timeout: float) -> None:
    connection = connect(write_timeout=SHORT)
    with pytest.raises(PingTimeoutError):
        connection.ping(timeout=timeout)
    assert not connection.wait_closed(timeout)
    if bad.behave is not send_for_ever:
        with pytest.raises(ReceiveTimeoutError):
            connection.recv(timeout)
    connection.abort()


def test_abort_does_not_wait(connect: Callable[..., wsclient.Connection]) -> None:
    connection = connect(close_timeout=None, write_timeout=SHORT)
    fill(connection)
    connection.abort()
    assert connection.state is State.CLOSED
    assert connection.fileno() == -1


def test_abort_ends_a_close_that_waits(connect: Callable[..., wsclient.Connection]) -> None:
    connection = connect(close_timeout=None)
    closer = threading.Thread(target=connection.close)
    closer.start()
    until = time.monotonic() + DEADLINE
    while connection.state is State.OPEN:
        assert time.monotonic() < until
    connection.abort()
    closer.join(DEADLINE)
    assert not closer.is_alive()
    assert connection.state is State.CLOSED


def test_a_forgotten_connection_is_closed_without_waiting(connect: Callable[..., wsclient.Connection]) -> None:
    connection = connect(close_timeout=None, write_timeout=SHORT)
    fill(connection)
    gone = weakref.ref(connection)
    number = connection.fileno()
    assert number == -1 or os.fstat(number)
    del connection
    gc.collect()
    assert gone() is None
    with pytest.raises(OSError):
        os.fstat(number)


def test_a_forgotten_cycle_is_closed_without_waiting(bad: Bad, certificates: Certificates) -> None:
    class Owner:
        def __init__(self) -> None:
            trusting = TLSOptions(ca_file=certificates.ca)
            self.client = WSClient(url=bad.url, tls=trusting, proxy=None, close_timeout=None)
            self.client.set_message_callback(self.on_message)
            assert self.client.connect()
            self.client.listen(0)

        def on_message(self, client: WSClient, text: str, timestamp: float) -> None: ...

    owner = Owner()
    gone = weakref.ref(owner), weakref.ref(owner.client)
    del owner
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_client_that_is_its_own_callback_is_collected() -> None:
    """The callback is bound to the client itself: a cycle through the native handle."""

    class Client(WSClient):
        def heard(self, client: WSClient, text: str, timestamp: float) -> None: ...

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    with RawServer(serve) as server:
        client = Client(url=server.url)
        client.set_message_callback(client.heard)
        assert client.connect()
        gone = weakref.ref(client)
        del client
        gc.collect()
        assert gone() is None
