"""curl_cffi's WebSocket: libcurl."""

from __future__ import annotations

from curl_cffi import WebSocket

from benchmarks.order import Clients, Meter, Order, Sample, warm_up


def connect(order: Order) -> WebSocket:
    connection = WebSocket(max_message_size=2**31 - 1)
    return connection.connect(order.url, verify=order.ca)


def echo(order: Order) -> Sample:
    message, connection = order.message, connect(order)
    for _ in range(warm_up(order)):
        connection.send_bytes(message)
        connection.recv()
    with Meter() as meter:
        for _ in range(order.count):
            connection.send_bytes(message)
            connection.recv()
    connection.close()
    return meter.sample


def flood(order: Order) -> Sample:
    connection = connect(order)
    with Meter() as meter:
        connection.send_bytes(b"go")
        for _ in range(order.count):
            connection.recv()
    connection.close()
    return meter.sample


def send(order: Order) -> Sample:
    message, connection = order.message, connect(order)
    with Meter() as meter:
        for _ in range(order.count):
            connection.send_bytes(message)
        connection.recv()
    connection.close()
    return meter.sample


CLIENTS: Clients = {"curl_cffi": {"echo": echo, "flood": flood, "send": send}}
