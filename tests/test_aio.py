"""wsclient.aio: against echo servers of other makes and servers that misbehave, on asyncio's loop and on uvloop's."""

import asyncio
import contextlib
import dataclasses
import errno
import os
import queue
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wsclient
from certificates import Certificates, server_context, tls_echo
from conftest import Echo
from loops import on_each_loop
from proxies import tinyproxy
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
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidStatus,
    InvalidURI,
    OpenTimeoutError,
    PayloadTooBig,
    PingTimeoutError,
    ReceiveTimeoutError,
    ResolveError,
    State,
    TLSOptions,
    WriteTimeoutError,
    aio,
)
from wsclient.testing import ChatServer, Fault, FaultProxy


@pytest.fixture(params=["websockets_echo", "aiohttp_echo", "node_echo"])
def echo(request: pytest.FixtureRequest) -> Echo:
    """Each of the echo servers."""
    server: Echo = request.getfixturevalue(request.param)
    return server


def sending(*pieces: bytes) -> Callable[[Peer], None]:
    """A server that upgrades, sends this, and waits for the client to go."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for piece in pieces:
            peer.sock.sendall(piece)
        peer.wait_gone()

    return serve


def agreeing(peer: Peer) -> None:
    """A server that says nothing, and answers the close frame."""
    peer.upgrade()
    agreeing_rest(peer)


def agreeing_rest(peer: Peer) -> None:
    """Read on until the close frame, and answer it."""
    code, reason = peer.read_close()
    peer.sock.sendall(close_frame(code, reason))


# ---------------------------------------------------------------------------------------------- all of it


@on_each_loop
async def test_messages_come_back(echo: Echo) -> None:
    async with aio.connect(echo.url) as connection:
        for message in ("grüße", b"\x00\xff", "", b"", "x" * 200_000):
            await connection.send(message)
            assert await connection.recv(DEADLINE) == message
        await connection.send(["one ", "message"])
        assert await connection.recv(DEADLINE) == "one message"
        assert await connection.ping() > 0
        await connection.flush()
        assert connection.state is State.OPEN
    assert connection.close_info == CloseInfo("local", 1000, "", True)


@on_each_loop
async def test_it_can_be_awaited(websockets_echo: Echo) -> None:
    connection = await aio.connect(websockets_echo.url)
    await connection.send("/close 3001 bye")
    with pytest.raises(ConnectionClosedError, match="3001"):
        await connection.recv(DEADLINE)
    assert connection.close_info == CloseInfo("remote", 3001, "bye", True)


@on_each_loop
async def test_a_flood_is_received_in_order(websockets_echo: Echo) -> None:
    count = 10_000
    async with aio.connect(websockets_echo.url) as connection:

        async def send() -> None:
            for i in range(count):
                await connection.send(str(i))
            await connection.send("/close 1000")

        sender = asyncio.create_task(send())
        assert [message async for message in connection] == [str(i) for i in range(count)]
        await sender


@on_each_loop
async def test_big_messages_pass(websockets_echo: Echo) -> None:
    big = os.urandom(6_000_000)
    async with aio.connect(websockets_echo.url, max_size=None) as connection:
        for _ in range(2):
            await connection.send(big)
            assert await connection.recv(DEADLINE) == big


@on_each_loop
async def test_bytes_may_come_one_by_one(websockets_echo: Echo) -> None:
    with FaultProxy("127.0.0.1", websockets_echo.port, Fault(split=1)) as network:
        async with aio.connect(network.url(), compression=None) as connection:
            for message in ("grüße", b"x" * 200, "", "last"):
                await connection.send(message)
                assert await connection.recv(DEADLINE) == message
            assert await connection.ping() > 0
        assert connection.close_info == CloseInfo("local", 1000, "", True)


@on_each_loop
async def test_the_chat_server(chat_server: ChatServer) -> None:
    hello = '{"user":{"name":"Anonym"},"message":{"text":"hi","text_len":2,"info":0}}'
    async with aio.connect(chat_server.url) as one, aio.connect(chat_server.url) as other:
        await one.flush()
        await other.flush()
        await one.send('{"user": {"name": "x"}, "message": {"text": "hi", "text_len": 2, "info": 2}}')
        assert await one.recv(DEADLINE) == await other.recv(DEADLINE) == hello


# ---------------------------------------------------------------------------------------------- opening


@on_each_loop
async def test_a_refused_port_is_named() -> None:
    port = unused_port()
    with pytest.raises(ConnectError, match=rf"127\.0\.0\.1.*{port}") as refused:
        await aio.connect(f"ws://127.0.0.1:{port}/")
    assert refused.value.errno == errno.ECONNREFUSED


@on_each_loop
async def test_names_are_resolved(websockets_echo: Echo) -> None:
    async with aio.connect(f"ws://localhost:{websockets_echo.port}/") as connection:
        assert connection.remote_address == ("127.0.0.1", websockets_echo.port)
        assert connection.timings.tcp > 0
    with pytest.raises(ResolveError, match=r"nosuch\.invalid"):
        await aio.connect("ws://nosuch.invalid/", open_timeout=30)


@on_each_loop
async def test_silence_ends_by_the_deadline() -> None:
    with RawServer(Peer.wait_gone) as server, pytest.raises(OpenTimeoutError):
        await aio.connect(server.url, open_timeout=0.2)


def filled() -> tuple[socket.socket, list[socket.socket]]:
    """A listener whose queue is full: what comes then is dropped."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(listener.getsockname())
    return listener, waiting


