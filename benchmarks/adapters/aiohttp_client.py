"""aiohttp: no limit of size, and its compiled reader and masking, which its wheels have."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

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


CLIENTS: Clients = on_loops("aiohttp", {"echo": echo, "flood": flood, "send": send, "inflate": flood, "deflate": send})
