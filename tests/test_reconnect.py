"""Reconnecting: pauses, limits, what is retried, what is sent again, and what the program is asked."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator

import pytest

import wsclient
from raw_server import DEADLINE, PONG, TEXT, Peer, close_frame, frame, unused_port
from series_server import Script, SeriesServer, end, read_message
from wsclient import (
    CloseInfo,
    ConnectError,
    ConnectionClosedError,
    InvalidStatus,
    MessagesLostError,
    OnOpenError,
    ReconnectPolicy,
    State,
)

QUICK = ReconnectPolicy(initial_delay=0.001, max_delay=0.002)


def quick(**more: object) -> ReconnectPolicy:
    """A policy without pauses worth mentioning."""
    return ReconnectPolicy(**{"initial_delay": 0.001, "max_delay": 0.002, **more})  # type: ignore[arg-type]


class Driven:
    """A connection, driven one way or another, with the verbs of the blocking one."""

    def __init__(self, run: Callable[..., object], connection: object) -> None:
        self.run = run
        self.connection = connection

    def __getattr__(self, name: str) -> object:
        attribute = getattr(self.connection, name)
        return (lambda *a, **k: self.run(attribute, *a, **k)) if callable(attribute) else attribute


@pytest.fixture(params=["inline", "background", "asyncio"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[..., wsclient.Connection]]:
    """What connects, in each of the ways to drive a connection."""
    if request.param != "asyncio":
        background = request.param == "background"
        yield lambda url, **options: wsclient.connect(url, proxy=None, background=background, **options)
        return
    loop = asyncio.new_event_loop()

    def run(function: Callable[..., object], *args: object, **keywords: object) -> object:
        async def call() -> object:
            result = function(*args, **keywords)
            return await result if asyncio.iscoroutine(result) else result  # type: ignore[unreachable]

        return loop.run_until_complete(call())

    def opened(url: str, **options: object) -> object:
        async def call() -> wsclient.AsyncConnection:
            return await wsclient.aio.connect(url, proxy=None, **options)  # type: ignore[arg-type]

        return Driven(run, loop.run_until_complete(call()))

    yield opened  # type: ignore[misc]
    loop.close()


def says(text: str, then: Script) -> Script:
    """Upgrade, send this, go on."""

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, text.encode()))
        then(peer)

    return script


def test_receiving_goes_on_across_connections(connect: Callable[..., wsclient.Connection]) -> None:
    scripts = [says("one", Peer.reset), says("two", lambda peer: None), says("three", end)]
    with SeriesServer(scripts) as server:
        connection = connect(server.url, reconnect=quick())
        assert [connection.recv(DEADLINE) for _ in scripts] == ["one", "two", "three"]
        assert connection.stats().reconnects == 2
        connection.close()
    assert connection.close_info == CloseInfo("local", 1000, "", True)


@pytest.mark.parametrize("code", [1000, 1001, 1005, 1011, 1012, 1013, 4000])
def test_a_close_that_may_pass_is_not_the_end(connect: Callable[..., wsclient.Connection], code: int) -> None:
    frame_of = frame(8) if code == 1005 else close_frame(code)
    with SeriesServer([says("one", lambda peer: peer.sock.sendall(frame_of)), says("two", end)]) as server:
        connection = connect(server.url, reconnect=quick())
        assert [connection.recv(DEADLINE) for _ in range(2)] == ["one", "two"]
        connection.close()


@pytest.mark.parametrize("code", [1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003])
def test_a_close_that_would_come_again_is_the_end(connect: Callable[..., wsclient.Connection], code: int) -> None:
    with SeriesServer([says("one", lambda peer: peer.sock.sendall(close_frame(code)))]) as server:
        connection = connect(server.url, reconnect=quick())
        assert connection.recv(DEADLINE) == "one"
        with pytest.raises(ConnectionClosedError):
            connection.recv(DEADLINE)
        assert connection.close_code == code


def refuse(status: int, *headers: str) -> Script:
    """Answer with that status."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall("\r\n".join([f"HTTP/1.1 {status} No", "Content-Length: 0", *headers, "", ""]).encode())
        peer.wait_gone()

    return script


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 521])
def test_a_refusal_that_may_pass_is_retried(connect: Callable[..., wsclient.Connection], status: int) -> None:
    with SeriesServer([refuse(status), says("hello", end)]) as server:
        connection = connect(server.url, reconnect=quick())
        assert connection.recv(DEADLINE) == "hello"
        connection.close()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 426, 501, 505])