@on_each_loop
async def test_a_filtered_port_ends_by_the_deadline() -> None:
    listener, waiting = filled()
    try:
        with pytest.raises(OpenTimeoutError, match="connecting"):
            await aio.connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/", open_timeout=0.3)
    finally:
        for sock in (listener, *waiting):
            sock.close()


def test_what_is_wrong_is_said_before_it_is_awaited() -> None:
    with pytest.raises(InvalidURI):
        aio.connect("http://127.0.0.1/")
    with pytest.raises(ValueError, match="write_limit"):
        aio.connect("ws://127.0.0.1:1/", write_limit=0)
    with pytest.raises(TypeError):
        aio.connect("ws://127.0.0.1:1/", compresion="deflate")  # type: ignore[call-arg]


@on_each_loop
async def test_a_refusal_shows_the_response() -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 5\r\nRetry-After: 7\r\n\r\nhello")
        peer.wait_gone()

    with RawServer(serve) as server, pytest.raises(InvalidStatus, match="HTTP 503") as refused:
        async with aio.connect(server.url):
            pytest.fail("it is open")
    assert (refused.value.response.body, refused.value.retry_after) == (b"hello", 7)


@on_each_loop
async def test_redirects_and_cookies() -> None:
    from http.cookiejar import CookieJar

    def elsewhere(peer: Peer) -> None:
        peer.read_request()
        head = f"HTTP/1.1 302 Found\r\nLocation: {server.url}there\r\nSet-Cookie: a=1\r\nContent-Length: 0\r\n\r\n"
        peer.sock.sendall(head.encode())
        peer.wait_gone()

    def serve(peer: Peer) -> None:
        assert peer.read_request().startswith(b"GET /there ")
        peer.upgrade("Set-Cookie: b=2")
        agreeing_rest(peer)

    jar, asked = CookieJar(), list[str]()
    with RawServer(serve) as server, RawServer(elsewhere) as first:
        options: dict[str, Any] = {"cookies": jar, "bearer_token": lambda: asked.append("x") or "token"}
        async with aio.connect(first.url, **options) as connection:
            assert connection.request.path == "/there"
    assert {cookie.name for cookie in jar} == {"a", "b"}
    assert asked == ["x"]


