"""The log: what a connection does, whoever drives it, and which connection it was."""

import asyncio
import logging
import re
from typing import Any

import pytest

import wsclient
from conftest import wait_until
from drivers import DRIVERS, Driven
from http_site import Site, answer
from raw_server import DEADLINE, TEXT, Peer, RawServer, close_frame, frame, unused_port
from series_server import SeriesServer, end
from wsclient import AsyncWSClient, ConnectError, ConnectionClosedError, InvalidStatus, WSClient, aio
from wsclient.testing import ChatServer

by_each_driver = pytest.mark.parametrize("driver", DRIVERS)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All events are logged."""
    caplog.set_level(logging.INFO, "wsclient")
    return caplog


def well_behaved(peer: Peer) -> None:
    """Upgrades, and agrees to close."""
    peer.upgrade()
    end(peer)


def test_every_connection_has_a_number_of_its_own() -> None:
    with RawServer(well_behaved) as server:
        first = wsclient.connect(server.url)
        first.close()
    with RawServer(well_behaved) as server:
        second = wsclient.connect(server.url)
        second.close()
    assert 0 < first.id < second.id
    assert repr(second) == f"<wsclient.Connection #{second.id} CLOSED to None>"


@by_each_driver
def test_opening_and_closing(driver: str, log: pytest.LogCaptureFixture) -> None:
    with RawServer(well_behaved) as server, Driven(driver, server.url + "chat?room=1") as driven:
        assert f"#{driven.connection.id} OPEN" in repr(driven.connection)
        driven.call("close")
        wait_until(lambda: len(log.messages) == 2)
        number = driven.connection.id
    place = re.escape(server.url)
    assert re.fullmatch(
        rf"#{number} opened {place}chat\?\*\*\*: HTTP 101, resolve \S+ ms, tcp \S+ ms, upgrade \S+ ms", log.messages[0]
    )
    assert log.messages[1] == f"#{number} closed by this side, clean: sent 1000 (OK); then received 1000 (OK)"
    assert {record.levelno for record in log.records} == {logging.INFO}
    assert {record.name for record in log.records} == {"wsclient"}


@by_each_driver
def test_a_peer_that_closes(driver: str, log: pytest.LogCaptureFixture) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(close_frame(1008, "enough"))
        peer.wait_gone()

    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        with pytest.raises(ConnectionClosedError):
            driven.call("recv", DEADLINE)
        wait_until(lambda: len(log.messages) == 2)
    assert log.messages[1].endswith(
        "closed by the peer, clean: received 1008 (policy violation) enough; then sent 1008 (policy violation)"
    )


@by_each_driver
def test_a_connection_that_is_lost(driver: str, log: pytest.LogCaptureFixture) -> None:
    with RawServer(lambda peer: peer.upgrade()) as server, Driven(driver, server.url) as driven:
        with pytest.raises(ConnectionClosedError):
            driven.call("recv", DEADLINE)
        wait_until(lambda: len(log.messages) == 2)
    assert "closed by nobody, not clean: no close frame received or sent: " in log.messages[1]


@by_each_driver
def test_breaking_off(driver: str, log: pytest.LogCaptureFixture) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    with RawServer(serve) as server, Driven(driver, server.url) as driven:
        driven.connection.abort()
        wait_until(lambda: len(log.messages) == 2)
    assert "closed by this side, not clean: " in log.messages[1]


@by_each_driver
def test_what_does_not_open(driver: str, log: pytest.LogCaptureFixture) -> None:
    port = unused_port()
    with pytest.raises(ConnectError):
        Driven(driver, f"ws://127.0.0.1:{port}/")
    with Site({"/": answer("503 Not now", "Content-Length: 0")}) as site, pytest.raises(InvalidStatus):
        Driven(driver, site.url())
    refused, rejected = log.messages
    assert re.match(rf"#\d+ not opened, ws://127.0.0.1:{port}/, resolve \S+ ms, tcp \S+ ms: cannot connect", refused)
    assert rejected.endswith("server rejected WebSocket connection: HTTP 503")


@by_each_driver
def test_reconnecting(driver: str, log: pytest.LogCaptureFixture) -> None:
    """The server waits for what is to be told: of losses that follow each other faster than that, the last is told."""

    def lose(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"first"))

    def refuse(peer: Peer) -> None:
        peer.read_request()
        wait_until(lambda: len(log.messages) == 2)
        peer.sock.sendall(b"HTTP/1.1 503 Not now\r\nContent-Length: 0\r\n\r\n")

    def last(peer: Peer) -> None:
        wait_until(lambda: len(log.messages) == 3)
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"second"))
        end(peer)

    policy = wsclient.ReconnectPolicy(initial_delay=0.01)
    with SeriesServer([lose, refuse, last]) as server, Driven(driver, server.url, reconnect=policy) as driven:
        assert [driven.call("recv", DEADLINE) for _ in range(2)] == ["first", "second"]
        driven.call("close")
        wait_until(lambda: " closed " in log.messages[-1])
        number = driven.connection.id
    verbs = [message.split(maxsplit=2)[1] for message in log.messages]
    assert verbs == ["opened", "connection", "connection", "opened", "closed"]
    assert re.match(rf"#{number} connection lost, the next attempt is in \S+ s: ", log.messages[1])
    assert "HTTP 503" in log.messages[2]
    assert all(message.startswith(f"#{number} ") for message in log.messages)


@by_each_driver
def test_messages_that_are_given_up(driver: str, log: pytest.LogCaptureFixture) -> None:
    def lose(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()

    policy = wsclient.ReconnectPolicy(initial_delay=0.01, max_attempts=1)
    with SeriesServer([lose]) as server, Driven(driver, server.url, reconnect=policy) as driven:
        driven.call("send", "never read")
        assert driven.call("wait_closed", DEADLINE)
        told = f"#{driven.connection.id} 1 messages were given up that may not have arrived"
        wait_until(lambda: told in log.messages)


def test_a_callback_that_raises(log: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> None:
        raise ValueError("no")

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"x") + close_frame(1000))
        peer.wait_gone()

    async def main(url: str) -> None:
        connection = await aio.connect(url, on_message=fail)
        await connection.wait_closed()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, on_message=fail)
        assert connection.wait_closed(DEADLINE)
        wait_until(lambda: len(log.messages) == 3)
    with RawServer(serve) as server:
        asyncio.run(main(server.url))
    raised = [record for record in log.records if record.exc_info]
    assert [record.getMessage().split(" ", 1)[1] for record in raised] == ["a callback raised"] * 2
    assert all(re.match(r"#\d+ ", message) for message in log.messages)


def test_frames_and_heads_at_debug_level(log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.DEBUG, "wsclient")
    with RawServer(well_behaved) as server:
        connection = wsclient.connect(server.url + "chat?room=1", compression=None, user_agent_header="me")
        connection.send("hello")
        connection.close()
    number = connection.id
    said = [message.removeprefix(f"#{number} ") for message in log.messages]
    assert said[1] == (
        f"> GET /chat?***, Host: 127.0.0.1:{server.port}, Upgrade: websocket, Connection: Upgrade, "
        "Sec-WebSocket-Version: 13, Sec-WebSocket-Key: ***, User-Agent: me"
    )
    assert said[2] == "< HTTP 101, Upgrade: websocket, Connection: Upgrade, Sec-WebSocket-Accept: ***"
    assert said[3:6] == ["> TEXT, 5 bytes", "> CLOSE, 2 bytes 03e8", "< CLOSE, 2 bytes 03e8"]


def test_an_answer_that_is_no_http_at_debug_level(log: pytest.LogCaptureFixture) -> None:
    log.set_level(logging.DEBUG, "wsclient")

    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(b"HTTP/1.1 abc\r\n\r\n")

    with RawServer(serve) as server, pytest.raises(wsclient.InvalidMessage):
        wsclient.connect(server.url)
    assert log.messages[-1].endswith("< no HTTP")


def test_the_chat_clients_say_which_connection(chat_server: ChatServer, log: pytest.LogCaptureFixture) -> None:
    where: Any = (chat_server.host, chat_server.port, "Ann")
    client = WSClient(*where)
    assert repr(client) == "<wsclient.WSClient 'Ann' not connected>"
    assert client.connect()
    number = re.match(r"#\d+ opened", log.messages[-1])
    assert number
    assert repr(client) == f"<wsclient.WSClient 'Ann' {number[0].split()[0]} OPEN>"
    client.disconnect()

    async def main() -> None:
        client = AsyncWSClient(*where)
        assert repr(client) == "<wsclient.AsyncWSClient 'Ann' not connected>"
        assert await client.connect()
        assert re.fullmatch(r"<wsclient.AsyncWSClient 'Ann' #\d+ OPEN>", repr(client))
        await client.disconnect()
        assert not await AsyncWSClient("127.0.0.1", unused_port()).connect()

    asyncio.run(main())
    assert not WSClient("127.0.0.1", unused_port()).connect()
    assert [record.levelno for record in log.records].count(logging.WARNING) == 2
    assert all(re.match(r"#\d+ ", message) for message in log.messages)


def test_a_logger_of_one_s_own(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mine")
    with RawServer(well_behaved) as server:
        wsclient.connect(server.url, logger=logging.getLogger("mine")).close()
    assert [record.name for record in caplog.records] == ["mine", "mine"]


def test_without_anybody_to_tell_nothing_is_watched(caplog: pytest.LogCaptureFixture) -> None:
    """The usual case costs nothing."""
    caplog.set_level(logging.WARNING, "wsclient")
    with RawServer(well_behaved) as server:
        connection = wsclient.connect(server.url)
        connection.close()
        assert connection._handle.take_news() == 0  # pyright: ignore[reportPrivateUsage]
    assert caplog.messages == []
