"""websockets, threading and asyncio: without compression and limits, as its page on performance advises."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any

from websockets.asyncio.client import connect as connect_async
from websockets.sync.client import connect

from benchmarks.beside import Ages, Busy
from benchmarks.memory import idle, idle_async, opening, opening_async
from benchmarks.order import Clients, Meter, Order, Sample, on_loops, warm_up


def options(order: Order) -> dict[str, Any]:
    return {
        "compression": "deflate" if order.compressed else None,
        "max_size": None,
        "proxy": None,
        "ssl": order.context(),
    }


def echo(order: Order) -> Sample:
    message = order.message
    with connect(order.url, **options(order)) as connection:
        for _ in range(warm_up(order)):
            connection.send(message)
            connection.recv()
        with Meter() as meter:
            for _ in range(order.count):
                connection.send(message)
                connection.recv()
    return meter.sample


def flood(order: Order) -> Sample:
    with connect(order.url, **options(order)) as connection, Meter() as meter:
        connection.send("go")
        for _ in range(order.count):
            connection.recv()
    return meter.sample


def send(order: Order) -> Sample:
    message = order.text if order.compressed else order.message
    with connect(order.url, **options(order)) as connection, Meter() as meter:
        for _ in range(order.count):
            connection.send(message)
        connection.recv()
    return meter.sample


@dataclass(frozen=True, slots=True)
class User:
    name: str


@dataclass(frozen=True, slots=True)
class Message:
    text: str
    user: User
    info: int


def typed(order: Order) -> Sample:
    """Envelopes by the json module into dataclasses."""
    with connect(order.url, **options(order)) as connection, Meter() as meter:
        connection.send("name")
        connection.send("go")
        for _ in range(order.count):
            envelope = json.loads(connection.recv())
            message = envelope["message"]
            Message(message["text"], User(envelope["user"]["name"]), message["info"])
    return meter.sample


def trip(connection: Any) -> None:
    connection.send("x")
    connection.recv()


def idle_sync(order: Order) -> Sample:
    given = options(order)
    return idle(order, lambda: connect(order.url, **given), trip)


def open_sync(order: Order) -> Sample:
    given = options(order)
    return opening(order, lambda: connect(order.url, **given), lambda connection: connection.close())


def beside(order: Order) -> Sample:
    """In a thread of the program's."""
    ages = Ages(order)

    def receive() -> None:
        while not ages.add(connection.recv(decode=False)):
            pass

    with connect(order.url, **options(order)) as connection, Busy():
        connection.send("go")
        thread = threading.Thread(target=receive)
        thread.start()
        sample = ages.sample()
        thread.join()
    return sample


async def trip_async(connection: Any) -> None:
    await connection.send("x")
    await connection.recv()


async def idle_on_loop(order: Order) -> Sample:
    given = options(order)
    return await idle_async(order, lambda: connect_async(order.url, **given), trip_async)


async def open_on_loop(order: Order) -> Sample:
    given = options(order)
    return await opening_async(order, lambda: connect_async(order.url, **given), lambda connection: connection.close())


async def echo_async(order: Order) -> Sample:
    message = order.message
    async with connect_async(order.url, **options(order)) as connection:
        for _ in range(warm_up(order)):
            await connection.send(message)
            await connection.recv()
        with Meter() as meter:
            for _ in range(order.count):
                await connection.send(message)
                await connection.recv()
    return meter.sample


async def flood_async(order: Order) -> Sample:
    async with connect_async(order.url, **options(order)) as connection:
        with Meter() as meter:
            await connection.send("go")
            for _ in range(order.count):
                await connection.recv()
    return meter.sample


async def send_async(order: Order) -> Sample:
    message = order.text if order.compressed else order.message
    async with connect_async(order.url, **options(order), write_limit=2**20) as connection:
        with Meter() as meter:
            for _ in range(order.count):
                await connection.send(message)
            await connection.recv()
    return meter.sample


CLIENTS: Clients = {
    "websockets": {
        "echo": echo,
        "flood": flood,
        "send": send,
        "inflate": flood,
        "deflate": send,
        "typed": typed,
        "idle": idle_sync,
        "connect": open_sync,
        "beside": beside,
    },
    **on_loops(
        "websockets",
        {
            "echo": echo_async,
            "flood": flood_async,
            "send": send_async,
            "inflate": flood_async,
            "deflate": send_async,
            "idle": idle_on_loop,
            "connect": open_on_loop,
        },
    ),
}