@on_each_loop
async def test_tls(certificates: Certificates) -> None:
    with tls_echo(server_context(certificates.server)) as server:
        trust = TLSOptions(ca_file=certificates.ca)
        big = os.urandom(1_000_000)
        async with aio.connect(server.url, tls=trust, proxy=None) as connection:
            assert connection.tls
            assert connection.tls.version == "TLSv1.3"
            await connection.send(big)
            assert await connection.recv(DEADLINE) == big
            messages = [f"{i}" * 100 for i in range(1000)]
            sender = asyncio.create_task(connection.send_many(messages))
            assert [await connection.recv(DEADLINE) for _ in messages] == messages
            await sender
        with pytest.raises(wsclient.CertificateError):
            await aio.connect(server.url, proxy=None)


@on_each_loop
async def test_a_proxy(websockets_echo: Echo, certificates: Certificates) -> None:
    with tinyproxy(("alice", "secret")) as proxy, tls_echo(server_context(certificates.server)) as server:
        through = f"http://alice:secret@127.0.0.1:{proxy.port}"
        async with aio.connect(websockets_echo.url, proxy=through) as connection:
            await connection.send("hello")
            assert await connection.recv(DEADLINE) == "hello"
        async with aio.connect(server.url, proxy=through, tls=TLSOptions(ca_file=certificates.ca)) as connection:
            await connection.send("hello")
            assert await connection.recv(DEADLINE) == "hello"


@on_each_loop
async def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                agreeing(Peer(sock))

        server = threading.Thread(target=serve)
        server.start()
        async with aio.connect("ws://localhost/", unix=path) as connection:
            assert connection.remote_address is None
        server.join(DEADLINE)
    assert connection.close_code == 1000


@on_each_loop
async def test_a_message_may_come_with_the_answer() -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(peer.response() + frame(TEXT, b"first") + frame(PING, b"you?") + frame(TEXT, b"second"))
        assert peer.read_frame() == (True, PONG, b"you?")
        agreeing_rest(peer)

    with RawServer(serve) as server:
        async with aio.connect(server.url) as connection:
            assert [await connection.recv(DEADLINE) for _ in range(2)] == ["first", "second"]


@on_each_loop
async def test_a_close_may_come_with_the_answer() -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(peer.response() + frame(TEXT, b"only") + close_frame(1000, "bye"))
        assert peer.read_close() == (1000, "")

    with RawServer(serve) as server:
        connection = await aio.connect(server.url)
        assert [message async for message in connection] == ["only"]
        assert connection.close_info == CloseInfo("remote", 1000, "bye", True)


# ---------------------------------------------------------------------------------------------- sending


async def sent_frames(
    send: Callable[[aio.AsyncConnection], Any], count: int, **options: Any
) -> list[tuple[bool, int, bytes]]:
    """The frames that a send makes."""
    seen: list[tuple[bool, int, bytes]] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        seen.extend(peer.read_frame() for _ in range(count))
        agreeing_rest(peer)

    with RawServer(serve) as server:
        async with aio.connect(server.url, **options) as connection:
            await send(connection)
    return seen


@on_each_loop
async def test_a_message_is_sent_as_what_it_is() -> None:
    async def send(connection: aio.AsyncConnection) -> None:
        await connection.send("grüße")
        await connection.send("grüße", text=False)
        await connection.send(b"ok", text=True)
        await connection.send(memoryview(b"abcdef")[1:3])
        connection.send_nowait(bytearray(b"now"))
        await connection.pong()
        await connection.pong("still here")

    assert await sent_frames(send, 7) == [
        (True, TEXT, "grüße".encode()),
        (True, BINARY, "grüße".encode()),
        (True, TEXT, b"ok"),
        (True, BINARY, b"bc"),
        (True, BINARY, b"now"),
        (True, PONG, b""),
        (True, PONG, b"still here"),
    ]


