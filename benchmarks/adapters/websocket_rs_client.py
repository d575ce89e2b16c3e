"""websocket-rs: its threading client, and the native one with callbacks and awaited."""

from __future__ import annotations

import asyncio
import os
import threading
from typing import Any

import websocket_rs
from websocket_rs.sync.client import connect as connect_sync

from benchmarks.beside import Ages, Busy
from benchmarks.memory import idle, idle_async, opening, opening_async
from benchmarks.order import Clients, Meter, Order, Sample, on_loops, warm_up


def dial_sync(order: Order) -> Any:
    """The CAs are read once, at the first connection with TLS."""
    if order.ca:
        os.environ["SSL_CERT_FILE"] = order.ca
    return connect_sync(order.url)


def echo_sync(order: Order) -> Sample:
    message = order.message
    with dial_sync(order) as connection:
        for _ in range(warm_up(order)):
            connection.send(message)
            connection.recv()
        with Meter() as meter:
            for _ in range(order.count):
                connection.send(message)
                connection.recv()
    return meter.sample


def flood_sync(order: Order) -> Sample:
    with dial_sync(order) as connection, Meter() as meter:
        connection.send("go")
        for _ in range(order.count):
            connection.recv()
    return meter.sample


def send_sync(order: Order) -> Sample:
    message = order.message
    with dial_sync(order) as connection, Meter() as meter:
        for _ in range(order.count):
            connection.send(message)
        connection.recv()
    return meter.sample


async def connect(order: Order, **more: Any) -> Any:
    return await websocket_rs.connect(order.url, ssl_context=order.context(), compression=order.compressed, **more)


async def echo_await(order: Order) -> Sample:
    message = order.message
    async with await connect(order) as connection:
        for _ in range(warm_up(order)):
            connection.send(message)
            bytes(await connection.recv())
        with Meter() as meter:
            for _ in range(order.count):
                connection.send(message)
                bytes(await connection.recv())
    return meter.sample


async def flood_await(order: Order) -> Sample:
    async with await connect(order) as connection:
        with Meter() as meter:
            connection.send("go")
            for _ in range(order.count):
                bytes(await connection.recv())
    return meter.sample


async def echo(order: Order) -> Sample:
    message, left, done = order.message, 0, asyncio.Event()

    def on_message(received: Any) -> None:
        nonlocal left
        bytes(received)
        left -= 1
        if left:
            connection.send(message)
        else:
            done.set()

    async with await connect(order, on_message=on_message) as connection:
        for count in (warm_up(order), order.count):
            left = count
            done.clear()
            with Meter() as meter:
                connection.send(message)
                await done.wait()
    return meter.sample


async def flood(order: Order) -> Sample:
    left, done = order.count, asyncio.Event()

    def on_message(received: Any) -> None:
        nonlocal left
        bytes(received)
        left -= 1
        if not left:
            done.set()

    async with await connect(order, on_message=on_message) as connection:
        with Meter() as meter:
            connection.send("go")
            await done.wait()
    return meter.sample


async def send(order: Order) -> Sample:
    """It has no flow control: now and then the loop must be let run."""
    message = order.text if order.compressed else order.message
    async with await connect(order) as connection:
        with Meter() as meter:
            for i in range(order.count):
                connection.send(message)
                if not i % 256:
                    await asyncio.sleep(0)
            bytes(await connection.recv())
    return meter.sample


def opened_sync(order: Order) -> Any:
    return dial_sync(order).__enter__()


def trip_sync(connection: Any) -> None:
    connection.send(b"x")
    connection.recv()


def idle_sync(order: Order) -> Sample:
    return idle(order, lambda: opened_sync(order), trip_sync)


def open_sync(order: Order) -> Sample:
    return opening(order, lambda: opened_sync(order), lambda connection: connection.close())


def beside(order: Order) -> Sample:
    """In a thread of the program's."""
    ages = Ages(order)

    def receive() -> None:
        while not ages.add(connection.recv()):
            pass

    with dial_sync(order) as connection, Busy():
        connection.send("go")
        thread = threading.Thread(target=receive)
        thread.start()
        sample = ages.sample()
        thread.join()
    return sample


async def trip(connection: Any) -> None:
    connection.send(b"x")
    bytes(await connection.recv())


async def idle_on_loop(order: Order) -> Sample:
    context = order.context()
    return await idle_async(order, lambda: websocket_rs.connect(order.url, ssl_context=context), trip)


async def shut(connection: Any) -> None:
    connection.close()
    await asyncio.sleep(0)


async def open_on_loop(order: Order) -> Sample:
    context = order.context()
    return await opening_async(order, lambda: websocket_rs.connect(order.url, ssl_context=context), shut)


CLIENTS: Clients = {
    "websocket-rs": {
        "echo": echo_sync,
        "flood": flood_sync,
        "send": send_sync,
        "idle": idle_sync,
        "connect": open_sync,
        "beside": beside,
    },
    **on_loops(
        "websocket-rs",
        {
            "echo": echo,
            "flood": flood,
            "send": send,
            "inflate": flood,
            "deflate": send,
            "idle": idle_on_loop,
            "connect": open_on_loop,
        },
    ),
    **on_loops("websocket-rs", {"echo": echo_await, "flood": flood_await}, " await"),
}
