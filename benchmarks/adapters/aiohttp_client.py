"""aiohttp: no limit of size, and its compiled reader and masking, which its wheels have."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp

from benchmarks.memory import idle_async, opening_async
from benchmarks.order import Clients, Meter, Order, Sample, on_loops, warm_up


@contextlib.asynccontextmanager
async def connect(order: Order) -> AsyncIterator[Any]:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            order.url, max_msg_size=0, compress=12 if order.compressed else 0, ssl=order.context() or True
        ) as connection,
    ):
        yield connection


async def echo(order: Order) -> Sample:
    message = order.message
    async with connect(order) as connection:
        for _ in range(warm_up(order)):
            await connection.send_bytes(message)
            await connection.receive_bytes()
        with Meter() as meter:
            for _ in range(order.count):
                await connection.send_bytes(message)
                await connection.receive_bytes()
    return meter.sample


async def flood(order: Order) -> Sample:
    async with connect(order) as connection:
        with Meter() as meter:
            await connection.send_str("go")
            for _ in range(order.count):
                await connection.receive()
    return meter.sample


async def send(order: Order) -> Sample:
    text, message = order.text, order.message
    async with connect(order) as connection:
        with Meter() as meter:
            if order.compressed:
                for _ in range(order.count):
                    await connection.send_str(text)
            else:
                for _ in range(order.count):
                    await connection.send_bytes(message)
            await connection.receive()
    return meter.sample


async def trip(connection: Any) -> None:
    await connection.send_str("x")
    await connection.receive()


@contextlib.asynccontextmanager
async def opener(order: Order) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """One session for many connections."""
    context = order.context() or True
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield lambda: session.ws_connect(order.url, max_msg_size=0, ssl=context)


async def idle(order: Order) -> Sample:
    async with opener(order) as open_one:
        return await idle_async(order, open_one, trip)


async def opening(order: Order) -> Sample:
    async with opener(order) as open_one:
        return await opening_async(order, open_one, lambda connection: connection.close())


CLIENTS: Clients = on_loops(
    "aiohttp",
    {
        "echo": echo,
        "flood": flood,
        "send": send,
        "inflate": flood,
        "deflate": send,
        "idle": idle,
        "connect": opening,
    },
)
