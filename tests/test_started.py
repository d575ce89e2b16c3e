"""The chat client after start(): driven in the background, stopped from anywhere."""

import gc
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from certificates import Certificates, server_context, tls_echo
from conftest import Program
from raw_server import DEADLINE, TEXT, Peer, RawServer, frame
from series_server import Script, SeriesServer, end, read_message
from test_background import hold_the_gil, wait_until
from wsclient import (
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    Message,
    MessageInfo,
    ReconnectPolicy,
    WSClient,
)
from wsclient.testing import ChatServer

TO_ME = MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST


@pytest.fixture
def client(chat_server: ChatServer) -> Iterator[WSClient]:
    """A client that has been started, without a callback."""
    with WSClient(chat_server.host, chat_server.port, "Alice") as client:
        assert client.start()
        yield client


def heard_by(client: WSClient) -> "queue.Queue[str]":
    """The texts that the client's callback gets from now on."""
    heard: queue.Queue[str] = queue.Queue()
    client.set_message_callback(lambda _, message, __: heard.put(message.text), use_json=True)
    return heard


def numbers(peer: Peer, *count: int) -> None:
    """Say numbers as chat messages."""
    texts = (json.dumps({"user": {"name": "n"}, "message": {"text": str(i)}}) for i in range(*count))
    peer.sock.sendall(b"".join(frame(TEXT, text.encode()) for text in texts))


def refused(call: Callable[[], object]) -> bool:
    """Whether that raises ConcurrencyError."""
    try:
        call()
    except ConcurrencyError:
        return True
    return False


# ---- who hears


@pytest.mark.parametrize("use_json", [False, True])
def test_a_callback_hears_everything_in_order(client: WSClient, use_json: bool) -> None:
    heard: queue.Queue[tuple[Any, ...]] = queue.Queue()
    client.set_message_callback(lambda *arguments: heard.put(arguments), use_json)  # type: ignore[call-overload]
    before = time.time()
    for i in range(500):
        assert client.send_message(str(i), TO_ME)
    for i in range(500):
        who, message, received = heard.get(timeout=DEADLINE)
        text = message.text if isinstance(message, Message) else json.loads(message)["message"]["text"]
        assert (who, text) == (client, str(i))
        assert before <= received <= time.time()
    assert client.last_error is None


def test_without_a_callback_messages_wait(client: WSClient) -> None:
    for text in "abc":
        assert client.send_message(text, TO_ME)
    assert client.flush()
    messages = client.messages()
    assert [next(messages).text for _ in "ab"] == ["a", "b"]
    heard = heard_by(client)
    assert heard.get(timeout=DEADLINE) == "c"
    client.set_message_callback(None)
    assert client.send_message("d", TO_ME)
    assert client.flush()
    assert heard.empty()
    assert next(messages).text == "d"


def test_listen_drops_what_waits_without_a_callback(client: WSClient) -> None:
    assert client.send_message("unheard", TO_ME)
    assert client.flush()
    assert client.listen(DEADLINE)
    heard = heard_by(client)
    assert client.send_message("heard", TO_ME)
    assert heard.get(timeout=DEADLINE) == "heard"


def test_a_callback_may_clear_itself_and_the_rest_waits() -> None:
    heard: list[str] = []

    def once(client: WSClient, message: Message, timestamp: float) -> None:
        client.set_message_callback(None)
        heard.append(message.text)

    def serve(peer: Peer) -> None:
        peer.upgrade()
        numbers(peer, 300)
        peer.wait_gone()

    with RawServer(serve) as server, WSClient(url=server.url, close_timeout=0.1, max_queue=None) as client:
        assert client.start()
        while len(heard) < 200:
            count = len(heard)
            client.set_message_callback(once, use_json=True)
            wait_until(lambda count=count: len(heard) == count + 1)
        for message in client.messages():
            heard.append(message.text)
            if message.text == "299":
                break
    assert heard == [str(i) for i in range(300)]


def test_listen_and_run_call_back_in_their_thread(client: WSClient) -> None:
    """While they wait; between their calls the other thread does, and the order stays."""
    heard: list[str] = []
    callers: set[int] = set()

    def on_message(client: WSClient, message: Message, timestamp: float) -> None:
        heard.append(message.text)
        callers.add(threading.get_ident())
        if message.text == "end":
            client.disconnect()

    def send() -> None:
        for i in range(2000):
            assert client.send_message(str(i), TO_ME)
        assert client.send_message("end", TO_ME)

    client.set_message_callback(on_message, use_json=True)
    sender = threading.Thread(target=send)
    sender.start()
    while len(heard) < 1000:
        assert client.listen(0.001)
    assert client.run()
    sender.join(DEADLINE)
    assert heard == [*map(str, range(2000)), "end"]
    assert threading.get_ident() in callers
    assert client.last_error is None