async def slowly(parts: Iterable[Any]) -> AsyncIterator[Any]:
    """An asynchronous iterable that waits before each part."""
    for part in parts:
        await asyncio.sleep(0)
        yield part


@pytest.mark.parametrize("make", [iter, slowly])
@pytest.mark.parametrize(
    ("parts", "text", "frames"),
    [
        (["a", "bc"], None, [(False, TEXT, b"a"), (False, 0, b"bc"), (True, 0, b"")]),
        ([b"a", bytearray(b"b")], None, [(False, BINARY, b"a"), (False, 0, b"b"), (True, 0, b"")]),
        ([b"a"], True, [(False, TEXT, b"a"), (True, 0, b"")]),
        ([], None, []),
    ],
)
@on_each_loop
async def test_an_iterable_is_one_message(
    make: Callable[[list[Any]], Any], parts: list[Any], text: bool | None, frames: list[tuple[bool, int, bytes]]
) -> None:
    assert await sent_frames(lambda connection: connection.send(make(parts), text=text), len(frames)) == frames


@pytest.mark.parametrize("data", [None, 7, {"a": "b"}, [1], ["a", b"b"], [b"a", "b"]], ids=repr)
@on_each_loop
async def test_what_is_no_message_is_refused(websockets_echo: Echo, data: Any) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        with pytest.raises(TypeError):
            await connection.send(data)
        with pytest.raises(TypeError):
            connection.send_nowait(data)


