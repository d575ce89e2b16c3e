"""What a connection that reconnects asks the program, where that goes wrong; and what becomes of one nobody has."""

import asyncio
import gc
import logging
import select
import threading
from collections.abc import Callable
from typing import Any

import pytest

import test_reconnect
import wsclient
from conftest import wait_until
from loops import on_each_loop
from raw_server import CLOSE, DEADLINE, TEXT, Peer, close_frame, frame
from series_server import SeriesServer, end, read_message
from test_reconnect import quick, says
from wsclient import ConnectionClosed, OnOpenError, PingTimeoutError, ReconnectPolicy, State

connect = test_reconnect.connect  # the fixture: in each of the ways to drive a connection
Connect = Callable[..., wsclient.Connection]


def mute(peer: Peer) -> None:
    """Upgrade, answer no ping, agree to the end."""
    peer.upgrade()
    while peer.read_frame()[1] != CLOSE:
        pass
    peer.sock.sendall(close_frame(1000))


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("initial_delay", None, TypeError),
        ("initial_delay", -1, ValueError),
        ("max_delay", "1", TypeError),
        ("steady_after", None, TypeError),
        ("max_time", float("nan"), ValueError),
        ("max_attempts", 0, ValueError),
        ("outbox_messages", None, TypeError),
        ("outbox_bytes", 2**31, ValueError),
        ("delivery", "twice", ValueError),
        ("on_open", 7, TypeError),
        ("on_open_send", "hello", TypeError),
        ("on_open_send", 7, TypeError),
        ("on_open_send", ["hello", 7], TypeError),
        ("on_open_timeout", True, TypeError),
        ("retry", True, TypeError),
        ("on_down", "", TypeError),
        ("on_lost", [], TypeError),
    ],
)
def test_a_policy_is_checked_when_made(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=name):
        ReconnectPolicy(**{name: value})


@pytest.mark.parametrize("reconnect", [True, test_reconnect.QUICK])
def test_on_open_may_stand_beside_reconnect(reconnect: Any) -> None:
    with SeriesServer([says("one", end)]) as server:
        connection = wsclient.connect(
            server.url, proxy=None, reconnect=reconnect, on_open=lambda connection: connection.send("first")
        )
        connection.close()
    with SeriesServer([mute]) as server:
        with pytest.raises(ValueError, match="on_open is there twice"):
            wsclient.connect(server.url, proxy=None, reconnect=quick(on_open=print), on_open=print)
        wsclient.connect(server.url, proxy=None).close()


def test_on_open_as_an_option_comes_first_and_again() -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.upgrade()
        heard.append(read_message(peer))
        peer.sock.sendall(frame(TEXT, b"x"))
        if len(heard) == 2:
            end(peer)

    def on_open(connection: wsclient.Connection) -> None:
        connection.send("login")

    with SeriesServer([script, script]) as server:
        connection = wsclient.connect(server.url, proxy=None, reconnect=quick(), on_open=on_open)
        assert [connection.recv(DEADLINE) for _ in range(2)] == ["x", "x"]
        connection.close()
    assert heard == [b"login", b"login"]


@pytest.mark.parametrize("background", [False, True])
def test_an_async_on_open_is_for_asyncio(background: bool) -> None:
    async def on_open(_: object) -> None:
        raise AssertionError("called")

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    policy = quick(on_open=on_open, max_attempts=1)
    with SeriesServer([script]) as server, pytest.raises(OnOpenError, match="plain function, not async"):
        wsclient.connect(server.url, proxy=None, background=background, reconnect=policy)


def test_ctrl_c_in_on_open_is_raised() -> None:
    def on_open(_: object) -> None:
        raise KeyboardInterrupt

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    with SeriesServer([script]) as server, pytest.raises(KeyboardInterrupt):
        wsclient.connect(server.url, proxy=None, reconnect=quick(on_open=on_open, max_attempts=1))


def errors_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of exceptions, after the connection's number."""
    return [
        record.message.partition(" ")[2]
        for record in caplog.records
        if record.exc_info and record.levelno == logging.ERROR
    ]


