"""wsclient, driven by the calling thread, and in the background by the engine's I/O thread."""

from __future__ import annotations

import threading
from typing import Any

import wsclient
from benchmarks.order import Clients, Meter, Order, Sample, warm_up
from wsclient import Connection, Message, TLSOptions, WSClient


def options(order: Order) -> dict[str, Any]:
    """What all works of wsclient set."""
    return {
        "compression": "deflate" if order.compressed else None,
        "max_size": None,
        "proxy": None,
        "tls": TLSOptions(ca_file=order.ca) if order.ca else None,
    }


def connect(order: Order, **more: Any) -> Connection:
    return wsclient.connect(order.url, **options(order), **more)


def echo(order: Order, **more: Any) -> Sample:
    message = order.message
    with connect(order, **more) as connection:
        send, recv = connection.send, connection.recv
        for _ in range(warm_up(order)):
            send(message)
            recv()
        with Meter() as meter:
            for _ in range(order.count):
                send(message)
                recv()
    return meter.sample


def flood(order: Order, **more: Any) -> Sample:
    with connect(order, **more) as connection:
        recv = connection.recv
        with Meter() as meter:
            connection.send("go")
            for _ in range(order.count):
                recv()
    return meter.sample


def flood_many(order: Order) -> Sample:
    with connect(order) as connection, Meter() as meter:
        connection.send("go")
        left = order.count
        while left:
            left -= len(connection.recv_many())
    return meter.sample


def send(order: Order, **more: Any) -> Sample:
    message = order.text if order.compressed else order.message
    with connect(order, **more) as connection:
        send = connection.send
        with Meter() as meter:
            for _ in range(order.count):
                send(message)
            connection.recv()
    return meter.sample


def send_many(order: Order) -> Sample:
    messages = [order.text if order.compressed else order.message] * order.count
    with connect(order) as connection, Meter() as meter:
        connection.send_many(messages)
        connection.recv()
    return meter.sample


def echo_callback(order: Order) -> Sample:
    """The callback sends the next one."""
    message, left, done = order.message, 0, threading.Event()

    def on_message(connection: Connection, _: str | bytes) -> None:
        nonlocal left
        left -= 1
        if left > 0:
            connection.send(message)
        else:
            done.set()

    with connect(order, on_message=on_message) as connection:
        for count in (warm_up(order), order.count):
            left = count
            done.clear()
            with Meter() as meter:
                connection.send(message)
                done.wait(order.latest)
    return meter.sample


def flood_callback(order: Order) -> Sample:
    left, done = order.count, threading.Event()

    def on_message(_: Connection, message: str | bytes) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    with connect(order, on_message=on_message, max_queue=256) as connection, Meter() as meter:
        connection.send("go")
        done.wait(order.latest)
    return meter.sample


def flood_batches(order: Order) -> Sample:
    left, done = order.count, threading.Event()

    def on_messages(_: Connection, messages: list[str | bytes]) -> None:
        nonlocal left
        left -= len(messages)
        if not left:
            done.set()

    with connect(order, on_messages=on_messages, max_queue=None) as connection, Meter() as meter:
        connection.send("go")
        done.wait(order.latest)
    return meter.sample


def typed(order: Order) -> Sample:
    """The chat client's JSON callback; it tells its name first."""
    left = order.count

    def on_message(client: WSClient, message: Message, received: float) -> None:
        nonlocal left
        left -= 1

    client = WSClient(url=order.url, **options(order))
    client.set_message_callback(on_message, use_json=True)
    with client, Meter() as meter:
        client.send_message("go")
        while left:
            client.listen(1.0)
    return meter.sample


CLIENTS: Clients = {
    "wsclient": {"echo": echo, "flood": flood, "send": send, "inflate": flood, "deflate": send, "typed": typed},
    "wsclient many": {"flood": flood_many, "send": send_many, "inflate": flood_many, "deflate": send_many},
    "wsclient thread": {
        "echo": lambda order: echo(order, background=True),
        "flood": lambda order: flood(order, background=True),
        "send": lambda order: send(order, background=True, write_limit=2**20),
    },
    "wsclient on_message": {"echo": echo_callback, "flood": flood_callback},
    "wsclient on_messages": {"flood": flood_batches, "inflate": flood_batches},
}
