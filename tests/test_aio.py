"""wsclient.aio: against echo servers of other makes and servers that misbehave, on asyncio's loop and on uvloop's."""

import asyncio
import os
from collections.abc import Callable

import pytest

from conftest import Echo
from loops import on_each_loop
from raw_server import (
    DEADLINE,
    Peer,
    close_frame,
)
from wsclient import (
    CloseInfo,
    ConnectionClosedError,
    State,
    aio,
)


@pytest.fixture(params=["websockets_echo", "aiohttp_echo", "node_echo"])
def echo(request: pytest.FixtureRequest) -> Echo:
    """Each of the echo servers."""
    server: Echo = request.getfixturevalue(request.param)
    return server


def sending(*pieces: bytes) -> Callable[[Peer], None]:
    """A server that upgrades, sends this, and waits for the client to go."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for piece in pieces:
            peer.sock.sendall(piece)
        peer.wait_gone()

    return serve


def agreeing(peer: Peer) -> None:
    """A server that says nothing, and answers the close frame."""
    peer.upgrade()
    agreeing_rest(peer)


def agreeing_rest(peer: Peer) -> None:
    """Read on until the close frame, and answer it."""
    code, reason = peer.read_close()
    peer.sock.sendall(close_frame(code, reason))


# ---------------------------------------------------------------------------------------------- all of it


@on_each_loop
async def test_messages_come_back(echo: Echo) -> None:
    async with aio.connect(echo.url) as connection:
        for message in ("grüße", b"\x00\xff", "", b"", "x" * 200_000):
            await connection.send(message)
            assert await connection.recv(DEADLINE) == message
        await connection.send(["one ", "message"])
        assert await connection.recv(DEADLINE) == "one message"
        assert await connection.ping() > 0
        await connection.flush()
        assert connection.state is State.OPEN
    assert connection.close_info == CloseInfo("local", 1000, "", True)


@on_each_loop
async def test_it_can_be_awaited(websockets_echo: Echo) -> None:
    connection = await aio.connect(websockets_echo.url)
    await connection.send("/close 3001 bye")
    with pytest.raises(ConnectionClosedError, match="3001"):
        await connection.recv(DEADLINE)
    assert connection.close_info == CloseInfo("remote", 3001, "bye", True)


@on_each_loop
async def test_a_flood_is_received_in_order(websockets_echo: Echo) -> None:
    count = 10_000
    async with aio.connect(websockets_echo.url) as connection:

        async def send() -> None:
            for i in range(count):
                await connection.send(str(i))
            await connection.send("/close 1000")

        sender = asyncio.create_task(send())
        assert [message async for message in connection] == [str(i) for i in range(count)]
        await sender


@on_each_loop
async def test_big_messages_pass(websockets_echo: Echo) -> None:
    big = os.urandom(6_000_000)
    async with aio.connect(websockets_echo.url, max_size=None) as connection:
        for _ in range(2):
            await connection.send(big)
            assert await connection.recv(DEADLINE) == big
