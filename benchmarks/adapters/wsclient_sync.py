"""wsclient, driven by the calling thread, and in the background by the engine's I/O thread."""

from __future__ import annotations

import threading
from typing import Any

import wsclient
from benchmarks.beside import Ages, Busy
from benchmarks.memory import idle, opening
from benchmarks.order import SMALL, Clients, Meter, Order, Sample, warm_up
from wsclient import Connection, Message, TLSOptions, WSClient


def options(order: Order) -> dict[str, Any]:
    """What all works of wsclient set."""
    return {
        "compression": "deflate" if order.compressed else None,
        "max_size": None,
        "proxy": None,
        "tls": TLSOptions(ca_file=order.ca, resumption=not order.whole_handshake) if order.ca else None,
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


def trip(connection: Connection) -> None:
    connection.send("x")
    connection.recv()


def idle_on(order: Order, **more: Any) -> Sample:
    return idle(order, lambda: connect(order, **more), trip)


def open_on(order: Order, **more: Any) -> Sample:
    return opening(order, lambda: connect(order, **more), Connection.close)


def beside(order: Order, **more: Any) -> Sample:
    ages = Ages(order)
    with connect(order, **more) as connection, Busy():
        connection.send("go")
        while not ages.add(connection.recv(decode=False)):
            pass
    return ages.sample()


def beside_callback(order: Order) -> Sample:
    ages = Ages(order)
    with connect(order, on_message=lambda _, message: ages.add(message), max_queue=256) as connection, Busy():
        connection.send("go")
        return ages.sample()


def echo_on_all(order: Order) -> Sample:
    """A message on each of order.size connections, then the answers, and again."""
    connections = [connect(order) for _ in range(order.size)]
    sends, receives = [each.send for each in connections], [each.recv for each in connections]

    def trips() -> None:
        for send in sends:
            send(SMALL)
        for recv in receives:
            recv()

    trips()
    with Meter() as meter:
        for _ in range(order.count // order.size):
            trips()
    return meter.sample


def echo_on_all_callback(order: Order) -> Sample:
    left, done = 0, threading.Event()

    def on_message(_: Connection, message: str | bytes) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set()

    sends = [connect(order, on_message=on_message).send for _ in range(order.size)]

    def trips() -> None:
        nonlocal left
        left = order.size
        done.clear()
        for send in sends:
            send(SMALL)
        done.wait(order.latest)

    trips()
    with Meter() as meter:
        for _ in range(order.count // order.size):
            trips()
    return meter.sample


CLIENTS: Clients = {
    "wsclient": {
        "echo": echo,
        "flood": flood,
        "send": send,
        "inflate": flood,
        "deflate": send,
        "typed": typed,
        "idle": idle_on,
        "idle_full": idle_on,
        "connect": open_on,
        "connect_full": open_on,
        "beside": beside,
        "connections": echo_on_all,
        "messages": flood,
        "sizes": echo,
    },
    "wsclient many": {"flood": flood_many, "send": send_many, "inflate": flood_many, "deflate": send_many},
    "wsclient thread": {
        "echo": lambda order: echo(order, background=True),
        "flood": lambda order: flood(order, background=True),
        "send": lambda order: send(order, background=True, write_limit=2**20),
        "idle": lambda order: idle_on(order, background=True),
        "idle_full": lambda order: idle_on(order, background=True),
        "connect": lambda order: open_on(order, background=True),
        "connect_full": lambda order: open_on(order, background=True),
        "beside": lambda order: beside(order, background=True),
        "sizes": lambda order: echo(order, background=True),
    },
    "wsclient on_message": {
        "echo": echo_callback,
        "flood": flood_callback,
        "beside": beside_callback,
        "connections": echo_on_all_callback,
        "messages": flood_callback,
        "sizes": echo_callback,
    },
    "wsclient on_messages": {"flood": flood_batches, "inflate": flood_batches},
}
