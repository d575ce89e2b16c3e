"""fork(): the child's copy of a connection is closed and harms nobody; the parent's goes on."""

import gc
import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator

import pytest

import wsclient
from certificates import Certificates, server_context, tls_echo
from conftest import Echo
from raw_server import DEADLINE, Peer, RawServer
from wsclient import ConnectionClosedError, State, TLSOptions, WSClient
from wsclient.testing import ChatServer

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def in_child(check: Callable[[], object]) -> int:
    """Run it in a child process; its id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        check()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def assert_went_well(child: int) -> None:
    """The child has checked all it was to check."""
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture(params=["ws", "wss"])
def echo(
    request: pytest.FixtureRequest, websockets_echo: Echo, certificates: Certificates
) -> Iterator[Callable[[], wsclient.Connection]]:
    """What connects to an echo server."""
    if request.param == "ws":
        yield lambda: wsclient.connect(websockets_echo.url)
        return
    with tls_echo(server_context(certificates.server)) as server:
        yield lambda: wsclient.connect(server.url, tls=TLSOptions(ca_file=certificates.ca), proxy=None)


CALLS: list[Callable[[wsclient.Connection], object]] = [
    lambda connection: connection.recv(DEADLINE),
    lambda connection: connection.recv_many(timeout=DEADLINE),
    lambda connection: next(iter(connection)),
    lambda connection: connection.send("x"),
    lambda connection: connection.send(["x", "y"]),
    lambda connection: connection.send_many(["x"]),
    lambda connection: connection.ping(timeout=DEADLINE),
    lambda connection: connection.pong(),
    lambda connection: connection.flush(DEADLINE),
]


def assert_forked(connection: wsclient.Connection) -> None:
    """Every call says what happened, and looking is harmless."""
    for call in CALLS:
        with pytest.raises(ConnectionClosedError, match="forked"):
            call(connection)
    assert connection.state is State.CLOSED
    assert connection.fileno() == -1
    assert connection.wait_closed()
    assert connection.close_code == 1006
    assert connection.response.status_code == 101
    assert connection.stats().messages_sent >= 0
    connection.close()
    connection.abort()


def test_the_childs_copy_is_closed_and_the_parents_goes_on(echo: Callable[[], wsclient.Connection]) -> None:
    connection = echo()
    connection.send("unread")
    connection.flush()  # it has arrived: the child has a copy of the message, too

    def check() -> None:
        nonlocal connection
        assert_forked(connection)
        del connection
        gc.collect()
        with echo() as anew:
            anew.send("the child's own")
            assert anew.recv(DEADLINE) == "the child's own"

    assert_went_well(in_child(check))
    assert connection.recv(DEADLINE) == "unread"
    connection.send("still there?")
    assert connection.recv(DEADLINE) == "still there?"
    connection.close()
    assert connection.close_info
    assert connection.close_info.clean


def test_a_child_that_lives_on_keeps_nothing_open() -> None:
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.read_frame()
        gone.set()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url)
        ours, theirs = os.pipe()
        child = in_child(lambda: os.close(theirs) or os.read(ours, 1))
        connection.abort()
        try:
            assert gone.wait(DEADLINE)
        finally:
            os.close(theirs)
            os.close(ours)
        assert_went_well(child)


def test_while_another_thread_receives(echo: Callable[[], wsclient.Connection]) -> None:
    connection = echo()
    received = queue.Queue[str | bytes]()

    def receive() -> None:
        for message in connection:
            received.put(message)

    receiver = threading.Thread(target=receive)
    receiver.start()
    for i in range(20):
        connection.send("x" * 100000)
        child = in_child(lambda: assert_forked(connection))
        assert_went_well(child)
        connection.send(str(i))
        assert received.get(timeout=DEADLINE) == "x" * 100000
        assert received.get(timeout=DEADLINE) == str(i)
    connection.close()
    receiver.join(DEADLINE)


def test_a_grandchild_and_a_closed_connection(echo: Callable[[], wsclient.Connection]) -> None:
    closed, connection = echo(), echo()
    closed.close()

    def check() -> None:
        assert closed.close_code == 1000
        assert_went_well(in_child(lambda: assert_forked(connection)))

    assert_went_well(in_child(check))
    connection.close()


def test_the_chat_client(chat_server: ChatServer) -> None:
    with WSClient(chat_server.host, chat_server.port) as client:

        def check() -> None:
            assert not client.send_message("x")
            assert not client.listen()
            assert isinstance(client.last_error, ConnectionClosedError)
            client.disconnect()
            assert client.connect()
            assert client.flush()
            client.disconnect()

        assert_went_well(in_child(check))
        assert client.flush()
