"""Callbacks of asyncio connections: the loop itself calls them, in order, and keeps time for others."""

import asyncio
import functools
import gc
import logging
import logging.handlers
import queue
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from certificates import Certificates, server_context, tls_echo
from conftest import Echo
from loops import LOOPS, on_each_loop, run
from raw_server import BINARY, DEADLINE, TEXT, Peer, RawServer, close_frame, frame, unused_port
from series_server import SeriesServer
from test_aio_loop import Ticker, flooding, forget, said, telling
from wsclient import (
    AsyncConnection,
    CloseInfo,
    ConcurrencyError,
    ConnectionClosed,
    ConnectionClosedError,
    ReconnectPolicy,
    State,
    TLSOptions,
    aio,
)
from wsclient._driver import LoopDriver

Options = dict[str, Any]


class Log:
    """Callbacks that note what they are called with."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        self.errors: asyncio.Queue[Exception] = asyncio.Queue()
        self.closed: asyncio.Queue[CloseInfo] = asyncio.Queue()
        self.opened: asyncio.Queue[AsyncConnection] = asyncio.Queue()

    def options(self) -> Options:
        """What to give to connect."""
        return {
            "on_message": lambda _, message: self.messages.put_nowait(message),
            "on_open": self.opened.put_nowait,
            "on_close": lambda _, info: self.closed.put_nowait(info),
            "on_error": lambda _, error: self.errors.put_nowait(error),
        }


async def soon(queue: "asyncio.Queue[Any]") -> Any:
    return await asyncio.wait_for(queue.get(), DEADLINE)


@contextmanager
def servers(kind: str, plain: Echo, certificates: Certificates) -> Iterator[tuple[str, Options]]:
    """An echo server: its URL, and the options it takes."""
    if kind == "plain":
        yield plain.url, {}
    else:
        with tls_echo(server_context(certificates.server)) as echo:
            yield echo.url, {"tls": TLSOptions(ca_file=certificates.ca)}


# ---- called


@pytest.mark.parametrize("kind", ["plain", "tls"])
@on_each_loop
async def test_callbacks_are_called_in_order(kind: str, websockets_echo: Echo, certificates: Certificates) -> None:
    log, calls = Log(), list[str]()

    def on_message(connection: AsyncConnection, message: str | bytes) -> None:
        assert threading.current_thread() is threading.main_thread()
        assert asyncio.current_task() is None
        calls.append(str(message))
        if message == "last":
            connection.abort()
            calls.append("aborted")

    def on_close(_: AsyncConnection, info: CloseInfo) -> None:
        calls.append("closed")
        log.closed.put_nowait(info)

    with servers(kind, websockets_echo, certificates) as (url, options):
        connection = await aio.connect(
            url, on_message=on_message, on_open=lambda _: calls.append("opened"), on_close=on_close, **options
        )
        assert calls == ["opened"]
        for i in range(100):
            await connection.send(str(i))
        await connection.send("last")
        assert await soon(log.closed) == CloseInfo("local", 1006, "", False)
    assert calls == ["opened", *map(str, range(100)), "last", "aborted", "closed"]


def numbered(count: int, asked: bool = False) -> Callable[[Peer], None]:
    """A server that sends so many numbers at once (when a message asks for it), and closes."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        if asked:
            peer.read_frame()
        peer.sock.sendall(b"".join(frame(BINARY, b"%d" % i) for i in range(count)) + close_frame(1000, "done"))
        peer.wait_gone()

    return serve


@pytest.mark.parametrize("lists", [False, True], ids=["on_message", "on_messages"])
@on_each_loop
async def test_a_hundred_thousand_messages_come_in_order(lists: bool) -> None:
    count = 100_000
    log, messages = Log(), list[str | bytes]()
    options = log.options() | {
        "on_message": None if lists else lambda _, message: messages.append(message),
        "on_messages": (lambda _, many: messages.extend(many)) if lists else None,
    }
    with RawServer(numbered(count)) as server:
        async with aio.connect(server.url, **options) as connection:
            assert await soon(log.closed) == CloseInfo("remote", 1000, "done", True)
            assert messages == [b"%d" % i for i in range(count)]
            assert connection.stats().messages_received == count
    assert log.errors.empty()


