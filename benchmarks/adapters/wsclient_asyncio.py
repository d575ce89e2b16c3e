"""wsclient.aio, on asyncio's own loop and on uvloop."""

from __future__ import annotations

import asyncio
from typing import Any

import wsclient.aio
from benchmarks.adapters.wsclient_sync import options
from benchmarks.memory import idle_async, opening_async
from benchmarks.order import SMALL, Clients, Meter, Order, Sample, on_loops, warm_up


def connect(order: Order, **more: Any) -> wsclient.aio.connect:
    return wsclient.aio.connect(order.url, **options(order), **more)


async def echo(order: Order) -> Sample:
    message = order.message
    async with connect(order) as connection:
        for _ in range(warm_up(order)):
            await connection.send(message)
            await connection.recv()
        with Meter() as meter:
            for _ in range(order.count):
                await connection.send(message)
                await connection.recv()
    return meter.sample


async def flood(order: Order) -> Sample:
    async with connect(order) as connection:
        with Meter() as meter:
            await connection.send("go")
            for _ in range(order.count):
                await connection.recv()
    return meter.sample


async def flood_for(order: Order) -> Sample:
    left = order.count
    async with connect(order) as connection:
        with Meter() as meter:
            await connection.send("go")
            async for _ in connection:
                left -= 1
                if not left:
                    break
    return meter.sample


async def flood_many(order: Order) -> Sample:
    left = order.count
    async with connect(order) as connection:
        with Meter() as meter:
            await connection.send("go")
            while left:
                left -= len(await connection.recv_many())
    return meter.sample


async def send(order: Order) -> Sample:
    """send_nowait, and send where that would have to wait."""
    message = order.text if order.compressed else order.message
    async with connect(order, write_limit=2**20) as connection:
        with Meter() as meter:
            for _ in range(order.count):
                try:
                    connection.send_nowait(message)
                except BlockingIOError:
                    await connection.send(message)
            await connection.recv()
    return meter.sample


async def send_many(order: Order) -> Sample:
    messages = [order.text if order.compressed else order.message] * order.count
    async with connect(order, write_limit=2**20) as connection:
        with Meter() as meter:
            await connection.send_many(messages)
            await connection.recv()
    return meter.sample


async def echo_callback(order: Order) -> Sample:
    """The callback sends the next one."""
    message, left, done = order.message, 0, asyncio.Event()

    def on_message(connection: Any, _: str | bytes) -> None:
        nonlocal left
        left -= 1
        if left > 0:
            connection.send_nowait(message)
        else:
            done.set()

    async with connect(order, on_message=on_message) as connection:
        for count in (warm_up(order), order.count):
            left = count
            done.clear()
            with Meter() as meter:
                connection.send_nowait(message)
                await done.wait()
    return meter.sample


async def flood_callback(order: Order) -> Sample:
    left, done = order.count, asyncio.Event()

    def on_message(_: Any, message: str | bytes) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    async with connect(order, on_message=on_message) as connection:
        with Meter() as meter:
            connection.send_nowait("go")
            await done.wait()
    return meter.sample


async def trip(connection: wsclient.aio.AsyncConnection) -> None:
    await connection.send("x")
    await connection.recv()


async def idle(order: Order) -> Sample:
    return await idle_async(order, lambda: connect(order), trip)


async def opening(order: Order) -> Sample:
    return await opening_async(order, lambda: connect(order), wsclient.aio.AsyncConnection.close)


async def echo_on_all(order: Order) -> Sample:
    """A message on each of order.size connections, then the answers, and again."""
    left, done = 0, asyncio.Event()

    def on_message(_: Any, message: str | bytes) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    connections = [await connect(order, on_message=on_message) for _ in range(order.size)]

    async def trips() -> None:
        nonlocal left
        left = order.size
        done.clear()
        for connection in connections:
            connection.send_nowait(SMALL)
        await done.wait()

    await trips()
    with Meter() as meter:
        for _ in range(order.count // order.size):
            await trips()
    return meter.sample


CLIENTS: Clients = {
    **on_loops(
        "wsclient",
        {
            "echo": echo,
            "flood": flood,
            "send": send,
            "inflate": flood,
            "deflate": send,
            "idle": idle,
            "idle_full": idle,
            "connect": opening,
            "connect_full": opening,
            "messages": flood,
            "sizes": echo,
        },
    ),
    **on_loops("wsclient", {"flood": flood_for}, " for"),
    **on_loops("wsclient", {"flood": flood_many, "send": send_many}, " many"),
    **on_loops("wsclient", {"echo": echo_callback, "flood": flood_callback, "connections": echo_on_all}, " on_message"),
}