@on_each_loop
async def test_text_that_is_no_utf8_harms_nothing(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        with pytest.raises(ValueError):
            await connection.send("a\ud800")
        with pytest.raises(ValueError):
            await connection.send(b"\xff", text=True)
        await connection.send("fine")
        assert await connection.recv(DEADLINE) == "fine"


@on_each_loop
async def test_an_iterable_that_raises_closes_with_1011() -> None:
    def parts() -> Iterator[str]:
        yield "first"
        raise LookupError("no more")

    seen = queue.Queue[int]()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        code, reason = peer.read_close()
        seen.put(code)
        peer.sock.sendall(close_frame(code, reason))

    with RawServer(serve) as server:
        async with aio.connect(server.url) as connection:
            with pytest.raises(LookupError):
                await connection.send(parts())
            assert await connection.wait_closed(DEADLINE)
    assert seen.get_nowait() == 1011


@on_each_loop
async def test_a_fragmented_message_is_alone(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url) as connection:

        async def parts() -> AsyncIterator[str]:
            yield "a"
            with pytest.raises(ConcurrencyError):
                await connection.send(["b"])
            with pytest.raises(wsclient.InvalidState):
                await connection.send("b")
            yield "c"

        await connection.send(parts())
        assert await connection.recv(DEADLINE) == "ac"


@on_each_loop
async def test_many_are_sent_in_order(websockets_echo: Echo) -> None:
    items: list[str | bytes] = [f"{i}" if i % 2 else f"{i}".encode() for i in range(5000)]
    async with aio.connect(websockets_echo.url, write_limit=1000) as connection:
        sender = asyncio.create_task(connection.send_many(iter(items)))
        assert [await connection.recv(DEADLINE) for _ in items] == items
        await sender
        await connection.send_many([])
        with pytest.raises(TypeError):
            await connection.send_many(["fine", None])  # type: ignore[list-item]
        assert await connection.recv(DEADLINE) == "fine"


@on_each_loop
async def test_tasks_that_send_at_once_wait_in_line(websockets_echo: Echo) -> None:
    messages = [f"{i} " + "x" * 20_000 for i in range(200)]
    async with aio.connect(websockets_echo.url, compression=None) as connection:
        senders = [asyncio.create_task(connection.send(message)) for message in messages]
        assert [await connection.recv(DEADLINE) for _ in messages] == messages
        await asyncio.gather(*senders)


def stuffed(release: threading.Event) -> Callable[[Peer], None]:
    """A server that reads nothing until it is told to."""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert release.wait(DEADLINE)
        with contextlib.suppress(ConnectionResetError):
            agreeing_rest(peer)

    return serve


def narrow(server: RawServer) -> dict[str, Any]:
    """Have the system keep little between a server that reads nothing and a connection with these options."""
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
    return {"socket_options": [(socket.SOL_SOCKET, socket.SO_SNDBUF, 16384)]}


MUCH = b"x" * 1_000_000  # more than that


@on_each_loop
async def test_send_nowait_raises_where_send_waits() -> None:
    release = threading.Event()
    with RawServer(stuffed(release)) as server:
        async with aio.connect(server.url, **narrow(server)) as connection:
            connection.send_nowait(MUCH)
            sender = asyncio.create_task(connection.send("later"))
            await asyncio.sleep(0)
            with pytest.raises(BlockingIOError, match="write_limit"):
                connection.send_nowait("now")
            assert not sender.done()
            release.set()
            await asyncio.wait_for(sender, DEADLINE)


@on_each_loop
async def test_fragments_wait_for_a_peer_that_is_slow() -> None:
    release = threading.Event()
    asked: list[int] = []

    def parts() -> Iterator[bytes]:
        for i in range(3):
            asked.append(i)
            yield MUCH

    with RawServer(stuffed(release)) as server:
        async with aio.connect(server.url, compression=None, **narrow(server)) as connection:
            sender = asyncio.create_task(connection.send(parts()))
            assert not await connection.wait_closed(0.05)
            assert asked == [0]
            release.set()
            await asyncio.wait_for(sender, DEADLINE)
    assert asked == [0, 1, 2]


@on_each_loop
async def test_a_peer_that_reads_nothing_does_not_block_for_ever() -> None:
    release = threading.Event()
    with RawServer(stuffed(release)) as server:
        connection = await aio.connect(server.url, write_timeout=0.2, close_timeout=0.2, **narrow(server))
        connection.send_nowait(MUCH)
        with pytest.raises(WriteTimeoutError, match="nothing of this message"):
            await connection.send("no room")
        assert connection.state is State.OPEN
        with pytest.raises(WriteTimeoutError):
            await connection.send_many(["no room", "either"])
        await connection.close()
        assert connection.state is State.CLOSED
        release.set()
        with pytest.raises(ConnectionClosed):
            await connection.send("too late")


@on_each_loop
async def test_a_message_that_is_torn_by_the_deadline_costs_the_connection() -> None:
    release = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert release.wait(DEADLINE)
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.read_frame()

    with RawServer(serve) as server:
        connection = await aio.connect(server.url, write_timeout=0.2, **narrow(server))
        with pytest.raises(ConnectionClosedError) as failed:
            await connection.send(MUCH)
        assert isinstance(failed.value.__cause__, WriteTimeoutError)
        assert connection.state is State.CLOSED
        release.set()


@on_each_loop
async def test_who_waits_to_send_learns_of_the_end() -> None:
    go = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert go.wait(DEADLINE)
        peer.reset()

    with RawServer(serve) as server:
        connection = await aio.connect(server.url, **narrow(server))
        connection.send_nowait(MUCH)
        senders = [asyncio.create_task(connection.send(f"{i}")) for i in range(3)]
        pinger = asyncio.create_task(connection.ping())
        await asyncio.sleep(0)
        go.set()
        for task in (*senders, pinger):
            with pytest.raises(ConnectionClosedError):
                await asyncio.wait_for(task, DEADLINE)


# ---------------------------------------------------------------------------------------------- receiving


@on_each_loop
async def test_a_receive_that_times_out_loses_nothing(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        for timeout in (0, 0.01, -1):
            with pytest.raises(ReceiveTimeoutError):
                await connection.recv(timeout)
            with pytest.raises(ReceiveTimeoutError):
                await connection.recv_many(timeout=timeout)
        for wrong in ("1", float("nan")):
            with pytest.raises((TypeError, ValueError)):
                await connection.recv(wrong)  # type: ignore[arg-type]
        await connection.send("still here")
        assert await connection.recv(DEADLINE) == "still here"


@on_each_loop
async def test_a_receive_without_time_takes_what_is_there() -> None:
    sent = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"there"))
        sent.set()
        agreeing_rest(peer)

    with RawServer(serve) as server:
        async with aio.connect(server.url) as connection:
            assert sent.wait(DEADLINE)  # the loop is blocked meanwhile
            assert await connection.recv(0) == "there"


