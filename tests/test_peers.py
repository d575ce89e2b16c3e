"""Against WebSocket programs not written here: echo servers and chat clients on websockets, aiohttp, npm's ws."""

import json
from collections.abc import Iterator

import pytest
import websockets.exceptions
import websockets.sync.client

import wsclient
from conftest import PEERS, Echo, Program, node
from wsclient import MessageInfo, WSClient
from wsclient.testing import ChatServer

DEADLINE = 10.0
MIB = 2**20


@pytest.fixture(params=["websockets_echo", "aiohttp_echo", "node_echo"])
def echo(request: pytest.FixtureRequest) -> Echo:
    """Each of the echo servers."""
    server: Echo = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def connection(echo: Echo) -> Iterator[wsclient.Connection]:
    """A connection to it that takes messages of up to 4 MiB."""
    with wsclient.connect(echo.url, max_size=4 * MIB) as connection:
        yield connection


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello",
        "grüße, 世界 🌍",
        "\0",
        "x" * 125,
        "x" * 126,
        "x" * 65535,
        "x" * 65536,
        b"",
        b"\0\xff",
        bytes(range(256)) * 300,
    ],
    ids=lambda message: f"{type(message).__name__}-{len(message)}",
)
def test_messages_come_back(connection: wsclient.Connection, message: str | bytes) -> None:
    connection.send(message)
    assert connection.recv(DEADLINE) == message


@pytest.mark.parametrize("length", [MIB - 1, MIB, 3 * MIB + 7])
def test_big_messages_come_back(connection: wsclient.Connection, length: int) -> None:
    data = (bytes(range(251)) * (length // 251 + 1))[:length]
    connection.send(data)
    assert connection.recv(DEADLINE) == data
    text = ("é" * (length // 2 + 1))[: length // 2]
    connection.send(text)
    assert connection.recv(DEADLINE) == text


def test_a_message_over_max_size_ends_the_connection(echo: Echo) -> None:
    with wsclient.connect(echo.url, max_size=1000) as connection:
        connection.send(b"x" * 1000)
        assert connection.recv(DEADLINE) == b"x" * 1000
        connection.send(b"x" * 1001)
        with pytest.raises(wsclient.ConnectionClosedError, match=r"1001.*1000|1000.*1001"):
            connection.recv(DEADLINE)
    echo.expect("closed 1009")


@pytest.mark.parametrize("parts", [["one"], ["a", "", "b"], [b"\0", b"\1\2"], ["gr", "ü", "ße"], ["x" * 70000] * 5])
def test_fragments_arrive_as_one_message(connection: wsclient.Connection, parts: list[str] | list[bytes]) -> None:
    connection.send(iter(parts))
    assert connection.recv(DEADLINE) == type(parts[0])().join(parts)  # type: ignore[arg-type]


@pytest.mark.parametrize("server", ["websockets_echo", "node_echo"])
def test_fragments_of_the_server_are_joined(request: pytest.FixtureRequest, server: str) -> None:
    with wsclient.connect(request.getfixturevalue(server).url) as connection:
        connection.send("/fragments one two three")
        assert connection.recv(DEADLINE) == "onetwothree"


def test_many_messages_keep_their_order(connection: wsclient.Connection) -> None:
    sent = [f"{i} {'x' * (i % 300)}" for i in range(2000)]
    connection.send_many(sent)
    assert [connection.recv(DEADLINE) for _ in sent] == sent


def test_pings_are_answered_both_ways(echo: Echo, connection: wsclient.Connection) -> None:
    assert 0 < connection.ping(timeout=DEADLINE) < DEADLINE
    assert 0 < connection.ping(b"x" * 125, timeout=DEADLINE) < DEADLINE
    connection.send("/ping are-you-there")
    connection.send("after")
    assert connection.recv(DEADLINE) == "after"
    echo.expect("pong are-you-there")


@pytest.mark.parametrize(("code", "reason"), [(1000, "enough"), (1001, "going"), (3000, "grüße"), (4999, "x" * 123)])
def test_our_close_reaches_the_server(echo: Echo, code: int, reason: str) -> None:
    connection = wsclient.connect(echo.url)
    connection.close(code, reason)
    echo.expect(f"closed {code} {reason}")
    assert connection.close_info.clean
    assert connection.close_code == code


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "going away"), (1011, "broken"), (4321, "grüße")])
def test_the_server_s_close_reaches_us(connection: wsclient.Connection, code: int, reason: str) -> None:
    connection.send(f"/close {code} {reason}")
    clean = wsclient.ConnectionClosedOK if code in {1000, 1001} else wsclient.ConnectionClosedError
    with pytest.raises(clean):
        connection.recv(DEADLINE)
    assert connection.close_code == code
    assert connection.close_reason == reason
    with pytest.raises(wsclient.ConnectionClosed):
        connection.send("too late")


@pytest.mark.parametrize(
    ("offered", "agreed"), [((), None), (("echo.v1",), "echo.v1"), (("other", "echo.v1"), "echo.v1")]
)
def test_the_subprotocol_is_agreed_upon(echo: Echo, offered: tuple[str, ...], agreed: str | None) -> None:
    with wsclient.connect(echo.url, subprotocols=offered) as connection:
        assert connection.subprotocol == agreed
        connection.send("hello")
        assert connection.recv(DEADLINE) == "hello"


def envelope(name: str, text: str, info: int) -> str:
    """One chat message."""
    return json.dumps({"user": {"name": name}, "message": {"text": text, "text_len": len(text.encode()), "info": info}})


def test_the_chat_server_serves_npm_ws(chat_server: ChatServer) -> None:
    back = MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST
    with WSClient(chat_server.host, chat_server.port, "Python") as client:
        client.send_message("I am in", back)
        heard = client.messages()
        assert next(heard).text == "I am in"
        arguments = (PEERS / "client.mjs", chat_server.url, "Node", "grüße", "2", "2")
        with Program(node(), *arguments, ours=False) as peer:
            assert peer.line() == "open"
            message = next(heard)
            assert (message.user.name, message.text) == ("Node", "grüße")
            assert json.loads(peer.line()) == json.loads(envelope("Node", "grüße", 0))
            client.send_message("hello Node")
            assert json.loads(peer.line()) == json.loads(envelope("Python", "hello Node", 0))
            assert peer.line().startswith("closed 1000")
            assert peer.wait() == 0


def test_the_chat_server_serves_websockets(chat_server: ChatServer) -> None:
    with (
        websockets.sync.client.connect(chat_server.url) as alice,
        websockets.sync.client.connect(chat_server.url) as bob,
    ):
        bob.send(envelope("Bob", "", 5))
        bob.send(envelope("Bob", "there?", 3))
        assert json.loads(bob.recv(DEADLINE)) == json.loads(envelope("Bob", "there?", 0))
        alice.send(envelope("Mallory", "x" * 60000, 0))
        assert json.loads(bob.recv(DEADLINE)) == json.loads(envelope("Anonym", "x" * 60000, 0))
        assert alice.ping().wait(DEADLINE)
        chat_server.stop()
        with pytest.raises(websockets.exceptions.ConnectionClosedOK):
            alice.recv(DEADLINE)
        assert alice.close_code == 1001
