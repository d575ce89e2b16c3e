"""AsyncWSClient against the real chat server, on asyncio's loop and on uvloop's."""

import asyncio
import logging
import re
import subprocess
import sys
from typing import Any

import pytest

import wsclient
from loops import on_each_loop
from raw_server import DEADLINE, TEXT, Peer, RawServer, close_frame, frame, unused_port
from wsclient import (
    AsyncWSClient,
    ConcurrencyError,
    ConnectError,
    ConnectionClosed,
    ConnectionClosedError,
    InvalidState,
    Message,
    MessageInfo,
    User,
)
from wsclient.testing import ChatServer

TO_ME = MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST


async def ready(client: AsyncWSClient) -> Any:
    """Its messages, once the server knows it."""
    messages = client.messages()
    assert await client.send_message("ready", TO_ME)
    assert (await asyncio.wait_for(anext(messages), DEADLINE)).text == "ready"
    return messages


@on_each_loop
async def test_two_talk(chat_server: ChatServer) -> None:
    async with (
        AsyncWSClient(chat_server.host, chat_server.port, "Ann") as ann,
        AsyncWSClient(url=chat_server.url, username="Bob") as bob,
    ):
        to_ann, to_bob = await ready(ann), await ready(bob)
        assert await ann.send_message("grüße")
        assert await anext(to_bob) == Message("grüße", User("Ann"))
        assert await bob.change_username("Robert")
        assert (bob.username, ann.username) == ("Robert", "Ann")
        assert await bob.flush()
        assert await bob.send_message("hello")
        assert await anext(to_ann) == Message("hello", User("Robert"))
        assert re.fullmatch(r"<wsclient.AsyncWSClient 'Robert' #\d+ OPEN>", repr(bob))
        await ann.disconnect()
        assert [message async for message in to_ann] == []
    assert bob.last_error is None


@on_each_loop
async def test_what_fails_is_false_and_said(caplog: pytest.LogCaptureFixture) -> None:
    client = AsyncWSClient("127.0.0.1", unused_port(), "Ann")
    assert repr(client) == "<wsclient.AsyncWSClient 'Ann' not connected>"
    for call in (client.connect, client.flush, lambda: client.send_message("x"), lambda: client.change_username("x")):
        caplog.clear()
        assert not await call()  # type: ignore[operator]
        assert isinstance(client.last_error, ConnectError if call == client.connect else InvalidState)
        assert [record.levelno for record in caplog.records] == [logging.WARNING]
    with pytest.raises(InvalidState):
        await anext(client.messages())
    with pytest.raises(ConnectError):
        async with client:
            pytest.fail("there is no server")
    await client.disconnect()
    for wrong in (lambda: client.change_username(""), lambda: client.flush(-1)):
        with pytest.raises(ValueError):
            await wrong()


def test_wrong_arguments_are_said_at_once() -> None:
    for arguments in ({"port": 0}, {"ip": ""}, {"username": "\0"}, {"url": "http://x/"}):
        with pytest.raises(ValueError):
            AsyncWSClient(**arguments)  # type: ignore[arg-type]


@on_each_loop
async def test_connecting_twice(chat_server: ChatServer) -> None:
    client = AsyncWSClient(chat_server.host, chat_server.port, "Ann")
    for _ in range(2):
        first, second = await asyncio.gather(client.connect(), client.connect(), return_exceptions=True)
        assert first is True
        assert isinstance(second, ConcurrencyError)
        assert not await client.connect()
        assert isinstance(client.last_error, InvalidState)
        await (await ready(client)).aclose()
        await client.disconnect()
        assert not await client.send_message("too late")
        assert isinstance(client.last_error, ConnectionClosed)


@on_each_loop
async def test_what_is_no_chat_message_is_skipped(caplog: pytest.LogCaptureFixture) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame()[2] == b'{"user":{"name":"Ann"},"message":{"text":"","text_len":0,"info":5}}'
        envelope = b'{"user": {"name": "Bob"}, "message": {"text": "hi"}}'
        peer.sock.sendall(frame(TEXT, b"no envelope") + frame(2, b"binary") + frame(TEXT, envelope))
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server:
        async with AsyncWSClient("127.0.0.1", server.port, "Ann") as client:
            assert [message async for message in client.messages()] == [Message("hi", User("Bob"))]
    assert client.skipped == 2
    assert len(caplog.records) == 2


def hanging_up(peer: Peer) -> None:
    peer.upgrade()
    peer.read_frame()
    peer.sock.sendall(close_frame(1011))
    peer.wait_gone()


@on_each_loop
async def test_an_end_that_is_not_clean_is_raised() -> None:
    with RawServer(hanging_up) as server:
        async with AsyncWSClient("127.0.0.1", server.port, "Ann") as client:
            with pytest.raises(ConnectionClosedError):
                await anext(client.messages())


def refusing(peer: Peer) -> None:
    peer.sock.sendall(peer.response() + close_frame(1013))
    peer.wait_gone()


@on_each_loop
async def test_a_server_that_closes_at_once() -> None:
    with RawServer(refusing) as server:
        client = AsyncWSClient("127.0.0.1", server.port, "Ann")
        assert not await client.connect()
    assert isinstance(client.last_error, ConnectionClosedError)
    assert not await client.send_message("x")
    assert isinstance(client.last_error, InvalidState)


@on_each_loop
async def test_one_task_at_a_time_listens(chat_server: ChatServer) -> None:
    async with AsyncWSClient(chat_server.host, chat_server.port, "Ann") as client:
        messages = await ready(client)
        listening = asyncio.create_task(anext(messages))
        await asyncio.sleep(0)
        with pytest.raises(ConcurrencyError):
            await anext(client.messages())
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)
        await (await ready(client)).aclose()


@pytest.mark.parametrize("name", ["aio", "AsyncConnection", "AsyncWSClient"])
def test_names_that_need_asyncio_are_found_when_asked_for(name: str) -> None:
    code = f"""
import sys, wsclient
assert "asyncio" not in sys.modules
assert "{name}" in dir(wsclient)
print(wsclient.{name})
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)
    assert result.returncode == 0, result.stderr
    assert name in result.stdout


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        _ = wsclient.nothing