@pytest.mark.parametrize("data", ["grüße", "grüße".encode()])
@on_each_loop
async def test_decode_says_what_comes_out(websockets_echo: Echo, data: str | bytes) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        for _ in range(2):  # made into objects as it comes, and when it is asked for
            await connection.send_many([data] * 3)
            assert await connection.recv(DEADLINE, decode=True) == "grüße"
            assert await connection.recv(DEADLINE, False) == "grüße".encode()
            assert await connection.recv(DEADLINE) == data
            await connection.send_many([data] * 2)
            while connection.stats().messages_received % 5:
                await asyncio.sleep(0.001)
            assert await connection.recv(0, decode=False) == "grüße".encode()
            assert await connection.recv(0, True) == "grüße"


@on_each_loop
async def test_binary_that_is_no_text_cannot_be_decoded(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        await connection.send_many([b"\xff", "next"])
        with pytest.raises(UnicodeDecodeError):
            await connection.recv(DEADLINE, decode=True)
        assert await connection.recv(DEADLINE) == "next"


@on_each_loop
async def test_many_are_received_at_once() -> None:
    with RawServer(sending(b"".join(frame(TEXT, b"%d" % i) for i in range(10)))) as server:
        connection = await aio.connect(server.url)
        received: list[str | bytes] = []
        while len(received) < 4:
            received += await connection.recv_many(4 - len(received), DEADLINE)
        assert received == ["0", "1", "2", "3"]
        while len(received) < 10:
            received += await connection.recv_many(timeout=DEADLINE)
        assert received == [str(i) for i in range(10)]
        with pytest.raises(ValueError):
            await connection.recv_many(0)
        connection.abort()


@dataclasses.dataclass
class Point:
    x: int
    y: float


@on_each_loop
async def test_json_is_received_as_a_type(websockets_echo: Echo) -> None:
    pytest.importorskip("msgspec")  # there is none for every Python
    async with aio.connect(websockets_echo.url) as connection:
        await connection.send_many(['{"x":1,"y":2.5}', "no json", "after"])
        assert await connection.recv_as(Point, DEADLINE) == Point(1, 2.5)
        with pytest.raises(ValueError):
            await connection.recv_as(Point, DEADLINE)
        assert await connection.recv(DEADLINE) == "after"


@on_each_loop
async def test_two_tasks_cannot_receive(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        first = asyncio.create_task(connection.recv(DEADLINE))
        await asyncio.sleep(0)
        for receive in (connection.recv, connection.recv_many, connection.__anext__):
            with pytest.raises(ConcurrencyError, match="another task"):
                await receive()  # type: ignore[operator]
        await connection.send("for the first")
        assert await first == "for the first"


@on_each_loop
async def test_a_message_over_max_size_ends_the_connection() -> None:
    with RawServer(sending(frame(TEXT, b"before") + frame(BINARY, b"x" * 101))) as server:
        async with aio.connect(server.url, max_size=100) as connection:
            assert await connection.recv(DEADLINE) == "before"
            with pytest.raises(ConnectionClosedError) as closed:
                await connection.recv(DEADLINE)
    assert isinstance(closed.value.__cause__, PayloadTooBig)


@on_each_loop
async def test_reading_stops_when_nobody_asks_and_goes_on_when_somebody_does() -> None:
    """The buffer has 16 MiB: the server is stopped behind that, and its close frame lies behind all."""
    count, size = 600, 100_000

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for i in range(count):
            peer.sock.sendall(frame(BINARY, b"%d " % i + b"x" * size))
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = await aio.connect(server.url, compression=None)
        before = -1
        while connection.stats().bytes_received != before:  # until nothing comes any more
            before = connection.stats().bytes_received
            await asyncio.sleep(0.1)
        assert 2**24 < before < count * size / 2
        received = 0
        async for message in connection:
            assert isinstance(message, bytes)
            assert message.startswith(b"%d " % received)
            received += 1
        assert received == count


# ---------------------------------------------------------------------------------------------- pings


@on_each_loop
async def test_pings_are_answered_while_nobody_receives() -> None:
    seen = queue.Queue[tuple[bool, int, bytes]]()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for i in range(3):
            peer.sock.sendall(frame(TEXT, b"%d" % i) + frame(PING, b"you?"))
            seen.put(peer.read_frame())
        agreeing_rest(peer)

    with RawServer(serve) as server:
        async with aio.connect(server.url) as connection:
            while seen.qsize() < 3:
                await asyncio.sleep(0.001)
            assert [await connection.recv(0) for _ in range(3)] == ["0", "1", "2"]
    assert {seen.get_nowait() for _ in range(3)} == {(True, PONG, b"you?")}


@pytest.mark.parametrize("data", [None, "hello", b"x" * 125, b""])
@on_each_loop
async def test_a_ping_comes_back(websockets_echo: Echo, data: Any) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        assert connection.latency == 0
        round_trip = await connection.ping(data)
        assert connection.latency == round_trip > 0
        for send in (connection.ping, connection.pong):
            with pytest.raises(ValueError):
                await send(b"x" * 126)


@on_each_loop
async def test_a_ping_that_does_not_come_back() -> None:
    with RawServer(agreeing) as server:
        async with aio.connect(server.url, ping_timeout=0.1) as connection:
            for wait in (connection.ping(), connection.flush(), connection.flush(timeout=0.01)):
                with pytest.raises(PingTimeoutError):
                    await wait
            assert connection.state is State.OPEN


@on_each_loop
async def test_pings_at_once(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url) as connection:
        times = await asyncio.gather(*(connection.ping(f"{i}") for i in range(20)), connection.flush())
        assert all(time is None or time > 0 for time in times)
        assert connection.stats().pongs_received == 21


def mute(peer: Peer) -> None:
    """A server that reads everything and answers nothing."""
    peer.upgrade()
    peer.wait_gone()


@on_each_loop
async def test_a_silent_peer_is_pinged_and_given_up() -> None:
    with RawServer(mute) as server:
        connection = await aio.connect(server.url, ping_interval=0.1, ping_timeout=0.1)
        waits = [connection.recv(), connection.ping(timeout=DEADLINE), connection.flush(DEADLINE)]
        for ended in await asyncio.gather(*waits, return_exceptions=True):
            assert isinstance(ended, ConnectionClosedError)
            assert isinstance(ended.__cause__, PingTimeoutError)


@on_each_loop
async def test_a_loop_that_was_busy_does_not_cost_the_connection(websockets_echo: Echo) -> None:
    async with aio.connect(websockets_echo.url, ping_interval=0.1, ping_timeout=0.1) as connection:
        while connection.stats().pongs_received < 2:
            await asyncio.sleep(0.01)
            if connection.stats().pongs_received == 1:
                time.sleep(0.5)  # the program's work
        await connection.send("still there")
        assert await connection.recv(DEADLINE) == "still there"


# ---------------------------------------------------------------------------------------------- closing


@on_each_loop
async def test_a_close_by_us(websockets_echo: Echo) -> None:
    connection = await aio.connect(websockets_echo.url)
    with pytest.raises(ValueError):
        await connection.close(1006)
    assert connection.state is State.OPEN
    receiver = asyncio.create_task(connection.recv())
    await asyncio.sleep(0)
    await connection.close(3001, "grüße")
    assert connection.close_info == CloseInfo("local", 3001, "grüße", True)
    with pytest.raises(ConnectionClosedError, match=r"sent 3001.*then received 3001"):
        await receiver
    await connection.close()
    for method in (connection.recv, connection.ping, connection.flush, lambda: connection.send("too late")):
        with pytest.raises(ConnectionClosedError):
            await method()  # type: ignore[operator]
    assert connection.fileno() == -1
    assert repr(connection) == f"<wsclient.AsyncConnection #{connection.id} CLOSED to None>"


@on_each_loop
async def test_a_close_by_the_peer() -> None:
    with RawServer(sending(frame(TEXT, b"last"), close_frame(1001, "bye"))) as server:
        connection = await aio.connect(server.url)
        assert await connection.wait_closed(DEADLINE)
        assert await connection.recv() == "last"
        with pytest.raises(ConnectionClosedOK, match=r"received 1001 .*bye; then sent 1001"):
            await connection.recv()
        with pytest.raises(ConnectionClosedOK):
            connection.send_nowait("too late")
        assert [message async for message in connection] == []


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
@on_each_loop
async def test_a_peer_that_vanishes_is_an_error(reset: bool) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"before") + b"\x82\x05he")
        assert peer.read_frame()[1] == TEXT
        if reset:
            peer.reset()

    with RawServer(serve) as server:
        async with aio.connect(server.url) as connection:
            assert await connection.recv(DEADLINE) == "before"
            await connection.send("now go")
            with pytest.raises(ConnectionClosedError) as closed:
                await connection.recv(DEADLINE)
    assert isinstance(closed.value.__cause__, ConnectionResetError if reset else EOFError)
    assert connection.close_info == CloseInfo(None, 1006, "", False)


