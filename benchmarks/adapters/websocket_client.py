"""websocket-client: without its lock for several threads and its check of UTF-8; masking by wsaccel."""

from __future__ import annotations

import ssl
import threading
from typing import Any

import websocket

from benchmarks.beside import Ages, Busy
from benchmarks.memory import idle, opening
from benchmarks.order import Clients, Meter, Order, Sample, warm_up


def connect(order: Order) -> Any:
    return connect_with(order, order.context())


def connect_with(order: Order, context: ssl.SSLContext | None) -> Any:
    return websocket.create_connection(
        order.url,
        enable_multithread=False,
        skip_utf8_validation=True,
        sslopt={"context": context} if context else None,
    )


def echo(order: Order) -> Sample:
    message, connection = order.message, connect(order)
    for _ in range(warm_up(order)):
        connection.send_binary(message)
        connection.recv()
    with Meter() as meter:
        for _ in range(order.count):
            connection.send_binary(message)
            connection.recv()
    connection.close()
    return meter.sample


def flood(order: Order) -> Sample:
    connection = connect(order)
    with Meter() as meter:
        connection.send("go")
        for _ in range(order.count):
            connection.recv()
    connection.close()
    return meter.sample


def send(order: Order) -> Sample:
    message, connection = order.message, connect(order)
    with Meter() as meter:
        for _ in range(order.count):
            connection.send_binary(message)
        connection.recv()
    connection.close()
    return meter.sample


def trip(connection: Any) -> None:
    connection.send("x")
    connection.recv()


def idle_on(order: Order) -> Sample:
    context = order.context()
    return idle(order, lambda: connect_with(order, context), trip)


def open_on(order: Order) -> Sample:
    context = order.context()
    return opening(order, lambda: connect_with(order, context), lambda connection: connection.close())


def beside(order: Order) -> Sample:
    """Its callback, in a thread that runs WebSocketApp."""
    ages = Ages(order)

    def on_open(app: Any) -> None:
        app.send("go")

    def on_message(app: Any, message: bytes) -> None:
        ages.add(message)

    app = websocket.WebSocketApp(order.url, on_open=on_open, on_message=on_message)
    thread = threading.Thread(target=lambda: app.run_forever(skip_utf8_validation=True))
    with Busy():
        thread.start()
        sample = ages.sample()
        app.close()
        thread.join()
    return sample


CLIENTS: Clients = {
    "websocket-client": {
        "echo": echo,
        "flood": flood,
        "send": send,
        "idle": idle_on,
        "connect": open_on,
        "beside": beside,
    }
}