def test_a_refusal_that_would_come_again_is_the_end(connect: Callable[..., wsclient.Connection], status: int) -> None:
    with SeriesServer([refuse(status)]) as server, pytest.raises(InvalidStatus) as raised:
        connect(server.url, reconnect=quick())
    assert raised.value.response.status_code == status


def test_retry_after_is_waited_for(connect: Callable[..., wsclient.Connection]) -> None:
    down: list[tuple[Exception, float]] = []
    policy = quick(on_down=lambda _, error, pause: down.append((error, pause)))
    with SeriesServer([refuse(503, "Retry-After: 1"), says("hello", end)]) as server:
        connection = connect(server.url, reconnect=policy)
        connection.close()
    ((error, pause),) = down
    assert isinstance(error, InvalidStatus)
    assert error.response.status_code == 503
    assert pause == 1


@pytest.mark.parametrize("limit", [{"max_attempts": 3}, {"max_time": 0.05}])
def test_the_limits_end_it_with_what_went_wrong(
    connect: Callable[..., wsclient.Connection], limit: dict[str, float]
) -> None:
    with pytest.raises(ConnectError, match=r"given up after .* failures") as raised:
        connect(f"ws://127.0.0.1:{unused_port()}/", reconnect=quick(**limit))
    assert raised.value.errno


def test_a_handshake_that_breaks_off_is_retried(connect: Callable[..., wsclient.Connection]) -> None:
    scripts: list[Script] = [lambda peer: None, lambda peer: peer.read_request(), Peer.reset, says("hello", end)]
    with SeriesServer(scripts) as server:
        connection = connect(server.url, reconnect=quick())
        assert connection.recv(DEADLINE) == "hello"
        connection.close()


def test_what_is_not_proved_is_sent_again_in_order(connect: Callable[..., wsclient.Connection]) -> None:
    heard: list[bytes] = []

    def first(peer: Peer) -> None:
        peer.upgrade()
        heard.extend(peer.read_frame()[2] for _ in range(2))
        peer.reset()

    def second(peer: Peer) -> None:
        peer.upgrade()
        heard.extend(read_message(peer) for _ in range(4))
        end(peer)

    with SeriesServer([first, second]) as server:
        connection = connect(server.url, reconnect=quick())
        for text in ("1", "2"):
            connection.send(text)
        for text in ("3", "4"):  # while it is open, or down: it does not matter
            connection.send(text)
        connection.flush(DEADLINE)
        assert connection.stats().outbox_messages == 0
        connection.close()
    assert heard == [b"1", b"2", b"1", b"2", b"3", b"4"]


def test_what_is_proved_is_not_sent_again(connect: Callable[..., wsclient.Connection]) -> None:
    heard: list[bytes] = []

    def first(peer: Peer) -> None:
        peer.upgrade()
        heard.append(read_message(peer))
        _, _, payload = peer.read_frame()
        peer.sock.sendall(frame(PONG, payload))
        heard.append(read_message(peer))
        peer.reset()

    def second(peer: Peer) -> None:
        peer.upgrade()
        heard.append(read_message(peer))
        end(peer)

    with SeriesServer([first, second]) as server:
        connection = connect(server.url, reconnect=quick())
        connection.send("1")
        connection.flush(DEADLINE)
        connection.send("2")
        connection.flush(DEADLINE)
        connection.close()
    assert heard == [b"1", b"2", b"2"]


def test_at_most_once_names_what_may_have_arrived(connect: Callable[..., wsclient.Connection]) -> None:
    heard: list[bytes] = []

    def first(peer: Peer) -> None:
        peer.upgrade()
        heard.append(peer.read_frame()[2])
        peer.reset()

    def second(peer: Peer) -> None:
        peer.upgrade()
        heard.append(read_message(peer))
        end(peer)

    with SeriesServer([first, second]) as server:
        connection = connect(server.url, reconnect=quick(delivery="at_most_once"))
        connection.send("1")
        with pytest.raises(MessagesLostError) as raised:
            connection.flush(DEADLINE)
        assert raised.value.messages == ["1"]
        connection.send(b"2")
        connection.flush(DEADLINE)
        connection.close()
        assert connection.close_info == CloseInfo("local", 1000, "", True, lost=1)
    assert heard == [b"1", b"2"]


def test_what_is_left_at_the_end_is_named(connect: Callable[..., wsclient.Connection]) -> None:
    lost: list[str | bytes] = []
    told = threading.Event()

    def on_lost(_: object, messages: list[str | bytes]) -> None:
        lost.extend(messages)
        told.set()

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        peer.sock.sendall(close_frame(1008))
        peer.wait_gone()

    with SeriesServer([script]) as server:
        connection = connect(server.url, reconnect=quick(on_lost=on_lost))
        connection.send("1")
        with pytest.raises(ConnectionClosedError):
            connection.recv(DEADLINE)
        assert connection.close_info
        assert connection.close_info.lost == 1
        if not isinstance(connection, wsclient.Connection):
            connection.wait_closed(1)
    assert told.wait(DEADLINE)
    assert lost == ["1"]


