"""picows: its core interface, all in on_ws_frame, with aiofastnet; and its asyncio interface with websockets' verbs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect
from picows.websockets.asyncio.client import connect

from benchmarks.memory import idle_async, opening_async
from benchmarks.order import SMALL, Clients, Meter, Order, Sample, on_loops, warm_up
from wsclient import Message, MessageInfo, User

BINARY = WSMsgType.BINARY


class Counter(WSListener):
    """Makes every payload bytes, and counts down."""

    def __init__(self) -> None:
        super().__init__()
        self.left = 0
        self.done = asyncio.Event()
        self.room = asyncio.Event()
        self.room.set()

    def expect(self, count: int) -> None:
        self.left = count
        self.done.clear()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        frame.get_payload_as_bytes()
        self.left -= 1
        if not self.left:
            self.done.set()

    def pause_writing(self) -> None:
        self.room.clear()

    def resume_writing(self) -> None:
        self.room.set()


class Body(msgspec.Struct, frozen=True):
    text: str
    text_len: int = 0
    info: int = 0


class Author(msgspec.Struct, frozen=True):
    name: str


class Envelope(msgspec.Struct, frozen=True):
    """An envelope of the chat protocol, as msgspec decodes it."""

    user: Author
    message: Body


class Reader(Counter):
    """Makes of every envelope what wsclient makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.decode = msgspec.json.Decoder(Envelope).decode

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        envelope = self.decode(frame.get_payload_as_memoryview())
        body = envelope.message
        Message(body.text, User(envelope.user.name), MessageInfo(body.info))
        self.left -= 1
        if not self.left:
            self.done.set()


class StructReader(Reader):
    """Is content with msgspec's own objects, nested as the envelope is."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.decode(frame.get_payload_as_memoryview())
        self.left -= 1
        if not self.left:
            self.done.set()


class Echoer(Counter):
    """Sends the next one when one has come."""

    def __init__(self, message: bytes) -> None:
        super().__init__()
        self.message = message

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        frame.get_payload_as_bytes()
        self.left -= 1
        if self.left:
            transport.send(BINARY, self.message)
        else:
            self.done.set()


async def open_with(order: Order, make: Callable[[], Counter]) -> tuple[WSTransport, Any]:
    return await open_in(order, make, order.context())


async def open_in(order: Order, make: Callable[[], Counter], context: ssl.SSLContext | None) -> tuple[WSTransport, Any]:
    opened: tuple[WSTransport, Any] = await ws_connect(make, order.url, ssl_context=context, max_frame_size=2**31 - 1)
    return opened


async def echo(order: Order) -> Sample:
    transport, listener = await open_with(order, lambda: Echoer(order.message))
    for count in (warm_up(order), order.count):
        listener.expect(count)
        with Meter() as meter:
            transport.send(BINARY, order.message)
            await listener.done.wait()
    transport.disconnect()
    return meter.sample


async def flood(order: Order) -> Sample:
    transport, listener = await open_with(order, Counter)
    listener.expect(order.count)
    with Meter() as meter:
        transport.send(BINARY, b"go")
        await listener.done.wait()
    transport.disconnect()
    return meter.sample


async def typed(order: Order, make: Callable[[], Counter] = Reader) -> Sample:
    transport, listener = await open_with(order, make)
    listener.expect(order.count)
    with Meter() as meter:
        transport.send(WSMsgType.TEXT, b"name")
        transport.send(WSMsgType.TEXT, b"go")
        await listener.done.wait()
    transport.disconnect()
    return meter.sample


async def send(order: Order) -> Sample:
    message = order.message
    transport, listener = await open_with(order, Counter)
    listener.expect(1)
    with Meter() as meter:
        for _ in range(order.count):
            transport.send(BINARY, message)
            if not listener.room.is_set():
                await listener.room.wait()
        await listener.done.wait()
    transport.disconnect()
    return meter.sample


async def trip(connection: tuple[WSTransport, Any]) -> None:
    transport, listener = connection
    listener.done = asyncio.Event()
    transport.send(BINARY, b"x")
    await listener.done.wait()


class Patient(WSListener):
    """The least that waits: nothing is made before it is needed."""

    def __init__(self) -> None:
        super().__init__()
        self.done: asyncio.Event | None = None

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if self.done:
            self.done.set()


def opener(order: Order, make: Callable[[], Any]) -> Callable[[], Awaitable[tuple[WSTransport, Any]]]:
    context = order.context()
    return lambda: open_in(order, make, context)


async def idle(order: Order) -> Sample:
    return await idle_async(order, opener(order, Patient), trip)


async def shut(connection: tuple[WSTransport, Any]) -> None:
    connection[0].disconnect()
    await connection[0].wait_disconnected()


async def opening(order: Order) -> Sample:
    return await opening_async(order, opener(order, WSListener), shut)


async def echo_on_all(order: Order) -> Sample:
    """A message on each of order.size connections, then the answers, and again."""
    counter = Counter()
    transports = [(await open_with(order, lambda: counter))[0] for _ in range(order.size)]
    counter.expect(order.size)

    async def trips() -> None:
        counter.expect(order.size)
        for transport in transports:
            transport.send(BINARY, SMALL)
        await counter.done.wait()

    await trips()
    with Meter() as meter:
        for _ in range(order.count // order.size):
            await trips()
    return meter.sample


def options(order: Order) -> dict[str, Any]:
    return {
        "compression": "deflate" if order.compressed else None,
        "max_size": None,
        "proxy": None,
        "ssl": order.context(),
    }


async def echo_await(order: Order) -> Sample:
    message = order.message
    async with connect(order.url, **options(order)) as connection:
        for _ in range(warm_up(order)):
            await connection.send(message)
            await connection.recv()
        with Meter() as meter:
            for _ in range(order.count):
                await connection.send(message)
                await connection.recv()
    return meter.sample


async def flood_await(order: Order) -> Sample:
    async with connect(order.url, **options(order)) as connection:
        with Meter() as meter:
            await connection.send("go")
            for _ in range(order.count):
                await connection.recv()
    return meter.sample


async def send_await(order: Order) -> Sample:
    message = order.text if order.compressed else order.message
    async with connect(order.url, **options(order)) as connection:
        with Meter() as meter:
            for _ in range(order.count):
                await connection.send(message)
            await connection.recv()
    return meter.sample


async def typed_structs(order: Order) -> Sample:
    return await typed(order, StructReader)


CLIENTS: Clients = {
    **on_loops("picows", {"typed": typed_structs}, " structs"),
    **on_loops(
        "picows",
        {
            "echo": echo,
            "flood": flood,
            "send": send,
            "typed": typed,
            "idle": idle,
            "connect": opening,
            "connections": echo_on_all,
            "messages": flood,
            "sizes": echo,
        },
    ),
    **on_loops(
        "picows",
        {
            "echo": echo_await,
            "flood": flood_await,
            "send": send_await,
            "inflate": flood_await,
            "deflate": send_await,
        },
        " await",
    ),
}