@pytest.mark.parametrize(("most", "longest"), [(4, 4), (None, 256)])
@on_each_loop
async def test_no_more_than_max_queue_at_a_time(most: int | None, longest: int) -> None:
    log, lists = Log(), list[list[str | bytes]]()

    async def all_in_the_engine(connection: AsyncConnection) -> None:
        assert await connection.wait_closed(DEADLINE)

    options = log.options() | {"on_message": None, "on_open": all_in_the_engine}
    with RawServer(numbered(1000)) as server:
        connection = await aio.connect(
            server.url, on_messages=lambda _, many: lists.append(many), max_queue=most, **options
        )
        await soon(log.closed)
        assert connection.state is State.CLOSED
    assert [message for many in lists for message in many] == [b"%d" % i for i in range(1000)]
    assert max(map(len, lists)) == longest


@pytest.mark.parametrize("slow", [False, True], ids=["many", "slow"])
@on_each_loop
async def test_a_flood_lets_others_run(slow: bool) -> None:
    count = 20 if slow else 20_000
    called, done = 0, asyncio.Event()

    def on_message(*_: object) -> None:
        nonlocal called
        called += 1
        if slow:
            time.sleep(0.002)
        if called == count:
            done.set()

    async def flooded(connection: AsyncConnection) -> None:
        while connection.stats().messages_received < count:
            await asyncio.sleep(0.001)

    with RawServer(flooding(count)) as server:
        connection = await aio.connect(
            server.url, on_open=flooded, on_message=on_message, max_queue=None, compression=None
        )
        ticker = Ticker()
        await asyncio.wait_for(done.wait(), DEADLINE)
        await ticker.stop()
        connection.abort()
    assert ticker.ticks >= (count - 1 if slow else count // 256)


@on_each_loop
async def test_a_slow_callback_stops_the_peer_and_loses_nothing() -> None:
    size, count = 1 << 20, 60
    sent, seen = list[int](), list[int]()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for i in range(count):
            peer.sock.sendall(frame(BINARY, i.to_bytes(4, "big") + bytes(size - 4)))
            sent.append(i)
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    def on_message(connection: AsyncConnection, message: str | bytes) -> None:
        assert isinstance(message, bytes)
        seen.append(int.from_bytes(message[:4], "big"))
        time.sleep(0.005)
        ahead.append(connection.stats().bytes_received - len(seen) * size)

    ahead, log = list[int](), Log()
    with RawServer(serve) as server:
        connection = await aio.connect(server.url, **log.options() | {"on_message": on_message})
        assert (await soon(log.closed)).clean
        del connection
    assert seen == list(range(count))
    assert max(ahead) < 40 << 20


@on_each_loop
async def test_messages_that_come_with_the_answer_wait_for_on_open() -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(peer.response() + frame(TEXT, b"early") + close_frame(1000))
        peer.wait_gone()

    calls, log = list[str](), Log()

    async def on_open(connection: AsyncConnection) -> None:
        await asyncio.sleep(0.05)
        calls.append("opened")

    with RawServer(serve) as server:
        connection = await aio.connect(
            server.url,
            **log.options() | {"on_open": on_open, "on_message": lambda _, message: calls.append(message)},
        )
        assert await soon(log.closed) == CloseInfo("remote", 1000, "", True)
        del connection
    assert calls == ["opened", "early"]


@on_each_loop
async def test_on_open_may_hold_a_dialogue_first(websockets_echo: Echo) -> None:
    log = Log()

    async def on_open(connection: AsyncConnection) -> None:
        await connection.send("who?")
        log.opened.put_nowait(await connection.recv(DEADLINE))  # type: ignore[arg-type]

    options = log.options() | {"on_open": on_open}
    async with aio.connect(websockets_echo.url, **options) as connection:
        assert log.opened.get_nowait() == "who?"  # type: ignore[comparison-overlap]
        await connection.send("you")
        assert await soon(log.messages) == "you"
    assert log.errors.empty()


@on_each_loop
async def test_an_on_open_that_is_cancelled_leaves_nothing() -> None:
    opened = asyncio.Event()

    async def on_open(_: AsyncConnection) -> None:
        opened.set()
        await asyncio.Event().wait()

    async def connect() -> None:
        await aio.connect(server.url, on_open=on_open)

    gone = queue.Queue[str]()
    with RawServer(telling(gone)) as server:
        task = asyncio.create_task(connect())
        await asyncio.wait_for(opened.wait(), DEADLINE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await said(gone) == "gone"


@on_each_loop
async def test_without_a_callback_for_messages_they_are_received(websockets_echo: Echo) -> None:
    log = Log()
    options = log.options() | {"on_message": None}
    async with aio.connect(websockets_echo.url, **options) as connection:
        assert log.opened.get_nowait() is connection
        await connection.send("x")
        assert await connection.recv(DEADLINE) == "x"
    assert (await soon(log.closed)).clean


@on_each_loop
async def test_reconnecting_calls_as_ever() -> None:
    log = Log()

    def one(peer: Peer) -> None:
        peer.upgrade()
        assert peer.read_frame()[2] == b"hello"
        peer.sock.sendall(frame(TEXT, b"one"))

    def last(peer: Peer) -> None:
        one(peer)
        peer.sock.sendall(frame(TEXT, b"last") + close_frame(1008))
        peer.wait_gone()

    async def on_open(connection: AsyncConnection) -> None:
        await connection.send("hello")

    with SeriesServer([one, one, last]) as server:
        connection = await aio.connect(
            server.url,
            reconnect=ReconnectPolicy(initial_delay=0.01, max_delay=0.01),
            **log.options() | {"on_open": on_open},
        )
        assert [await soon(log.messages) for _ in range(4)] == ["one", "one", "one", "last"]
        assert (await soon(log.closed)).code == 1008
        assert connection.state is State.CLOSED
    assert isinstance(log.errors.get_nowait(), ConnectionClosedError)


# ---- what goes wrong


@on_each_loop
async def test_how_it_ended_is_told() -> None:
    log = Log()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"before") + frame(TEXT, b"wrong", rsv=7))
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = await aio.connect(server.url, **log.options())
        info = await soon(log.closed)
        assert (info.by, info.code, info.clean) == ("local", 1006, False)
        assert isinstance(log.errors.get_nowait(), ConnectionClosedError)
        assert log.messages.get_nowait() == "before"
        assert log.closed.empty()
        del connection


