"""Connections driven in the background: by the I/O thread alone, and with callbacks."""

import ctypes
import functools
import gc
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import wsclient
from certificates import Certificates, server_context, tls_echo
from conftest import Echo, wait_until
from own_process import descriptors_at_rest, open_descriptors, threads
from raw_server import (
    BINARY,
    CLOSE,
    DEADLINE,
    PING,
    PONG,
    TEXT,
    Peer,
    RawServer,
    close_frame,
    frame,
    unused_port,
)
from wsclient import (
    CloseInfo,
    ConcurrencyError,
    ConnectError,
    Connection,
    ConnectionClosedError,
    ConnectionClosedOK,
    ReceiveTimeoutError,
    State,
    TLSOptions,
)

Options = dict[str, Any]


@pytest.fixture(params=["plain", "tls"])
def server(
    request: pytest.FixtureRequest, websockets_echo: Echo, certificates: Certificates
) -> Iterator[tuple[str, Options]]:
    """An echo server: its URL, and the options it takes."""
    if request.param == "plain":
        yield websockets_echo.url, {}
    else:
        with tls_echo(server_context(certificates.server)) as echo:
            yield echo.url, {"tls": TLSOptions(ca_file=certificates.ca)}


def end_threads() -> None:
    gc.collect()
    wait_until(lambda: not threads())


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """A test that leaves a thread of the engine's fails; what other files' tests have left in cycles goes before."""
    end_threads()
    yield
    end_threads()


def hold_the_gil(seconds: float) -> None:
    """Be busy in C, as a function that does not let go of the GIL is."""
    ctypes.PyDLL(None).usleep(int(seconds * 1e6))