def test_listen_waits_while_the_other_thread_calls_back(client: WSClient) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def on_message(client: WSClient, text: str, timestamp: float) -> None:
        inside.set()
        assert go_on.wait(DEADLINE)

    client.set_message_callback(on_message)
    assert client.send_message("hi", TO_ME)
    assert inside.wait(DEADLINE)
    assert client.listen(0.05)
    threading.Timer(0.05, go_on.set).start()
    assert client.listen(0.2)


def test_a_callback_may_not_receive(client: WSClient) -> None:
    results: queue.Queue[list[bool]] = queue.Queue()
    calls = (client.listen, client.run, client.connect, client.messages, client.start)
    client.set_message_callback(lambda *_: results.put([refused(call) for call in calls]))
    assert client.send_message("hi", TO_ME)
    assert results.get(timeout=DEADLINE) == [True] * 5
    assert refused(client.messages)  # its messages go to the callback
    assert refused(client.start)
    assert client.send_message("still connected")


def test_what_a_callback_raises_is_logged(client: WSClient, caplog: pytest.LogCaptureFixture) -> None:
    raised: list[BaseException] = [LookupError("the first"), SystemExit(3), KeyboardInterrupt()]
    left = iter(raised)
    heard: queue.Queue[str] = queue.Queue()

    def on_message(client: WSClient, message: Message, timestamp: float) -> None:
        heard.put(message.text)
        for error in left:
            raise error

    client.set_message_callback(on_message, use_json=True)
    for text in "abcd":
        client.send_message(text, TO_ME)
    assert [heard.get(timeout=DEADLINE) for _ in "abcd"] == list("abcd")
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == raised


def test_what_listen_left_comes_first(chat_server: ChatServer) -> None:
    def leave(client: WSClient, text: str, timestamp: float) -> None:
        raise SystemExit(3)

    with WSClient(chat_server.host, chat_server.port) as client:
        for i in range(10):
            client.send_message(str(i), TO_ME)
        client.flush()
        client.set_message_callback(leave)
        with pytest.raises(SystemExit):
            client.listen(DEADLINE)
        client.set_message_callback(None)
        assert client.start()
        heard = heard_by(client)
        assert [heard.get(timeout=DEADLINE) for _ in range(9)] == [str(i) for i in range(1, 10)]


def test_the_connection_lives_while_python_is_busy() -> None:
    code = """
import sys; sys.path.insert(0, sys.argv[1])
from raw_server import *
from series_server import Script, SeriesServer, end, read_message
from test_background import pinged
def serve(peer):
    peer.upgrade()
    peer.read_frame()
    print(pinged(peer, 2), flush=True)
    peer.sock.sendall(close_frame(1000))
    peer.wait_gone()
with RawServer(serve) as server:
    print(server.url, flush=True)
"""
    with Program(sys.executable, "-c", code, os.path.dirname(__file__)) as program:
        client = WSClient(url=program.line())
        assert client.connect()
        assert client.start()
        hold_the_gil(2.2)
        assert int(program.line()) >= 5
        assert client.run()


# ---- how it ends


@pytest.mark.parametrize("end", [WSClient.disconnect, WSClient.stop])
def test_a_callback_may_end_it(client: WSClient, end: Callable[[WSClient], None]) -> None:
    ended = threading.Event()

    def on_message(client: WSClient, text: str, timestamp: float) -> None:
        end(client)
        ended.set()

    client.set_message_callback(on_message)
    client.send_message("go", TO_ME)
    assert ended.wait(DEADLINE)
    assert not client.send_message("too late")
    assert isinstance(client.last_error, ConnectionClosedOK)
    client.stop()
    assert client.connect()
    assert client.start()
    assert client.flush()


def test_a_callback_of_run_may_stop_it(client: WSClient) -> None:
    client.set_message_callback(lambda client, text, timestamp: client.stop())
    threading.Timer(0.1, client.send_message, ("go", TO_ME)).start()
    assert client.run()


def test_the_callback_of_another_client_may_stop_it(chat_server: ChatServer, client: WSClient) -> None:
    """It is called by the same thread, which must not wait for itself."""
    stopped = threading.Event()
    with WSClient(chat_server.host, chat_server.port, "Bob") as other:
        other.set_message_callback(lambda *_: (client.stop(), stopped.set()))
        client.set_message_callback(lambda *_: None)
        assert other.start()
        other.send_message("go", TO_ME)
        assert stopped.wait(5)  # close_timeout is 10 s