def test_what_raises_is_logged_and_the_connection_goes_on(connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> Any:
        raise ValueError("so it goes")

    with SeriesServer([says("one", Peer.reset), says("two", end)]) as server:
        connection = connect(server.url, reconnect=quick(retry=fail, on_down=fail))
        assert [connection.recv(DEADLINE) for _ in range(2)] == ["one", "two"]
        connection.close()
    # In the background a thread of its own calls each.
    wait_until(lambda: sorted(errors_of(caplog)) == ["a callback raised", "retry raised"])


def test_a_token_that_is_not_to_be_had_is_a_failed_attempt(connect: Connect) -> None:
    tokens: list[str | None] = ["first", None, "third"]
    down: list[Exception] = []

    def token() -> str:
        found = tokens.pop(0)
        if found is None:
            raise OSError("no token")
        return found

    policy = quick(on_down=lambda _, error, pause: down.append(error))
    with SeriesServer([says("one", Peer.reset), says("two", end)]) as server:
        connection = connect(server.url, reconnect=policy, bearer_token=token)
        assert [connection.recv(DEADLINE) for _ in range(2)] == ["one", "two"]
        connection.close()
    assert len(down) == 2
    assert "no token" in str(down[1])


def test_what_is_not_proved_in_time_is_said(connect: Connect) -> None:
    with SeriesServer([mute]) as server:
        connection = connect(server.url, reconnect=True)
        connection.send([b"a", b"b"])
        with pytest.raises(PingTimeoutError):
            connection.flush(0.05)
        assert connection.stats().outbox_messages == 1
        connection.close()


def test_a_ping_waits_for_the_next_connection_in_time(connect: Connect) -> None:
    with SeriesServer([says("one", Peer.reset)]) as server:
        connection = connect(server.url, reconnect=ReconnectPolicy(initial_delay=600, max_delay=600))
        assert connection.recv(DEADLINE) == "one"
        with pytest.raises(TimeoutError):
            connection.recv(0.05)
        assert connection.state is State.CONNECTING
        with pytest.raises(PingTimeoutError):
            connection.ping(timeout=0.05)
        connection.abort()


@on_each_loop
async def test_on_open_on_asyncio_may_wait_in_vain_and_send_more_than_its_share() -> None:
    async def on_open(connection: wsclient.AsyncConnection) -> None:
        with pytest.raises(TimeoutError):
            await connection.recv(0.01)
        for _ in range(1000):
            await connection.send("x")
        connection.send_nowait("last")

    def script(peer: Peer) -> None:
        peer.upgrade()
        while read_message(peer) != b"last":
            pass
        assert read_message(peer) == b"queued"
        end(peer)

    with SeriesServer([script]) as server:
        connection = await wsclient.aio.connect(server.url, proxy=None, reconnect=quick(on_open=on_open))
        connection.send_nowait("queued")
        await connection.close()


@on_each_loop
async def test_what_on_open_sends_without_waiting_is_written_when_the_peer_reads() -> None:
    big = "x" * 2**24  # more than the system takes while the peer does not read
    sent = threading.Event()

    def on_open(connection: wsclient.AsyncConnection) -> None:
        connection.send_nowait(big)
        with pytest.raises(BlockingIOError):
            connection.send_nowait("more")
        sent.set()

    def script(peer: Peer) -> None:
        peer.upgrade()
        assert sent.wait(DEADLINE)
        assert len(read_message(peer)) == len(big)
        end(peer)

    with SeriesServer([script]) as server:
        policy = quick(on_open=on_open)
        connection = await wsclient.aio.connect(server.url, proxy=None, compression=None, reconnect=policy)
        await connection.close()


@pytest.mark.parametrize("end_it", ["close", "abort"])
def test_on_open_may_end_it(connect: Connect, end_it: str) -> None:
    opened: list[wsclient.Connection] = []

    def on_open(connection: wsclient.Connection) -> object:
        opened.append(connection)
        return getattr(connection, end_it)()

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    with SeriesServer([script]) as server, pytest.raises(ConnectionClosed):
        connect(server.url, reconnect=quick(on_open=on_open))
    assert [connection.state for connection in opened] == [State.CLOSED]


def test_of_a_connection_nobody_has_nobody_is_told() -> None:
    told: list[object] = []
    with SeriesServer([says("one", Peer.reset)]) as server:
        connection = wsclient.connect(server.url, proxy=None, reconnect=quick(on_down=lambda *_: told.append(_)))
        assert connection.recv(DEADLINE) == "one"
        handle = connection._handle  # pyright: ignore[reportPrivateUsage]
        del connection
        gc.collect()
        while handle.state == State.OPEN:
            with pytest.raises(TimeoutError):
                handle.recv(0)
        handle.abort()
    assert not told


@on_each_loop
async def test_a_chat_client_that_is_forgotten_tells_its_name_no_more() -> None:
    clients: list[wsclient.AsyncWSClient] = []
    kept: list[wsclient.AsyncConnection] = []
    connected = threading.Event()

    def forget(connection: wsclient.AsyncConnection, *_: object) -> None:
        kept.append(connection)
        clients.clear()

    def named(peer: Peer) -> None:
        peer.upgrade()
        assert b"Alice" in read_message(peer)
        assert connected.wait(DEADLINE)
        peer.reset()

    def nameless(peer: Peer) -> None:
        while (opcode := peer.read_frame()[1]) != CLOSE:
            assert opcode != TEXT
        peer.sock.sendall(close_frame(1000))

    with SeriesServer([named, says("two", nameless)]) as server:
        policy = quick(on_down=forget)
        clients.append(wsclient.AsyncWSClient(url=server.url, username="Alice", proxy=None, reconnect=policy))
        assert await clients[0].connect()
        connected.set()
        while not kept:
            await asyncio.sleep(0)
        assert await kept[0].recv(DEADLINE) == "two"
        await kept.pop().close()


def forgotten_peer(gone: threading.Event) -> Callable[[Peer], None]:
    """Reads a message without a proof that it has, and tells when the client is gone."""

    def script(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame()[2] == b"kept"
        peer.sock.sendall(frame(TEXT, b"got it"))
        peer.wait_gone()
        gone.set()

    return script


def test_a_background_connection_that_is_forgotten_is_broken_off() -> None:
    gone = threading.Event()
    with SeriesServer([forgotten_peer(gone)]) as server:
        connection = wsclient.connect(server.url, proxy=None, background=True, reconnect=quick())
        connection.send("kept")
        assert connection.recv(DEADLINE) == "got it"
        del connection
        gc.collect()
        assert gone.wait(DEADLINE)


@on_each_loop
async def test_an_asyncio_connection_that_is_forgotten_is_broken_off(caplog: pytest.LogCaptureFixture) -> None:
    gone = threading.Event()
    with SeriesServer([forgotten_peer(gone)]) as server:
        connection = await wsclient.aio.connect(server.url, proxy=None, reconnect=quick())
        await connection.send("kept")
        assert await connection.recv(DEADLINE) == "got it"
        with pytest.warns(ResourceWarning, match="was not closed"):
            del connection
        assert await asyncio.to_thread(gone.wait, DEADLINE)
        while len(asyncio.all_tasks()) > 2:  # this one and the one that watches it
            await asyncio.sleep(0)
    assert "1 messages were given up" in caplog.text


@on_each_loop
async def test_an_asyncio_connection_that_is_forgotten_as_it_is_lost_has_nothing_to_tell(
    caplog: pytest.LogCaptureFixture,
) -> None:
    down: list[object] = []
    opened = threading.Event()

    def script(peer: Peer) -> None:
        peer.upgrade()
        assert opened.wait(DEADLINE)
        peer.reset()

    with SeriesServer([script]) as server:
        policy = ReconnectPolicy(initial_delay=600, max_delay=600, on_down=lambda *_: down.append(_))
        connection = await wsclient.aio.connect(server.url, proxy=None, reconnect=policy)
        opened.set()
        select.select([connection.fileno()], [], [], DEADLINE)
        await connection.send_many([])  # has a turn, which meets the reset, and does not wait
        assert connection.state is State.CONNECTING
    handle = connection._handle  # pyright: ignore[reportPrivateUsage]
    with pytest.warns(ResourceWarning, match="was not closed"):
        del connection
    while handle.state != State.CLOSED:
        await asyncio.sleep(0)
    assert not down
    assert "given up" not in caplog.text


@on_each_loop
async def test_an_asyncio_connection_that_is_forgotten_while_it_is_down_tries_no_more() -> None:
    with SeriesServer([says("one", Peer.reset)]) as server:
        policy = ReconnectPolicy(initial_delay=600, max_delay=600)
        connection = await wsclient.aio.connect(server.url, proxy=None, reconnect=policy)
        assert await connection.recv(DEADLINE) == "one"
        with pytest.raises(TimeoutError):
            await connection.recv(0.05)
        assert connection.state is State.CONNECTING
    handle = connection._handle  # pyright: ignore[reportPrivateUsage]
    with pytest.warns(ResourceWarning, match="was not closed"):
        del connection
    while handle.state != State.CLOSED:
        await asyncio.sleep(0)