@pytest.mark.parametrize("name", ["on_open", "on_message", "on_close"])
@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_what_a_callback_raises_stops_nothing(
    name: str,
    websockets_echo: Echo,
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    async def test() -> None:
        log = Log()
        async with aio.connect(websockets_echo.url, **log.options() | {name: fail}) as connection:
            await connection.send("x")
            await connection.send("y")
            for text in ("x", "y"):  # what comes behind our close frame might be given to nobody
                if name == "on_message":
                    assert isinstance(await soon(log.errors), ZeroDivisionError)
                else:
                    assert await soon(log.messages) == text
        if name != "on_message":
            assert isinstance(await soon(log.errors), ZeroDivisionError)
        if name != "on_close":
            await soon(log.closed)

    run(new_loop, test())
    assert "on purpose" in caplog.text
    assert "Traceback" in caplog.text
    assert caplog.records[0].name == "wsclient"


@on_each_loop
async def test_what_on_error_raises_is_logged(websockets_echo: Echo) -> None:
    log, own = Log(), logging.Logger("own")
    records = queue.Queue[Any]()
    own.addHandler(logging.handlers.QueueHandler(records))
    own.setLevel(logging.ERROR)

    def fail(_: AsyncConnection, what: object) -> None:
        if isinstance(what, Exception):
            log.errors.put_nowait(what)
        raise ZeroDivisionError(f"after {what!r}")

    options = log.options() | {"on_message": fail, "on_error": fail}
    async with aio.connect(websockets_echo.url, logger=own, **options) as connection:
        await connection.send("x")
        assert isinstance(await soon(log.errors), ZeroDivisionError)
    await soon(log.closed)
    texts = [records.get_nowait().getMessage() for _ in range(2)]
    for text, said_so in zip(texts, ("a callback raised", "on_error raised"), strict=True):
        assert said_so in text.splitlines()[0]
        assert "Traceback" in text


@pytest.mark.parametrize("wrong", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
def test_what_ends_the_program_ends_the_loop_and_loses_nothing(
    new_loop: Callable[[], asyncio.AbstractEventLoop], wrong: type[BaseException]
) -> None:
    messages = list[str | bytes]()
    loop = new_loop()

    def on_message(_: AsyncConnection, message: str | bytes) -> None:
        messages.append(message)
        if message == b"100":
            raise wrong

    async def connect() -> AsyncConnection:
        return await aio.connect(server.url, on_message=on_message)

    with RawServer(numbered(1000, asked=True)) as server:
        connection = loop.run_until_complete(connect())
        connection.send_nowait("go")
        with pytest.raises(wrong):
            loop.run_forever()
        assert b"100" in messages
        assert loop.run_until_complete(connection.wait_closed(DEADLINE))

        async def all_called() -> None:
            while len(messages) < 1000:
                await asyncio.sleep(0.001)

        loop.run_until_complete(asyncio.wait_for(all_called(), DEADLINE))
        loop.close()
    assert messages == [b"%d" % i for i in range(1000)]


@on_each_loop
async def test_nothing_can_be_received_besides_callbacks(websockets_echo: Echo) -> None:
    for name in ("on_message", "on_messages"):
        options: Options = {name: lambda *_: None}
        async with aio.connect(websockets_echo.url, **options) as connection:
            for receive in (connection.recv, connection.recv_many, connection.recv_event, connection.__anext__):
                with pytest.raises(ConcurrencyError, match="callbacks"):
                    await receive()
        with pytest.raises(ConnectionClosed):
            await connection.recv()


async def never(*_: object) -> None: ...


class Awaited:
    async def __call__(self, *_: object) -> None: ...


@pytest.mark.parametrize("name", ["on_message", "on_messages", "on_open", "on_close", "on_error"])
def test_what_cannot_be_called_is_refused(name: str) -> None:
    url = f"ws://127.0.0.1:{unused_port()}/"
    for wrong in (never, functools.partial(never, 1), Awaited()):
        if name == "on_open":
            aio.connect(url, on_open=wrong)
        else:
            with pytest.raises(TypeError, match=f"{name} .* async"):
                aio.connect(url, **{name: wrong})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=name):
        aio.connect(url, **{name: 7})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="exclude"):
        aio.connect(url, on_message=print, on_messages=print)


