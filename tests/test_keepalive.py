"""Keepalive: a peer that is silent is pinged, and one that stays silent is given up; nothing else is."""

import contextlib
import queue
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

import wsclient
from certificates import Certificates, server_context
from conftest import Echo
from raw_server import DEADLINE, PING, PONG, TEXT, Peer, RawServer, close_frame, frame
from wsclient import ConnectionClosedError, PingTimeoutError, ReceiveTimeoutError, State, TLSOptions, WSClient
from wsclient.testing import Fault, FaultProxy

SHORT = 0.1  # s, of an interval or a timeout that is to pass


def silent(peer: Peer) -> None:
    """A server that upgrades and does nothing more, until the client goes."""
    peer.upgrade()
    peer.wait_gone()


def assert_given_up(error: ConnectionClosedError) -> None:
    """It says why, and for how long nothing came."""
    assert isinstance(error.__cause__, PingTimeoutError)
    assert "nothing was received for" in str(error)
    assert "ping_timeout" in str(error)
    assert error.rcvd is None
    assert error.sent is not None
    assert (error.sent.code, error.sent.reason) == (1011, "keepalive ping timeout")


def test_a_quiet_peer_that_answers_lives() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        payloads = set()
        for _ in range(5):
            final, opcode, payload = peer.read_frame()
            assert (final, opcode) == (True, PING)
            payloads.add(payload)
            peer.sock.sendall(frame(PONG, payload))
        assert len(payloads) == 5
        peer.sock.sendall(frame(TEXT, b"here"))
        assert peer.read_close() == (1000, "")
        peer.sock.sendall(close_frame(1000))

    with (
        RawServer(serve) as server,
        wsclient.connect(server.url, ping_interval=SHORT, ping_timeout=DEADLINE) as connection,
    ):
        assert connection.recv(DEADLINE) == "here"
        stats = connection.stats()
        assert stats.pongs_received == 5
        assert connection.latency == stats.latency > 0
        assert 0 < stats.ping_p50 <= stats.ping_p90 <= stats.ping_p99


@pytest.mark.parametrize(
    "wait",
    [
        lambda connection: connection.recv(),
        lambda connection: connection.recv_many(),
        lambda connection: next(iter(connection)),
        lambda connection: connection.ping(timeout=DEADLINE),
        lambda connection: connection.flush(DEADLINE),
    ],
    ids=["recv", "recv_many", "iteration", "ping", "flush"],
)
def test_a_peer_that_is_gone_ends_every_wait(wait: Callable[[wsclient.Connection], object]) -> None:
    with RawServer(silent) as server:
        connection = wsclient.connect(server.url, ping_interval=SHORT, ping_timeout=SHORT)
        with pytest.raises(ConnectionClosedError) as ended:
            wait(connection)
        assert_given_up(ended.value)
        assert connection.state is State.CLOSED
        assert connection.fileno() == -1
        with pytest.raises(ConnectionClosedError):
            connection.send("x")


def test_all_who_wait_are_woken_at_once() -> None:
    with RawServer(silent) as server, ThreadPoolExecutor(3) as threads:
        connection = wsclient.connect(server.url, ping_interval=SHORT, ping_timeout=SHORT)
        waits: list[Callable[[], object]] = [
            connection.recv,
            lambda: connection.ping(timeout=60),
            connection.wait_closed,
        ]
        ended = [thread.exception(DEADLINE) for thread in [threads.submit(wait) for wait in waits]]
        for error in ended[:2]:
            assert isinstance(error, ConnectionClosedError)
            assert_given_up(error)
        assert ended[2] is None


def test_the_close_frame_reaches_a_peer_that_only_hears() -> None:
    codes: queue.Queue[tuple[int, str]] = queue.Queue()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        codes.put(peer.read_close())
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, ping_interval=SHORT, ping_timeout=SHORT)
        with pytest.raises(ConnectionClosedError):
            connection.recv()
        assert codes.get(timeout=DEADLINE) == (1011, "keepalive ping timeout")


def test_it_is_noticed_under_tls(certificates: Certificates) -> None:
    options = TLSOptions(ca_file=certificates.ca)
    with RawServer(silent, server_context(certificates.server)) as server:
        connection = wsclient.connect(server.url, tls=options, ping_interval=SHORT, ping_timeout=SHORT)
        with pytest.raises(ConnectionClosedError) as ended:
            connection.recv()
        assert_given_up(ended.value)