class Log:
    """Callbacks that note what they are called with."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Any] = queue.Queue()
        self.errors: queue.Queue[Exception] = queue.Queue()
        self.closed: queue.Queue[CloseInfo] = queue.Queue()
        self.opened: queue.Queue[Connection] = queue.Queue()

    def options(self) -> Options:
        """What to give to connect."""
        return {
            "on_message": lambda _, message: self.messages.put(message),
            "on_open": self.opened.put,
            "on_close": lambda _, info: self.closed.put(info),
            "on_error": lambda _, error: self.errors.put(error),
        }


# ---- asked for


def test_what_the_thread_has_read_is_received(server: tuple[str, Options]) -> None:
    url, options = server
    with wsclient.connect(url, background=True, **options) as connection:
        wait_until(lambda: threads() == {"wsclient-io": 1})
        connection.send("text")
        assert connection.recv(DEADLINE) == "text"
        connection.send(b"binary" * 100000)
        assert connection.recv(DEADLINE) == b"binary" * 100000
        connection.send_many(str(i) for i in range(100))
        received: list[str | bytes] = []
        while len(received) < 100:
            received += connection.recv_many(timeout=DEADLINE)
        assert received == [str(i) for i in range(100)]
        assert connection.ping(timeout=DEADLINE) >= 0
        connection.flush(DEADLINE)
        with pytest.raises(ReceiveTimeoutError):
            connection.recv(0.05)
        with pytest.raises(ReceiveTimeoutError):
            connection.recv(0)
    assert connection.close_info == CloseInfo("local", 1000, "", True)
    with pytest.raises(ConnectionClosedOK):
        connection.recv()


def test_iteration_ends_with_the_connection() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(frame(TEXT, b"%d" % i) for i in range(1000)) + close_frame(1000, "enough"))
        peer.wait_gone()

    with RawServer(serve) as server, wsclient.connect(server.url, background=True) as connection:
        assert list(connection) == [str(i) for i in range(1000)]
        assert connection.close_info == CloseInfo("remote", 1000, "enough", True)


def test_a_lost_connection_is_an_error_after_what_came_before() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"last"))

    with RawServer(serve) as server, wsclient.connect(server.url, background=True) as connection:
        assert connection.wait_closed(DEADLINE)
        assert connection.recv(0) == "last"
        with pytest.raises(ConnectionClosedError):
            connection.recv()


def test_opening_fails_as_ever() -> None:
    with pytest.raises(ConnectError):
        wsclient.connect(f"ws://127.0.0.1:{unused_port()}/", background=True)


def test_ctrl_c_ends_a_wait_and_nothing_else(websockets_echo: Echo) -> None:
    with wsclient.connect(websockets_echo.url, background=True) as connection:
        timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            connection.recv(DEADLINE)
        timer.join()
        connection.send("alive")
        assert connection.recv(DEADLINE) == "alive"


def test_two_threads_may_not_receive(websockets_echo: Echo) -> None:
    with wsclient.connect(websockets_echo.url, background=True) as connection:
        got: queue.Queue[Any] = queue.Queue()
        thread = threading.Thread(target=lambda: got.put(connection.recv(DEADLINE)))
        thread.start()

        def refused() -> bool:
            try:
                connection.recv(0)
            except ConcurrencyError:
                return True
            except ReceiveTimeoutError:
                return False
            raise AssertionError("nothing was sent")

        wait_until(refused)
        connection.send("for the thread")
        assert got.get(timeout=DEADLINE) == "for the thread"
        thread.join()


def test_many_connections_share_one_thread(websockets_echo: Echo) -> None:
    before = descriptors_at_rest()
    with ExitStack() as stack:
        connections = [stack.enter_context(wsclient.connect(websockets_echo.url, background=True)) for _ in range(200)]
        wait_until(lambda: threads() == {"wsclient-io": 1})
        for i, connection in enumerate(connections):
            connection.send(str(i))
        assert [connection.recv(DEADLINE) for connection in connections] == [str(i) for i in range(200)]
    wait_until(lambda: not threads())
    assert open_descriptors() <= before + 1  # the waiting thread's own stays


# ---- while Python is busy


def pinged(peer: Peer, seconds: float) -> int:
    """Ping every 0.2 s for so long; an answer that does not come within 1 s is an error. How many were answered."""
    peer.sock.settimeout(1)
    until, count = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        peer.sock.sendall(frame(TEXT, b"data") + frame(PING, b"%d" % count))
        while True:
            _, opcode, payload = peer.read_frame()
            if opcode == PONG and payload == b"%d" % count:
                break
        count += 1
        time.sleep(0.2)
    peer.sock.settimeout(DEADLINE)
    return count


@pytest.mark.parametrize("with_callback", [False, True], ids=["recv", "callback"])
def test_pings_are_answered_while_the_gil_is_held(with_callback: bool, tmp_path: Path) -> None:
    """The server is a process of its own: a thread of this one would be held up with all others."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from raw_server import *
from test_background import pinged
def serve(peer):
    peer.upgrade()
    print(pinged(peer, 3), flush=True)
    peer.sock.sendall(close_frame(1000))
    peer.wait_gone()
with RawServer(serve) as server:
    print(server.url, flush=True)