def test_after_stop_nothing_is_called(client: WSClient) -> None:
    calls: list[bool] = []
    stopped = False

    def on_message(client: WSClient, text: str, timestamp: float) -> None:
        calls.append(stopped)
        time.sleep(0.001)

    client.set_message_callback(on_message)
    for _ in range(100):
        client.send_message("hi", TO_ME)
    wait_until(lambda: len(calls) > 0)
    client.stop()
    stopped = True
    count = len(calls)
    assert not client.listen(0.05)
    assert len(calls) == count
    assert not any(calls)


def test_threads_may_stop_it_at_once_while_one_runs(client: WSClient) -> None:
    results: queue.Queue[object] = queue.Queue()
    heard_by(client)
    calls = [client.run, client.stop, client.stop, client.disconnect]
    threads = [threading.Thread(target=lambda call=call: results.put(call())) for call in calls]
    for thread in threads:
        thread.start()
    ended = [results.get(timeout=DEADLINE) for _ in calls]
    assert ended.count(None) == 3
    for thread in threads:
        thread.join(DEADLINE)


def test_a_callback_that_does_not_return_delays_stop_by_close_timeout(chat_server: ChatServer) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def on_message(client: WSClient, text: str, timestamp: float) -> None:
        inside.set()
        go_on.wait(DEADLINE)

    client = WSClient(chat_server.host, chat_server.port, close_timeout=0.2)
    assert client.connect()
    client.set_message_callback(on_message)
    assert client.start()
    client.send_message("hi", TO_ME)
    assert inside.wait(DEADLINE)
    client.stop()
    assert not go_on.is_set()
    go_on.set()
    client.stop()


@pytest.mark.parametrize("callback", [None, lambda *_: None])
def test_a_peer_that_does_not_answer_the_close_does_not_spoil_stop(callback: Any) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    with RawServer(serve) as server:
        client = WSClient(url=server.url, close_timeout=0.2)
        client.set_message_callback(callback)
        assert client.connect()
        assert client.start()
        client.stop()
        assert client.last_error is None


def test_how_it_ended_is_told(caplog: pytest.LogCaptureFixture) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        numbers(peer, 3)
        peer.read_frame()
        peer.reset()

    with RawServer(serve) as server:
        client = WSClient(url=server.url)
        heard = heard_by(client)
        assert client.connect()
        assert client.start()
        assert [heard.get(timeout=DEADLINE) for _ in range(3)] == list("012")
        assert client.send_message("now")
        wait_until(lambda: client.last_error is not None)
        assert isinstance(client.last_error, ConnectionClosedError)
        wait_until(lambda: len(caplog.records) > 0)  # set first, then logged
        assert [record.name for record in caplog.records] == ["wsclient"]
        assert not client.run()
        client.set_message_callback(None)
        with pytest.raises(ConnectionClosedError):
            list(client.messages())


def test_a_clean_end_is_no_failure(chat_server: ChatServer, client: WSClient, caplog: pytest.LogCaptureFixture) -> None:
    heard_by(client)
    chat_server.stop()
    wait_until(lambda: client.last_error is not None)
    assert isinstance(client.last_error, ConnectionClosedOK)
    assert client.run()
    assert caplog.records == []


def test_a_closed_client_cannot_be_started(chat_server: ChatServer) -> None:
    client = WSClient(chat_server.host, chat_server.port)
    assert not client.start()
    assert isinstance(client.last_error, InvalidState)
    assert client.connect()
    client.disconnect()
    assert not client.start()
    assert isinstance(client.last_error, ConnectionClosed)


def test_nobody_may_be_receiving_when_it_is_started(chat_server: ChatServer) -> None:
    with WSClient(chat_server.host, chat_server.port) as client:
        results: queue.Queue[bool] = queue.Queue()
        runner = threading.Thread(target=lambda: results.put(client.run()))
        runner.start()
        wait_until(lambda: refused(lambda: client.listen(0)))
        assert refused(client.start)
        client.disconnect()
        assert results.get(timeout=DEADLINE)
        runner.join(DEADLINE)


def test_a_forgotten_client_is_collected_and_its_connection_closed() -> None:
    class Owner:
        def __init__(self, url: str) -> None:
            self.client = WSClient(url=url)
            self.client.set_message_callback(self.on_message)
            assert self.client.connect()
            assert self.client.start()

        def on_message(self, client: WSClient, text: str, timestamp: float) -> None: ...

    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()
        gone.set()

    with RawServer(serve) as server:
        owner = Owner(server.url)
        references = weakref.ref(owner), weakref.ref(owner.client)
        del owner
        gc.collect()
        wait_until(lambda: [reference() for reference in references] == [None, None])
        assert gone.wait(DEADLINE)


# ---- reconnecting