# ---- sending from within


@on_each_loop
async def test_send_nowait_queues_in_a_callback() -> None:
    count = 5000
    log, echoed = Log(), list[bytes]()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(frame(BINARY, b"%d" % i) for i in range(count)))
        for _ in range(count):
            echoed.append(peer.read_frame()[2])
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    def on_message(connection: AsyncConnection, message: str | bytes) -> None:
        connection.send_nowait(message)
        queued.append(connection.stats().messages_sent)

    queued = list[int]()
    with RawServer(serve) as server:
        connection = await aio.connect(server.url, **log.options() | {"on_message": on_message})
        assert (await soon(log.closed)).clean
        del connection
    assert echoed == [b"%d" % i for i in range(count)]
    assert log.errors.empty()


@on_each_loop
async def test_send_nowait_in_a_callback_has_a_limit() -> None:
    log, go = Log(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"go"))
        assert go.wait(DEADLINE)
        peer.wait_gone()

    def on_message(connection: AsyncConnection, _: object) -> None:
        try:
            for _ in range(1000):
                connection.send_nowait(bytes(1 << 20))
        finally:
            go.set()

    with RawServer(serve) as server:
        connection = await aio.connect(server.url, **log.options() | {"on_message": on_message})
        assert isinstance(await soon(log.errors), BlockingIOError)
        assert connection.state is State.OPEN
        connection.abort()