def test_a_network_that_has_gone_is_noticed(websockets_echo: Echo) -> None:
    with FaultProxy("127.0.0.1", websockets_echo.port) as network:
        wsclient.connect(network.url()).abort()
        opening = network.bytes_to_client
    with FaultProxy(
        "127.0.0.1", websockets_echo.port, Fault(direction="to_client", after=opening, then="stall")
    ) as network:
        connection = wsclient.connect(network.url(), ping_interval=SHORT, ping_timeout=SHORT)
        connection.send("anybody?")
        with pytest.raises(ConnectionClosedError) as ended:
            connection.recv()
        assert_given_up(ended.value)


def test_a_peer_that_talks_and_never_pongs_lives() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        for i in range(10):  # each a message after a ping that goes unanswered
            assert peer.read_frame()[1] == PING
            peer.sock.sendall(frame(TEXT, b"%d" % i))
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with (
        RawServer(serve) as server,
        wsclient.connect(server.url, ping_interval=SHORT, ping_timeout=DEADLINE) as connection,
    ):
        assert list(connection) == [str(i) for i in range(10)]


@pytest.mark.parametrize("answer", ["pong", "message", "half a message"])
def test_who_was_busy_for_long_does_not_lose_the_connection(answer: str) -> None:
    left, answered, looked = threading.Event(), threading.Event(), threading.Event()
    message = frame(TEXT, b"data" * 100)

    def serve(peer: Peer) -> None:
        peer.upgrade()
        _, opcode, payload = peer.read_frame()
        assert opcode == PING
        first = {"pong": frame(PONG, payload), "message": message, "half a message": message[:50]}[answer]
        assert left.wait(DEADLINE)
        peer.sock.sendall(first)
        answered.set()
        assert looked.wait(DEADLINE)
        peer.sock.sendall(message[50:] if answer == "half a message" else message)
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, ping_interval=SHORT, ping_timeout=1.0)
        with pytest.raises(ReceiveTimeoutError):
            connection.recv(2 * SHORT)  # it pings, and leaves
        left.set()
        assert answered.wait(DEADLINE)
        threading.Event().wait(1.5)  # nobody reads until the time for an answer is up
        with contextlib.suppress(ReceiveTimeoutError):
            assert connection.recv(0) == "data" * 100
        assert connection.state is State.OPEN
        looked.set()
        assert connection.recv(DEADLINE) == "data" * 100
        connection.abort()


def test_without_an_interval_there_are_no_pings() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame()[1] == TEXT
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with (
        RawServer(serve) as server,
        wsclient.connect(server.url, ping_interval=None, ping_timeout=SHORT) as connection,
    ):
        assert not connection.wait_closed(5 * SHORT)
        connection.send("x")
        assert connection.wait_closed(DEADLINE)


def test_without_a_timeout_nobody_is_given_up() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        for _ in range(5):
            assert peer.read_frame()[1] == PING
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with (
        RawServer(serve) as server,
        wsclient.connect(server.url, ping_interval=SHORT, ping_timeout=None) as connection,
    ):
        assert connection.wait_closed(DEADLINE)
        assert connection.close_code == 1000


def test_a_ping_of_ours_is_not_confused_with_a_user_s() -> None:
    """A user's ping waits for its own pong though pings go out beside it."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame() == (True, PING, b"mine")
        for _ in range(3):
            _, opcode, payload = peer.read_frame()
            assert (opcode, payload == b"mine") == (PING, False)
            peer.sock.sendall(frame(TEXT))
        peer.sock.sendall(frame(PONG, b"mine"))
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, ping_interval=SHORT, ping_timeout=DEADLINE)
        assert connection.ping(b"mine", DEADLINE) > 0
        assert connection.stats().messages_received == 3
        connection.abort()


def test_the_chat_client_notices_too() -> None:
    with RawServer(silent) as server:
        client = WSClient(url=server.url, ping_interval=SHORT, ping_timeout=SHORT)
        assert client.connect()
        assert not client.run()
        assert isinstance(client.last_error, ConnectionClosedError)
        assert_given_up(client.last_error)
