"""The chat client, over the real server, and over servers that misbehave."""

import contextlib
import gc
import json
import logging
import queue
import re
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import websockets.sync.client

import wsclient.ws_client
from conftest import Program
from raw_server import DEADLINE, TEXT, Peer, RawServer, close_frame, frame, unused_port
from wsclient import (
    ConcurrencyError,
    ConnectError,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidState,
    InvalidStatus,
    InvalidURI,
    Message,
    MessageInfo,
    User,
    WSClient,
)
from wsclient.testing import ChatServer

TO_ME = MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST
TO_ALL = MessageInfo.SEND_BACK


@pytest.fixture
def server(chat_server: ChatServer) -> ChatServer:
    """A running chat server."""
    return chat_server


@pytest.fixture
def client(server: ChatServer) -> Iterator[WSClient]:
    """A client that the server knows as Alice."""
    with join(server, "Alice") as client:
        yield client


@contextlib.contextmanager
def join(server: ChatServer, name: str) -> Iterator[WSClient]:
    """A client that is connected, and known to the server by its name."""
    with WSClient(server.host, server.port, name) as client:
        assert client.flush()
        yield client


def listen_until(client: WSClient, condition: Callable[[], object]) -> None:
    """Listen until it holds."""
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, "that never came"
        assert client.listen(0.05)


def collected(client: WSClient) -> list[tuple[str, str]]:
    """What the client will hear, as names and texts."""
    heard: list[tuple[str, str]] = []
    client.set_message_callback(lambda _, message, __: heard.append((message.user.name, message.text)), use_json=True)
    return heard