def test_what_is_lost_while_a_callback_is_busy_is_named() -> None:
    lost: list[str | bytes] = []
    told, idle = threading.Event(), threading.Event()

    def on_lost(_: object, messages: list[str | bytes]) -> None:
        lost.extend(messages)
        if len(lost) == 6:
            told.set()

    def loses(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        peer.read_frame()
        peer.reset()

    def last(peer: Peer) -> None:
        peer.upgrade()
        assert read_message(peer) == b"6"
        end(peer)

    policy = quick(delivery="at_most_once", outbox_messages=2, on_down=lambda *_: idle.wait(DEADLINE), on_lost=on_lost)
    with (
        SeriesServer([loses, loses, loses, last]) as server,
        wsclient.connect(server.url, proxy=None, background=True, reconnect=policy) as connection,
    ):
        for number in range(7):
            connection.send(str(number))
        connection.flush(DEADLINE)
        assert not lost
        idle.set()
        assert told.wait(DEADLINE)
    assert lost == ["0", "1", "2", "3", "4", "5"]


def test_on_open_comes_before_what_is_queued(connect: Callable[..., wsclient.Connection]) -> None:
    heard: list[bytes] = []
    answers: list[str | bytes] = []

    def on_open(connection: wsclient.Connection) -> object:
        if isinstance(connection, wsclient.AsyncConnection):  # type: ignore[unreachable]
            return on_open_later(connection)  # type: ignore[unreachable]
        connection.send("login")
        answers.append(connection.recv(DEADLINE))
        return None

    async def on_open_later(connection: wsclient.AsyncConnection) -> None:
        await connection.send("login")
        answers.append(await connection.recv(DEADLINE))

    def first(peer: Peer) -> None:
        peer.upgrade()
        heard.append(read_message(peer))
        peer.sock.sendall(frame(TEXT, b"welcome") + frame(TEXT, b"one"))
        heard.append(peer.read_frame()[2])
        peer.reset()

    def second(peer: Peer) -> None:
        peer.upgrade()
        heard.append(read_message(peer))
        peer.sock.sendall(frame(TEXT, b"welcome back") + frame(TEXT, b"two"))
        heard.append(read_message(peer))
        end(peer)

    policy = quick(on_open=on_open, on_open_send=["hello"])
    with SeriesServer([greeted(first), greeted(second)]) as server:
        connection = connect(server.url, reconnect=policy)
        connection.send("queued")
        connection.flush(DEADLINE)
        assert [connection.recv(DEADLINE) for _ in range(2)] == ["one", "two"]
        connection.close()
    assert heard == [b"login", b"queued", b"login", b"queued"]
    assert answers == ["welcome", "welcome back"]


def greeted(script: Script) -> Script:
    """What on_open_send says comes first, as soon as the upgrade is answered."""

    class Greeted(Peer):
        def upgrade(self, *more: str) -> None:
            super().upgrade(*more)
            assert read_message(self) == b"hello"

    return lambda peer: script(Greeted(peer.sock))


def test_on_open_that_raises_is_a_failed_attempt(connect: Callable[..., wsclient.Connection]) -> None:
    def on_open(_: object) -> None:
        raise ValueError("no such user")

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    with SeriesServer([script, script]) as server, pytest.raises(OnOpenError, match="no such user"):
        connect(server.url, reconnect=quick(on_open=on_open, max_attempts=2))


def test_on_open_that_takes_too_long_is_a_failed_attempt(connect: Callable[..., wsclient.Connection]) -> None:
    gone = threading.Event()

    def on_open(connection: wsclient.Connection) -> object:
        if isinstance(connection, wsclient.AsyncConnection):  # type: ignore[unreachable]
            return connection.recv()  # type: ignore[unreachable]
        with pytest.raises((TimeoutError, wsclient.WebSocketException)):
            connection.recv(DEADLINE)
        return None

    def script(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()
        gone.set()

    policy = quick(on_open=on_open, on_open_timeout=0.05, max_attempts=1)
    with SeriesServer([script]) as server, pytest.raises(OnOpenError, match="did not return in time"):
        connect(server.url, reconnect=policy)
    assert gone.is_set()


def test_retry_decides(connect: Callable[..., wsclient.Connection]) -> None:
    asked: list[Exception] = []

    def retry(error: Exception) -> bool | None:
        asked.append(error)
        return isinstance(error, InvalidStatus)

    with SeriesServer([refuse(404), says("one", Peer.reset)]) as server:
        connection = connect(server.url, reconnect=quick(retry=retry))
        assert connection.recv(DEADLINE) == "one"
        with pytest.raises(ConnectionClosedError):
            connection.recv(DEADLINE)
    assert len(asked) == 2


def test_the_token_is_asked_anew(connect: Callable[..., wsclient.Connection]) -> None:
    tokens = iter(["first", "second"])
    seen: list[str | None] = []

    def script(peer: Peer) -> None:
        seen.append(peer.header("Authorization"))
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"x"))
        if len(seen) == 2:
            end(peer)

    with SeriesServer([script, script]) as server:
        connection = connect(server.url, bearer_token=lambda: next(tokens), reconnect=quick())
        assert [connection.recv(DEADLINE) for _ in range(2)] == ["x", "x"]
        connection.close()
    assert seen == ["Bearer first", "Bearer second"]