@on_each_loop
async def test_a_block_that_raises_closes_with_1011() -> None:
    seen = queue.Queue[int]()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        code, reason = peer.read_close()
        seen.put(code)
        peer.sock.sendall(close_frame(code, reason))

    with RawServer(serve) as server, pytest.raises(LookupError):
        async with await aio.connect(server.url):
            raise LookupError
    assert seen.get_nowait() == 1011


@pytest.mark.parametrize("chatty", [False, True])
@on_each_loop
async def test_a_close_that_is_not_answered_ends_by_its_deadline(chatty: bool) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        if chatty:
            with pytest.raises(OSError):
                while True:
                    peer.sock.sendall(frame(TEXT, b"x" * 1000))
        else:
            peer.wait_gone()

    with RawServer(serve) as server:
        async with aio.connect(server.url, close_timeout=0.2) as connection:
            pass
        assert connection.close_info == CloseInfo("local", 1006, "", False)


@on_each_loop
async def test_a_close_has_its_own_timeout() -> None:
    with RawServer(sending()) as server:
        connection = await aio.connect(server.url, close_timeout=None)
        assert not await connection.wait_closed(0.01)
        await connection.close(timeout=0.1)
        assert connection.state is State.CLOSED


@on_each_loop
async def test_abort_breaks_off() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.read_frame()

    with RawServer(serve) as server:
        connection = await aio.connect(server.url)
        receiver = asyncio.create_task(connection.recv())
        await asyncio.sleep(0)
        connection.abort()
        assert connection.close_info
        assert (connection.close_info.code, connection.close_info.clean) == (1006, False)
        with pytest.raises(ConnectionClosedError):
            await receiver
        connection.abort()
        await connection.close()


@on_each_loop
async def test_an_empty_close_frame_is_clean() -> None:
    with RawServer(sending(frame(CLOSE))) as server:
        async with aio.connect(server.url) as connection:
            assert [message async for message in connection] == []
            assert connection.close_info == CloseInfo("remote", 1005, "", True)