"""
    program = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert program.stdout is not None
    url = program.stdout.readline().strip()
    messages: list[Any] = []
    callback = (lambda _, message: messages.append(message)) if with_callback else None
    connection = wsclient.connect(url, background=True, on_message=callback)
    hold_the_gil(3.2)
    if with_callback:
        assert connection.wait_closed(DEADLINE)
        wait_until(lambda: len(messages) >= 10)
    else:
        messages += connection
    answered = int(program.stdout.readline())
    assert program.wait(DEADLINE) == 0
    program.stdout.close()
    assert answered >= 10
    wait_until(lambda: messages == ["data"] * answered)
    assert connection.close_code == 1000


def test_a_slow_callback_delays_no_ping() -> None:
    slow, answered = threading.Event(), queue.Queue[int]()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        answered.put(pinged(peer, 1.5))
        slow.set()
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    def on_message(connection: Connection, message: str | bytes) -> None:
        assert slow.wait(DEADLINE)
        messages.append(message)

    messages: list[str | bytes] = []
    with RawServer(serve) as server, wsclient.connect(server.url, on_message=on_message) as connection:
        assert connection.wait_closed(DEADLINE)
        count = answered.get(timeout=DEADLINE)
        assert count >= 5
        wait_until(lambda: len(messages) == count)


# ---- callbacks


def test_callbacks_are_called_in_order(server: tuple[str, Options]) -> None:
    url, options = server
    log = Log()
    calls: list[str] = []
    thread_names: set[int] = set()

    def on_message(connection: Connection, message: str | bytes) -> None:
        thread_names.add(threading.get_native_id())
        calls.append(str(message))
        if message == "last":
            connection.close()

    def on_close(connection: Connection, info: CloseInfo) -> None:
        calls.append("closed")
        log.closed.put(info)

    connection = wsclient.connect(
        url, on_message=on_message, on_open=lambda _: calls.append("opened"), on_close=on_close, **options
    )
    for i in range(100):
        connection.send(str(i))
    connection.send("last")
    assert log.closed.get(timeout=DEADLINE) == CloseInfo("local", 1000, "", True)
    assert calls == ["opened", *map(str, range(100)), "last", "closed"]
    assert len(thread_names) == 1
    assert thread_names != {threading.get_native_id()}


@pytest.mark.parametrize("lists", [False, True], ids=["on_message", "on_messages"])
def test_a_hundred_thousand_messages_come_in_order(lists: bool) -> None:
    count = 100_000

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(frame(BINARY, b"%d" % i) for i in range(count)) + close_frame(1000))
        peer.wait_gone()

    messages: list[str | bytes] = []
    done = threading.Event()
    options: Options = (
        {"on_messages": lambda _, many: messages.extend(many)}
        if lists
        else {"on_message": lambda _, message: messages.append(message)}
    )
    with (
        RawServer(serve) as server,
        wsclient.connect(server.url, on_close=lambda *_: done.set(), **options) as connection,
    ):
        assert done.wait(60)
        assert messages == [b"%d" % i for i in range(count)]
        assert connection.stats().messages_received == count


def test_no_more_than_max_queue_at_a_time() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(frame(TEXT, b"%d" % i) for i in range(1000)) + close_frame(1000))
        peer.wait_gone()

    for most, longest in ((4, 4), (None, 256)):
        lists: list[list[str | bytes]] = []
        go, done = threading.Event(), threading.Event()

        def on_open(_: Connection, go: threading.Event = go) -> None:
            assert go.wait(DEADLINE)

        with (
            RawServer(serve) as server,
            wsclient.connect(
                server.url,
                on_open=on_open,
                on_messages=lambda _, many, lists=lists: lists.append(many),  # type: ignore[misc]
                on_close=lambda *_, done=done: done.set(),  # type: ignore[misc]
                max_queue=most,
            ) as connection,
        ):
            assert connection.wait_closed(DEADLINE)  # all is in the engine
            go.set()
            assert done.wait(DEADLINE)
        assert [message for many in lists for message in many] == [str(i) for i in range(1000)]
        assert max(map(len, lists)) == longest


def test_a_full_queue_stops_the_peer_and_loses_nothing() -> None:
    size, count = 1 << 20, 60
    sent = queue.Queue[int]()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for i in range(count):
            peer.sock.sendall(frame(BINARY, i.to_bytes(4, "big") + bytes(size - 4)))
            sent.put(i)
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    go, done, seen = threading.Event(), threading.Event(), list[int]()

    def on_message(connection: Connection, message: str | bytes) -> None:
        assert go.wait(DEADLINE)
        assert isinstance(message, bytes)
        seen.append(int.from_bytes(message[:4], "big"))

    with (
        RawServer(serve) as server,
        wsclient.connect(server.url, on_message=on_message, on_close=lambda *_: done.set()) as connection,
    ):
        wait_until(lambda: connection.stats().bytes_received > 16 << 20)
        known = -1
        while known != (known := connection.stats().bytes_received):
            time.sleep(0.3)
        assert known < 40 << 20
        assert sent.qsize() < count
        go.set()
        assert done.wait(DEADLINE)
    assert seen == list(range(count))


def test_how_it_ended_is_told() -> None:
    log = Log()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"before") + frame(TEXT, b"wrong", rsv=7))
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, **log.options())
        info = log.closed.get(timeout=DEADLINE)
        assert (info.by, info.code, info.clean) == ("local", 1006, False)
        assert isinstance(log.errors.get_nowait(), ConnectionClosedError)
        assert log.opened.get_nowait() is connection
        assert log.messages.get_nowait() == "before"
        del connection


def test_what_a_callback_raises_stops_nothing(websockets_echo: Echo, caplog: pytest.LogCaptureFixture) -> None:
    log = Log()

    def fail(*_: object) -> None:
        raise ZeroDivisionError("on purpose")

    for name in ("on_open", "on_message", "on_close"):
        caplog.clear()
        options = log.options() | {name: fail}
        with wsclient.connect(websockets_echo.url, **options) as connection:
            connection.send("x")
            connection.send("y")
            for sent in ("x", "y"):
                if name == "on_message":
                    assert isinstance(log.errors.get(timeout=DEADLINE), ZeroDivisionError)
                else:
                    assert log.messages.get(timeout=DEADLINE) == sent
        if name != "on_message":
            assert isinstance(log.errors.get(timeout=DEADLINE), ZeroDivisionError)
        assert "on purpose" in caplog.text
        assert "Traceback" in caplog.text
        assert caplog.records[0].name == "wsclient"
        if name != "on_close":
            log.closed.get(timeout=DEADLINE)


def test_what_on_error_raises_is_logged(websockets_echo: Echo, caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: Connection, error: object) -> None:
        raise ZeroDivisionError(f"after {error!r}")

    done = threading.Event()
    with wsclient.connect(
        websockets_echo.url, on_message=fail, on_error=fail, on_close=lambda *_: done.set()
    ) as connection:
        connection.send("x")
        wait_until(lambda: caplog.text.count("Traceback") >= 2)
    assert done.wait(DEADLINE)
    assert "on_error raised" in caplog.text


def test_a_failure_without_anybody_to_tell(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def on_message(*_: object) -> None:
        done.set()
        raise KeyError("nobody")

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"x"))
        assert done.wait(DEADLINE)

    with RawServer(serve) as server, wsclient.connect(server.url, on_message=on_message) as connection:
        assert connection.wait_closed(DEADLINE)
        wait_until(lambda: "nobody" in caplog.text)


def test_nothing_can_be_received_besides_callbacks(websockets_echo: Echo) -> None:
    with wsclient.connect(websockets_echo.url, on_message=print) as connection:
        for receive in (connection.recv, connection.recv_many, lambda: next(iter(connection))):
            with pytest.raises(ConcurrencyError, match="callbacks"):
                receive()


async def never(*_: object) -> None: ...


class Awaited:
    async def __call__(self, *_: object) -> None: ...


@pytest.mark.parametrize("name", ["on_message", "on_messages", "on_open", "on_close", "on_error"])
def test_what_cannot_be_called_is_refused(name: str) -> None:
    url = f"ws://127.0.0.1:{unused_port()}/"
    for wrong in (never, functools.partial(never, 1), Awaited()):
        with pytest.raises(TypeError, match=f"{name} .* async"):
            wsclient.connect(url, **{name: wrong})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=name):
        wsclient.connect(url, **{name: 7})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="background"):
        wsclient.connect(url, background=False, **{name: print})


def test_other_wrong_arguments_are_refused() -> None:
    url = f"ws://127.0.0.1:{unused_port()}/"
    with pytest.raises(ValueError, match="exclude"):
        wsclient.connect(url, on_message=print, on_messages=print)
    with pytest.raises(TypeError, match="background"):
        wsclient.connect(url, background=1)  # type: ignore[arg-type]


# ---- sending


def test_threads_send_in_their_order_to_a_peer_that_waits() -> None:
    each, count = 60, 8
    go = threading.Event()
    arrived: list[bytes] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert go.wait(DEADLINE)
        while True:
            _, opcode, payload = peer.read_frame()
            if opcode == CLOSE:
                peer.sock.sendall(close_frame(1000))
                return
            arrived.append(payload)

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, background=True, compression=None, ping_interval=None)

        def send(thread: int) -> None:
            for i in range(each):
                connection.send(b"%d %d %s" % (thread, i, bytes(20000)))

        senders = [threading.Thread(target=send, args=(i,)) for i in range(count)]
        for sender in senders:
            sender.start()
        wait_until(lambda: connection.stats().messages_sent > count)
        go.set()
        for sender in senders:
            sender.join(DEADLINE)
        connection.close()
    heads = [tuple(map(int, payload.split(b" ")[:2])) for payload in arrived]
    assert len(heads) == each * count
    for thread in range(count):
        assert [i for which, i in heads if which == thread] == list(range(each))


def test_a_callback_that_waits_amid_a_flood_keeps_neither_pongs_nor_what_others_send() -> None:
    """The dispatcher itself reads where there is much: the I/O thread must notice when it does so no more."""
    count, big = 3000, bytes(8_000_000)
    inside, go = threading.Event(), threading.Event()
    received: list[str | bytes] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(b"".join(frame(TEXT, b"%d" % i) for i in range(count)))
        assert inside.wait(DEADLINE)
        peer.sock.sendall(frame(PING, b"there?") + frame(TEXT, b"last"))
        seen = {peer.read_frame()[1:] for _ in range(2)}
        assert seen == {(PONG, b"there?"), (BINARY, big)}
        go.set()
        assert peer.read_close() == (1000, "")
        peer.sock.sendall(close_frame(1000))

    def on_message(_: Connection, message: str | bytes) -> None:
        received.append(message)
        if len(received) == count // 2:
            inside.set()
            assert go.wait(DEADLINE)

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, on_message=on_message, compression=None, max_queue=256)
        assert inside.wait(DEADLINE)
        connection.send(big)
        wait_until(lambda: len(received) == count + 1)
        connection.close()
    assert received == [str(i) for i in range(count)] + ["last"]


# ---- ended


@pytest.mark.parametrize("how", ["close", "abort"])
def test_a_callback_may_end_its_connection(websockets_echo: Echo, how: str) -> None:
    log = Log()

    def on_message(connection: Connection, message: str | bytes) -> None:
        getattr(connection, how)()
        log.messages.put(connection.wait_closed(DEADLINE))

    connection = wsclient.connect(websockets_echo.url, **log.options() | {"on_message": on_message})
    connection.send("x")
    assert log.messages.get(timeout=DEADLINE) is True
    assert log.closed.get(timeout=DEADLINE).clean == (how == "close")
    assert connection.state is State.CLOSED


@pytest.mark.parametrize("how", ["close", "abort"])
def test_another_thread_may_end_a_wait(websockets_echo: Echo, how: str) -> None:
    connection = wsclient.connect(websockets_echo.url, background=True)
    ended: queue.Queue[Exception] = queue.Queue()

    def wait() -> None:
        try:
            connection.recv(DEADLINE)
        except Exception as error:
            ended.put(error)

    thread = threading.Thread(target=wait)
    thread.start()
    getattr(connection, how)()
    expected = ConnectionClosedOK if how == "close" else ConnectionClosedError
    assert isinstance(ended.get(timeout=DEADLINE), expected)
    thread.join()


def test_a_forgotten_connection_is_closed() -> None:
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()
        gone.set()

    for options in ({"background": True}, {"on_message": print}):
        gone.clear()
        with RawServer(serve) as server:
            wsclient.connect(server.url, **options)  # type: ignore[arg-type]
            assert gone.wait(DEADLINE)


def test_a_cycle_through_a_callback_is_collected(websockets_echo: Echo) -> None:
    class Owner:
        def __init__(self) -> None:
            self.connection = wsclient.connect(websockets_echo.url, on_message=self.on_message)

        def on_message(self, connection: Connection, message: str | bytes) -> None: ...

    owner = Owner()
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    wait_until(lambda: gone() is None)


def test_connections_come_and_go_while_messages_arrive(websockets_echo: Echo) -> None:
    counted = Counter[int]()
    for _ in range(20):
        connections = [
            wsclient.connect(
                websockets_echo.url,
                on_message=lambda _, message: counted.update([len(message)]),
            )
            for _ in range(5)
        ]
        for connection in connections:
            connection.send_many(["x"] * 50)
        connections[0].close()
        del connections, connection
    assert set(counted) <= {1}


# ---- at the interpreter's end

FALLS_OFF = """
import sys, threading, time, wsclient
connection = wsclient.connect(sys.argv[1], **{options})
connection.send("x")
{more}
print("end", flush=True)
"""


@pytest.mark.parametrize(
    ("options", "more"),
    [
        ("{'background': True}", ""),
        ("{'background': True}", "connection.recv(10)"),
        ("{'on_message': print}", ""),
        ("{'on_message': lambda c, m: c.send(m)}", ""),
        ("{'on_message': lambda c, m: time.sleep(100)}", "time.sleep(0.3)"),
        ("{'on_message': lambda c, m: time.sleep(2.05)}", "time.sleep(0.05)"),
        ("{'on_message': lambda c, m: c.wait_closed(2.05)}", "time.sleep(0.05)"),
        ("{'on_message': lambda c, m: c.wait_closed(100)}", "time.sleep(0.3)"),
        ("{'on_messages': lambda c, m: sys.exit(3)}", "time.sleep(0.3)"),
        ("{'background': True}", "threading.Thread(target=connection.recv, daemon=True).start(); time.sleep(0.1)"),
    ],
)
def test_a_program_that_falls_off_its_end_exits(server: tuple[str, Options], options: str, more: str) -> None:
    url, tls = server
    if tls:
        options = f"{options} | {{'tls': wsclient.TLSOptions(ca_file={str(tls['tls'].ca_file)!r})}}"
    code = FALLS_OFF.format(options=f"({options})", more=more)
    done = subprocess.run([sys.executable, "-c", code, url], capture_output=True, text=True, timeout=DEADLINE)
    assert done.returncode == 0, done.stderr
    assert "end" in done.stdout


def test_a_child_of_fork_begins_anew(websockets_echo: Echo) -> None:
    code = """
import os, queue, sys, wsclient
messages = queue.Queue()
def begin():
    connection = wsclient.connect(sys.argv[1], on_message=lambda _, message: messages.put(message))
    connection.send("x")
    assert messages.get(timeout=10) == "x"
    return connection
parent = begin()
child = os.fork()
if child:
    assert os.waitpid(child, 0)[1] == 0
    parent.send("y")
    assert messages.get(timeout=10) == "y"
else:
    del parent
    begin().close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, websockets_echo.url], capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stderr


def test_a_log_that_is_the_connections_own(websockets_echo: Echo) -> None:
    logger = logging.Logger("mine")
    records: queue.Queue[logging.LogRecord] = queue.Queue()
    handler = logging.Handler()
    handler.emit = records.put  # type: ignore[method-assign]
    handler.setLevel(logging.ERROR)
    logger.addHandler(handler)
    with wsclient.connect(websockets_echo.url, on_message=lambda *_: 1 / 0, logger=logger) as connection:
        connection.send("x")
        assert records.get(timeout=DEADLINE).exc_info