def greeted(then: Script) -> Script:
    """Upgrade, read the name, say hello, go on."""

    def script(peer: Peer) -> None:
        peer.upgrade()
        assert json.loads(read_message(peer))["user"]["name"] == "Alice"
        numbers(peer, 1)
        then(peer)

    return script


def test_it_reconnects_in_the_background() -> None:
    with SeriesServer([greeted(Peer.reset), greeted(Peer.reset), greeted(end)]) as server:
        policy = ReconnectPolicy(initial_delay=0.001, max_delay=0.002)
        with WSClient(url=server.url, username="Alice", reconnect=policy) as client:
            heard = heard_by(client)
            assert client.start()
            assert [heard.get(timeout=DEADLINE) for _ in range(3)] == ["0", "0", "0"]
            assert client.last_error is None


@pytest.mark.parametrize("where", ["main", "thread", "on_down", "callback", "run"])
def test_it_can_be_stopped_while_it_reconnects(where: str) -> None:
    stopped = threading.Event()

    def stop() -> None:
        wait_until(lambda: "CONNECTING" in repr(client))
        client.stop()
        stopped.set()

    def on_down(connection: object, error: Exception, pause: float) -> None:
        if where == "on_down":
            stop()

    policy = ReconnectPolicy(initial_delay=100, max_delay=100, on_down=on_down)
    with SeriesServer([greeted(Peer.reset)]) as server:
        client = WSClient(url=server.url, username="Alice", reconnect=policy)
        assert client.connect()
        client.set_message_callback(lambda *_: stop() if where == "callback" else None)
        assert client.start()
        if where in ("thread", "run"):
            threading.Thread(target=stop).start()
        if where == "run":
            assert client.run()
        elif where == "main":
            stop()
        assert stopped.wait(5)
        client.stop()
        assert client.last_error is None


# ---- the program


def test_ctrl_c_reaches_the_main_thread(chat_server: ChatServer) -> None:
    code = (
        "import sys, wsclient\n"
        "client = wsclient.WSClient(port=sys.argv[1])\n"
        "client.set_message_callback(lambda c, text, t: (print('heard', flush=True), c.send_message('again', 3)))\n"
        "client.connect() and client.start() and client.send_message('go round and round', 3)\n"
        "sys.exit(5 if client.run() else 6)\n"
    )
    with Program(sys.executable, "-c", code, str(chat_server.port)) as program:
        program.expect("heard")
        program.process.send_signal(signal.SIGINT)
        assert program.wait() == 5


END = """
import atexit, sys, threading, time, wsclient
{before}
client = wsclient.WSClient(url=sys.argv[1])
client.set_message_callback({callback})
assert client.connect() and client.start() and client.send_message("x", 3)
{after}
print("end", flush=True)
"""


@pytest.mark.parametrize(
    ("before", "callback", "after"),
    [
        ("", "print", ""),
        ("", "None", "client.listen(10)"),
        ("", "lambda c, m, t: c.send_message('y', 3)", "time.sleep(0.1)"),
        ("", "lambda c, m, t: time.sleep(100)", "time.sleep(0.3)"),
        ("atexit.register(lambda: client.stop())", "lambda c, m, t: time.sleep(100)", "time.sleep(0.3)"),
        ("atexit.register(lambda: client.stop())", "lambda c, m, t: c.send_message('y', 3)", "time.sleep(0.1)"),
        ("", "print", "atexit.register(client.stop)"),
        ("", "lambda c, m, t: c.stop()", "time.sleep(0.1)"),
        ("", "print", "threading.Thread(target=client.run, daemon=True).start(); time.sleep(0.1)"),
    ],
)
def test_a_program_that_falls_off_its_end_exits(
    chat_server: ChatServer, before: str, callback: str, after: str
) -> None:
    code = END.format(before=before, callback=callback, after=after)
    done = subprocess.run(
        [sys.executable, "-c", code, chat_server.url], capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stderr
    assert "end" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_connection_made_at_the_very_end_ends_before_openssl(certificates: Certificates) -> None:
    """After the module's own handler of Python's: only C's is left to end the thread, while it reads."""
    code = """
import atexit, sys, wsclient
def late():
    global second
    second = begin()
    print("late", flush=True)
atexit.register(late)
def begin():
    tls = wsclient.TLSOptions(ca_file=sys.argv[2])
    connection = wsclient.connect(sys.argv[1], background=True, max_queue=None, tls=tls)
    connection.send_many([b"x" * 10000] * 100)
    return connection
first = begin()
"""
    with tls_echo(server_context(certificates.server)) as echo:
        for _ in range(5):
            done = subprocess.run(
                [sys.executable, "-c", code, echo.url, str(certificates.ca)],
                capture_output=True,
                text=True,
                timeout=DEADLINE,
            )
            assert (done.returncode, done.stdout, done.stderr) == (0, "late\n", "")