@on_each_loop
async def test_tasks_that_callbacks_make_may_do_everything(websockets_echo: Echo) -> None:
    log, tasks = Log(), list[asyncio.Task[object]]()

    async def work(connection: AsyncConnection) -> None:
        assert await connection.ping() >= 0
        await connection.flush()
        await connection.send("from a task")
        await connection.close()

    def on_message(connection: AsyncConnection, message: str | bytes) -> None:
        log.messages.put_nowait(message)
        if message == "x":
            tasks.append(asyncio.create_task(work(connection)))

    connection = await aio.connect(websockets_echo.url, **log.options() | {"on_message": on_message})
    await connection.send("x")
    assert (await soon(log.closed)).clean
    assert log.messages.get_nowait() == "x"
    await tasks[0]


@on_each_loop
async def test_nobody_is_called_back_within_a_call_of_a_task(websockets_echo: Echo) -> None:
    """A callback that came in the middle of a task's call would find the task's things half done."""
    inside = False
    log = Log()

    def on_message(_: AsyncConnection, message: str | bytes) -> None:
        assert not inside
        log.messages.put_nowait(message)

    async with aio.connect(websockets_echo.url, **log.options() | {"on_message": on_message}) as connection:
        for _ in range(20):
            connection.send_nowait("x")
            time.sleep(0.01)  # the answer is there by then
            inside = True
            await connection.pong()  # which does not wait, and reads
            inside = False
            await soon(log.messages)
    assert log.errors.empty()


# ---- forgotten


@on_each_loop
async def test_a_cycle_through_callbacks_is_collected() -> None:
    class Owner:
        connection: AsyncConnection

        def on_message(self, _: AsyncConnection, __: str | bytes) -> None: ...

        def on_close(self, _: AsyncConnection, __: CloseInfo) -> None: ...

    async def make(**options: Any) -> Owner:
        owner = Owner()
        owner.connection = await aio.connect(
            server.url, on_message=owner.on_message, on_close=owner.on_close, **options
        )
        return owner

    gone = queue.Queue[str]()
    for reconnect in (None, ReconnectPolicy(on_down=print)):
        with RawServer(telling(gone)) as server:
            holder = [await make(reconnect=reconnect)]
            reference = weakref.ref(holder[0])
            await asyncio.sleep(0)
            with pytest.warns(ResourceWarning, match="was not closed"):
                forget(holder)
            assert reference() is None
            assert await said(gone) == "gone"


@on_each_loop
async def test_a_cycle_through_the_policy_is_collected() -> None:
    class Owner:
        connection: AsyncConnection

        def on_open(self, _: Any) -> None: ...

    async def make() -> Owner:
        owner = Owner()
        owner.connection = await aio.connect(server.url, reconnect=True, on_open=owner.on_open)
        return owner

    gone = queue.Queue[str]()
    with RawServer(telling(gone)) as server:
        holder = [await make()]
        reference = weakref.ref(holder[0])
        with pytest.warns(ResourceWarning, match="was not closed"):
            forget(holder)
        gc.collect()
        assert reference() is None
        assert await said(gone) == "gone"


@on_each_loop
async def test_a_closed_connection_leaves_the_loop_alone(
    websockets_echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = await aio.connect(websockets_echo.url, on_message=lambda *_: None)
    await connection.close()
    await connection.close()
    connection.abort()
    turns: list[LoopDriver] = []
    turn = LoopDriver._turn

    def count(self: LoopDriver, *args: Any) -> None:
        turns.append(self)
        turn(self, *args)

    monkeypatch.setattr(LoopDriver, "_turn", count)
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(turns) <= 2