# ---------------------------------------------------------------------------------------------- arguments


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"ip": None}, TypeError),
        ({"ip": b"127.0.0.1"}, TypeError),
        ({"ip": ""}, ValueError),
        ({"ip": "127.0.0.1/x"}, ValueError),
        ({"ip": "me@127.0.0.1"}, ValueError),
        ({"ip": "a b"}, ValueError),
        ({"port": None}, TypeError),
        ({"port": 9999.0}, TypeError),
        ({"port": True}, TypeError),
        ({"port": "http"}, ValueError),
        ({"port": ""}, ValueError),
        ({"port": "0"}, ValueError),
        ({"port": 65536}, ValueError),
        ({"port": -1}, ValueError),
        ({"port": "٣"}, ValueError),
        ({"username": None}, TypeError),
        ({"username": ""}, ValueError),
        ({"username": "x" * 129}, ValueError),
        ({"username": "é" * 65}, ValueError),
        ({"username": "a\nb"}, ValueError),
        ({"username": "a\x9b"}, ValueError),
        ({"username": "a\ud800"}, ValueError),
        ({"url": "http://x/"}, InvalidURI),
        ({"url": 7}, TypeError),
    ],
    ids=str,
)
def test_wrong_arguments_raise(arguments: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        WSClient(**arguments)


def test_wrong_arguments_of_calls_raise(client: WSClient) -> None:
    for bad in (None, b"hi", 7):
        with pytest.raises(TypeError):
            client.send_message(bad)  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            client.change_username(bad)  # type: ignore[arg-type]
    for text in ("a\0b", "a\ud800"):
        with pytest.raises(ValueError):
            client.send_message(text)
    for info, error in (("0", TypeError), (-1, ValueError), (2**31, ValueError), (True, TypeError)):
        with pytest.raises(error):
            client.send_message("hi", info)  # type: ignore[arg-type]
    for name in ("", "x" * 129, "a\tb"):
        with pytest.raises(ValueError):
            client.change_username(name)
    for timeout, error in (("1", TypeError), (-1, ValueError), (float("nan"), ValueError), (True, TypeError)):
        with pytest.raises(error):
            client.listen(timeout)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        client.set_message_callback("print")  # type: ignore[call-overload]
    assert client.username == "Alice"


def test_an_async_callback_is_refused(client: WSClient) -> None:
    async def on_message(client: WSClient, text: str, timestamp: float) -> None: ...

    with pytest.raises(TypeError, match="async"):
        client.set_message_callback(on_message)


# ---------------------------------------------------------------------------------------------- talking


def test_who_hears_what(server: ChatServer) -> None:
    with join(server, "Alice") as alice, join(server, "Bob") as bob:
        heard_by_alice, heard_by_bob = collected(alice), collected(bob)
        assert alice.send_message("to the others")
        assert alice.send_message("to all", TO_ALL)
        assert alice.send_message("to me", TO_ME)
        assert alice.send_message("to nobody", MessageInfo.NO_BROADCAST)
        assert bob.send_message("an answer", MessageInfo.BROADCAST)
        listen_until(alice, lambda: len(heard_by_alice) == 3)
        bob.send_message("the end", TO_ME)
        listen_until(bob, lambda: len(heard_by_bob) == 3)
        assert sorted(heard_by_alice) == [("Alice", "to all"), ("Alice", "to me"), ("Bob", "an answer")]
        assert heard_by_bob == [("Alice", "to the others"), ("Alice", "to all"), ("Bob", "the end")]


@pytest.mark.parametrize("text", ["", "grüße, 世界 🌍", "a\nb\t\x1b[31m", "x" * 100_000, '{"user":1}', "\ufeff\u2028"])
def test_any_text_comes_back(client: WSClient, text: str) -> None:
    heard = collected(client)
    client.send_message(text, TO_ME)
    listen_until(client, lambda: heard)
    assert heard == [("Alice", text)]


def test_a_new_name(server: ChatServer, client: WSClient) -> None:
    heard = collected(client)
    assert client.change_username("Älice")
    assert client.username == "Älice"
    client.send_message("hi", TO_ME)
    listen_until(client, lambda: heard)
    assert heard == [("Älice", "hi")]


def test_a_raw_callback_gets_the_text_as_it_came(client: WSClient) -> None:
    heard: list[tuple[WSClient, str, float]] = []
    client.set_message_callback(lambda *arguments: heard.append(arguments))
    before = time.time()
    client.send_message("hi", TO_ME)
    listen_until(client, lambda: heard)
    ((who, text, timestamp),) = heard
    assert who is client
    assert json.loads(text) == {"user": {"name": "Alice"}, "message": {"text": "hi", "text_len": 2, "info": 0}}
    assert before <= timestamp <= time.time()


def test_a_json_callback_gets_a_message(client: WSClient) -> None:
    heard: list[tuple[WSClient, Message, float]] = []
    client.set_message_callback(lambda *arguments: heard.append(arguments), use_json=True)
    client.send_message("hi", TO_ME)
    listen_until(client, lambda: heard)
    assert heard[0][:2] == (client, Message("hi", User("Alice")))


def test_no_callback_hears_nothing(client: WSClient) -> None:
    heard = collected(client)
    client.set_message_callback(None)
    client.send_message("unheard", TO_ME)
    assert client.flush()
    assert client.listen(0)
    other = collected(client)
    client.send_message("heard", TO_ME)
    listen_until(client, lambda: other)
    assert (heard, other) == ([], [("Alice", "heard")])


def test_messages_are_iterated_over(client: WSClient) -> None:
    for text in ("one", "two"):
        client.send_message(text, TO_ME)
    messages = client.messages()
    assert [next(messages).text, next(messages).text] == ["one", "two"]
    client.disconnect()
    assert list(messages) == []


def test_the_server_closes_the_iteration(server: ChatServer, client: WSClient) -> None:
    client.send_message("last", TO_ME)
    client.flush()
    server.stop()
    assert [message.text for message in client.messages()] == ["last"]


def test_what_is_no_chat_message_is_counted_and_skipped(caplog: pytest.LogCaptureFixture) -> None:
    good = b'{"user":{"name":"n"},"message":{"text":"good"}}'

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for piece in (frame(TEXT, b"no json"), frame(2, b"binary"), frame(TEXT, b"{}"), frame(TEXT, good)):
            peer.sock.sendall(piece)
        peer.wait_gone()

    for use_json, skipped in ((True, 3), (False, 1)):
        heard: list[str] = []

        def on_message(client: WSClient, message: Any, timestamp: float, heard: list[str] = heard) -> None:
            heard.append(message.text if isinstance(message, Message) else message)

        caplog.clear()
        with RawServer(serve) as server, WSClient(url=server.url, close_timeout=0.1) as client:
            client.set_message_callback(on_message, use_json)
            listen_until(client, lambda heard=heard: heard and "good" in heard[-1])
            assert client.skipped == skipped
        assert heard == (["good"] if use_json else ["no json", "{}", good.decode()])
        assert [record.name for record in caplog.records if "skipped" in record.message] == ["wsclient"] * skipped
    with RawServer(serve) as server, WSClient(url=server.url, close_timeout=0.1) as client:
        assert next(client.messages()).text == "good"
        assert client.skipped == 3


# ---------------------------------------------------------------------------------------------- callbacks


def test_a_callback_that_raises_stops_nothing(client: WSClient, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def on_message(client: WSClient, message: Message, timestamp: float) -> None:
        heard.append(message.text)
        raise LookupError("what went wrong")

    client.set_message_callback(on_message, use_json=True)
    for text in ("one", "two"):
        client.send_message(text, TO_ME)
    listen_until(client, lambda: len(heard) == 2)
    assert heard == ["one", "two"]
    records = [record for record in caplog.records if record.name == "wsclient" and record.exc_info]
    assert len(records) == 2
    assert "what went wrong" in caplog.text
    assert "Traceback" in caplog.text


def test_a_callback_may_send_and_replace_itself(client: WSClient) -> None:
    heard: list[str] = []

    def second(client: WSClient, message: Message, timestamp: float) -> None:
        heard.append(f"second {message.text}")

    def first(client: WSClient, message: Message, timestamp: float) -> None:
        heard.append(f"first {message.text}")
        client.set_message_callback(second, use_json=True)
        assert client.send_message("answer", TO_ME)
        assert client.change_username("Bob")
        assert client.flush()

    client.set_message_callback(first, use_json=True)
    client.send_message("question", TO_ME)
    listen_until(client, lambda: len(heard) == 2)
    assert heard == ["first question", "second answer"]


def test_a_callback_may_not_receive(client: WSClient) -> None:
    refused: list[str] = []

    def on_message(client: WSClient, text: str, timestamp: float) -> None:
        for call in (client.listen, client.run, client.connect, client.messages):
            with pytest.raises(ConcurrencyError):
                call()
            refused.append(call.__name__)

    client.set_message_callback(on_message)
    client.send_message("hi", TO_ME)
    listen_until(client, lambda: refused)
    assert refused == ["listen", "run", "connect", "messages"]
    assert client.send_message("still connected")


@pytest.mark.parametrize("end", [WSClient.disconnect, WSClient.stop])
def test_a_callback_may_end_run(client: WSClient, end: Callable[[WSClient], None]) -> None:
    client.set_message_callback(lambda client, text, timestamp: end(client))
    client.send_message("go", TO_ME)
    assert client.run()
    assert client.last_error is None


def test_a_callback_may_end_listen(client: WSClient) -> None:
    client.set_message_callback(lambda client, text, timestamp: client.disconnect())
    client.send_message("go", TO_ME)
    while client.listen(DEADLINE):
        pass
    assert isinstance(client.last_error, ConnectionClosedOK)


def test_a_program_s_end_goes_through_a_callback(client: WSClient) -> None:
    def on_message(client: WSClient, text: str, timestamp: float) -> None:
        raise SystemExit(3)

    client.set_message_callback(on_message)
    client.send_message("go", TO_ME)
    with pytest.raises(SystemExit):
        client.run()
    client.set_message_callback(None)
    assert client.listen(0)


# ---------------------------------------------------------------------------------------------- run, start, stop


def test_run_while_others_send(client: WSClient) -> None:
    count = 50
    heard = collected(client)
    all_there = threading.Event()
    client.set_message_callback(
        lambda _, message, __: (
            heard.append((message.user.name, message.text)),
            len(heard) == 2 * count and all_there.set(),
        ),
        use_json=True,
    )

    def send(letter: str) -> None:
        for i in range(count):
            assert client.send_message(f"{letter}{i}", TO_ME)

    assert client.start()
    senders = [threading.Thread(target=send, args=(letter,)) for letter in "ab"]
    for sender in senders:
        sender.start()
    assert all_there.wait(DEADLINE)
    for sender in senders:
        sender.join(DEADLINE)
    client.stop()
    for letter in "ab":
        assert [text for _, text in heard if text[0] == letter] == [f"{letter}{i}" for i in range(count)]
    assert client.last_error is None


def test_start_and_stop_again(client: WSClient) -> None:
    for _ in range(3):
        client.stop()
        assert client.connect()
        assert client.start()
        assert client.send_message("hi")


def test_disconnect_ends_run_in_another_thread(client: WSClient) -> None:
    results = queue.Queue[bool]()
    runner = threading.Thread(target=lambda: results.put(client.run()))
    runner.start()
    client.disconnect()
    assert results.get(timeout=DEADLINE)
    runner.join(DEADLINE)


def test_run_ends_well_when_the_server_closes(
    server: ChatServer, client: WSClient, caplog: pytest.LogCaptureFixture
) -> None:
    server.stop()
    assert client.run()
    assert isinstance(client.last_error, ConnectionClosedOK)
    assert not client.listen()
    assert caplog.records == []


def test_run_ends_badly_when_the_server_vanishes(caplog: pytest.LogCaptureFixture) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        peer.reset()

    with RawServer(serve) as server:
        client = WSClient(url=server.url)
        assert client.connect()
        assert not client.run()
        assert isinstance(client.last_error, ConnectionClosedError)
        assert [record.name for record in caplog.records] == ["wsclient"]
        assert not client.send_message("too late")
        assert not client.change_username("Bob")
        assert client.username == "PythonUser"
        with pytest.raises(ConnectionClosedError):
            list(client.messages())


@pytest.mark.parametrize("answers", [True, False])
def test_ctrl_c_ends_run_well(answers: bool) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        if answers:
            peer.sock.sendall(close_frame(peer.read_close()[0]))
        peer.wait_gone()

    def interrupt(number: int, where: FrameType | None) -> None:
        raise KeyboardInterrupt

    with RawServer(serve) as server:
        client = WSClient(url=server.url, close_timeout=0.2)
        assert client.connect()
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.1)
            assert client.run()
        finally:
            signal.signal(signal.SIGALRM, before)
        assert client.last_error is None


# ---------------------------------------------------------------------------------------------- failing


def test_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    client = WSClient(port=unused_port())
    assert not client.connect()
    assert isinstance(client.last_error, ConnectError)
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("wsclient", "WARNING")
    assert "refused" in record.message
    with pytest.raises(ConnectError), client:
        pass


def test_a_refused_upgrade() -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
        peer.wait_gone()

    with RawServer(serve) as server:
        client = WSClient(url=server.url)
        assert not client.connect()
    assert isinstance(client.last_error, InvalidStatus)


def test_without_a_connection_nothing_works_and_nothing_breaks() -> None:
    client = WSClient(port=unused_port())
    for call in (lambda: client.send_message("hi"), client.listen, client.flush, lambda: client.change_username("x")):
        assert not call()
        assert isinstance(client.last_error, InvalidState), call
    assert not client.start()
    assert isinstance(client.last_error, InvalidState)
    client.disconnect()
    client.stop()
    assert not client.run()
    assert client.username == "PythonUser"


def test_a_warning_goes_to_the_logger_of_the_options(caplog: pytest.LogCaptureFixture) -> None:
    assert not WSClient(port=unused_port(), logger=logging.getLogger("mine")).connect()
    assert [record.name for record in caplog.records] == ["mine"]


def test_a_program_that_configured_nothing_sees_warnings() -> None:
    code = f"import wsclient; wsclient.WSClient(port={unused_port()}).connect()"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert "refused" in result.stderr


def test_after_a_disconnect_one_may_connect_again(server: ChatServer, client: WSClient) -> None:
    assert not client.connect()  # it is connected
    assert isinstance(client.last_error, InvalidState)
    heard = collected(client)
    for count in range(1, 4):
        client.send_message("hi", TO_ME)
        listen_until(client, lambda count=count: len(heard) == count)
        client.disconnect()
        client.disconnect()
        assert not client.send_message("nobody hears this")
        assert isinstance(client.last_error, ConnectionClosedOK)
        assert client.connect()
        assert client.last_error is None
    assert heard == [("Alice", "hi")] * 3


def test_after_a_failure_one_may_connect_again() -> None:
    port = unused_port()
    client = WSClient(port=port)
    assert not client.connect()
    with ChatServer(port):
        assert client.connect()
        assert client.last_error is None
        client.disconnect()


# ---------------------------------------------------------------------------------------------- the rest


def test_the_name_is_announced_before_anything_else() -> None:
    seen: list[Any] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        seen.extend(json.loads(peer.read_frame()[2]) for _ in range(2))
        peer.sock.sendall(close_frame(peer.read_close()[0]))

    with RawServer(serve) as server, WSClient(url=server.url + "room", username="Ann") as client:
        client.send_message("grüße", MessageInfo(64))
    assert seen == [
        {"user": {"name": "Ann"}, "message": {"text": "", "text_len": 0, "info": 5}},
        {"user": {"name": "Ann"}, "message": {"text": "grüße", "text_len": 7, "info": 64}},
    ]


@pytest.mark.parametrize("port_type", [str, int])
def test_the_port_may_be_a_string_or_a_number(server: ChatServer, port_type: type) -> None:
    with WSClient("127.0.0.1", port_type(server.port), "me") as client:
        assert client.flush()


def test_a_host_may_be_a_name(server: ChatServer) -> None:
    with WSClient("localhost", server.port) as client:
        assert client.flush()


def test_an_ipv6_address_is_put_in_brackets() -> None:
    client = WSClient("::1", unused_port())
    assert not client.connect()
    assert "::1" in str(client.last_error)


@pytest.mark.parametrize("connected", [False, True])
def test_a_forgotten_client_is_collected(server: ChatServer, connected: bool) -> None:
    class Owner:
        def __init__(self) -> None:
            self.client = WSClient(server.host, server.port)
            self.client.set_message_callback(self.on_message)
            if connected:
                assert self.client.connect()

        def on_message(self, client: WSClient, text: str, timestamp: float) -> None: ...

    owner = Owner()
    gone = weakref.ref(owner), weakref.ref(owner.client)
    del owner
    gc.collect()
    assert [ref() for ref in gone] == [None, None]


def test_a_script_may_be_run(root: Path) -> None:
    script = Path(wsclient.ws_client.__file__)
    for command in ([str(script)], ["-m", "wsclient.ws_client"], ["-m", "wsclient"]):
        result = subprocess.run(
            [sys.executable, *command, "--version"], capture_output=True, text=True, timeout=30, check=True
        )
        assert result.stdout == f"wsclient {wsclient.__version__}\n"


def test_the_example_prints_what_it_receives(server: ChatServer) -> None:
    with (
        websockets.sync.client.connect(server.url) as other,
        Program(sys.executable, "-m", "wsclient.example", str(server.port)) as example,
    ):
        said = json.loads(other.recv(DEADLINE))
        assert (said["user"]["name"], said["message"]["text"]) == ("PythonUser", "Hello from Python!")
        other.send('{"user":{"name":"x"},"message":{"text":"Hello back"}}')
        assert example.line() == "Received: Hello back"
        server.stop()
        assert example.wait() == 0


def test_the_example_without_a_server(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from wsclient import example

    monkeypatch.setattr(sys, "argv", ["example", str(unused_port())])
    assert example.main() == 1
    assert capsys.readouterr().err.startswith("not connected: ")


def test_what_a_client_says_of_itself(server: ChatServer) -> None:
    client = WSClient(server.host, server.port, "Alice")
    assert repr(client) == "<wsclient.WSClient 'Alice' not connected>"
    with client:
        assert re.fullmatch(r"<wsclient.WSClient 'Alice' #\d+ OPEN>", repr(client))
    assert re.fullmatch(r"<wsclient.WSClient 'Alice' #\d+ CLOSED>", repr(client))


def test_the_import_without_the_native_module(tmp_path: Path) -> None:
    package = tmp_path / "wsclient"
    package.mkdir()
    for source in Path(wsclient.ws_client.__file__).parent.glob("*.py"):
        (package / source.name).write_text(source.read_text())
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import wsclient"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    last = result.stderr.splitlines()[-1]
    start, _, rest = last.partition(str(package / "_core."))
    assert start == "ImportError: wsclient._core not found at "
    assert rest.endswith('so: run "make" or "pip install ."')