def test_closing_while_it_is_down_ends_at_once(connect: Callable[..., wsclient.Connection]) -> None:
    policy = ReconnectPolicy(initial_delay=600, max_delay=600)
    with SeriesServer([says("one", Peer.reset)]) as server:
        connection = connect(server.url, reconnect=policy)
        assert connection.recv(DEADLINE) == "one"
        with contextlib.suppress(TimeoutError):
            connection.recv(0.01)
        connection.send("never")
        connection.close()
        assert connection.state is State.CLOSED
        assert connection.close_info
        assert connection.close_info.lost == 1


def test_a_full_outbox_makes_sending_wait(connect: Callable[..., wsclient.Connection]) -> None:
    policy = ReconnectPolicy(initial_delay=600, max_delay=600, outbox_messages=3)
    with SeriesServer([says("one", Peer.reset)]) as server:
        connection = connect(server.url, reconnect=policy, write_timeout=0.1)
        assert connection.recv(DEADLINE) == "one"
        for _ in range(3):
            connection.send("x")
        with pytest.raises(wsclient.WriteTimeoutError):
            connection.send("x")
        assert connection.stats().outbox_messages == 3
        connection.abort()


def test_fragments_are_kept_as_one_message(connect: Callable[..., wsclient.Connection]) -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.upgrade()
        heard.append(read_message(peer))
        end(peer)

    with SeriesServer([script]) as server:
        connection = connect(server.url, reconnect=True)
        connection.send(["a", "b", "c"])
        connection.close()
    assert heard == [b"abc"]


def chat(text: str) -> bytes:
    """A chat message, framed."""
    return frame(TEXT, b'{"user":{"name":"Bob"},"message":{"text":"%s"}}' % text.encode())


def announced(peer: Peer, name: str) -> None:
    """Upgrade; the client must tell its name before anything else."""
    peer.upgrade()
    envelope = json.loads(read_message(peer))
    assert (envelope["user"]["name"], envelope["message"]["info"]) == (name, 5)


def test_a_chat_client_tells_its_name_again() -> None:
    def lost(peer: Peer) -> None:
        announced(peer, "Alice")
        assert json.loads(read_message(peer))["user"]["name"] == "Eve"
        peer.sock.sendall(chat("one"))
        peer.reset()

    def found(peer: Peer) -> None:
        announced(peer, "Eve")
        peer.sock.sendall(chat("two"))
        end(peer)

    opened: list[State] = []
    policy = quick(on_open=lambda connection: opened.append(connection.state))
    with (
        SeriesServer([lost, found]) as server,
        wsclient.WSClient(url=server.url, username="Alice", proxy=None, reconnect=policy) as client,
    ):
        assert client.change_username("Eve")
        messages = client.messages()
        assert [next(messages).text for _ in range(2)] == ["one", "two"]
        assert client.flush(DEADLINE)
    assert len(opened) == 2


def test_an_async_chat_client_tells_its_name_again() -> None:
    def lost(peer: Peer) -> None:
        announced(peer, "Alice")
        peer.sock.sendall(chat("one"))
        peer.reset()

    def found(peer: Peer) -> None:
        announced(peer, "Alice")
        peer.sock.sendall(chat("two"))
        end(peer)

    async def main(url: str) -> None:
        async with wsclient.AsyncWSClient(url=url, username="Alice", proxy=None, reconnect=QUICK) as client:
            messages = client.messages()
            assert [(await anext(messages)).text for _ in range(2)] == ["one", "two"]
            assert await client.flush(DEADLINE)

    with SeriesServer([lost, found]) as server:
        asyncio.run(main(server.url))
