"""websocket-client: without its lock for several threads and its check of UTF-8; masking by wsaccel."""

from __future__ import annotations

from typing import Any

import websocket

from benchmarks.order import Clients, Meter, Order, Sample, warm_up


def connect(order: Order) -> Any:
    context = order.context()
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


CLIENTS: Clients = {"websocket-client": {"echo": echo, "flood": flood, "send": send}}
