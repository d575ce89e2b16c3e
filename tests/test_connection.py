"""connect() and Connection: against echo servers of other makes, and against servers that misbehave."""

import dataclasses
import errno
import gc
import queue
import signal
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, TypedDict

import pytest

import wsclient
from conftest import Echo
from raw_server import BINARY, CLOSE, DEADLINE, PING, PONG, TEXT, Peer, RawServer, close_frame, frame, unused_port
from wsclient import (
    CloseInfo,
    ConcurrencyError,
    ConnectError,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidData,
    InvalidHeader,
    InvalidMessage,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    NegotiationError,
    OpenTimeoutError,
    PayloadTooBig,
    PingTimeoutError,
    ProtocolError,
    ReceiveTimeoutError,
    ResolveError,
    SecurityError,
    State,
    TooManyFragments,
    WriteTimeoutError,
)


@pytest.fixture(params=["websockets_echo", "aiohttp_echo"])
def echo(request: pytest.FixtureRequest) -> Echo:
    """Each of the echo servers."""
    server: Echo = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def connection(websockets_echo: Echo) -> Iterator[wsclient.Connection]:
    """A connection to an echo server."""
    with wsclient.connect(websockets_echo.url) as connection:
        yield connection


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
    code, reason = peer.read_close()
    peer.sock.sendall(close_frame(code, reason))


# ---------------------------------------------------------------------------------------------- opening


def test_a_refused_port_is_named() -> None:
    port = unused_port()
    with pytest.raises(ConnectError, match=rf"127\.0\.0\.1.*{port}") as refused:
        wsclient.connect(f"ws://127.0.0.1:{port}/")
    assert refused.value.errno == errno.ECONNREFUSED


def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(ResolveError, match=r"nosuch\.invalid"):
        wsclient.connect("ws://nosuch.invalid/", open_timeout=30)


def test_a_filtered_port_ends_by_the_deadline() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:  # they fill the queue; what comes then is dropped
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        try:
            with pytest.raises(OpenTimeoutError):
                wsclient.connect(f"ws://127.0.0.1:{listener.getsockname()[1]}/", open_timeout=0.3)
        finally:
            for sock in waiting:
                sock.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:9999",
        "http://127.0.0.1/",
        "ws://",
        "ws:///path",
        "ws://127.0.0.1:99999/",
        "ws://127.0.0.1:x/",
        "ws://us:er%3A:secret@127.0.0.1:x/",
        "ws://127.0.0.1/#part",
        "ws://127.0.0.1/a b",
        "ws://127.0.0.1/\r\nX-Evil: 1",
        "ws://[::1/",
        "ws://[::é/",
        "ws://127.0.0.1:é/",
        "ws://xn--é.test/",
    ],
)
def test_a_bad_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidURI) as refused:
        wsclient.connect(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("url", [None, b"ws://127.0.0.1/", 7])
def test_a_url_is_a_str(url: Any) -> None:
    with pytest.raises(TypeError, match="url must be str"):
        wsclient.connect(url, additional_headers={"Authorization": "secret"})


@pytest.mark.parametrize(
    "options",
    [
        {"additional_headers": {"X-A": "1\r\nX-Evil: 1"}},
        {"additional_headers": {"X A": "1"}},
        {"additional_headers": {"": "1"}},
        {"additional_headers": {"Sec-WebSocket-Key": "x"}},
        {"additional_headers": {"X-A": "1\0"}},
        {"origin": "a\r\nb"},
        {"user_agent_header": "a\nb"},
        {"subprotocols": ["a b"]},
        {"subprotocols": [""]},
        {"subprotocols": ["a", "a"]},
    ],
    ids=str,
)
def test_what_cannot_stand_in_a_request_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        wsclient.connect("ws://127.0.0.1:1/", **options)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("200 OK", ""),
        ("404 Not Found", ""),
        ("301 Moved", "Location: ws://other/\r\n"),
        ("503 Busy", "Retry-After: 7\r\n"),
    ],
)
def test_a_refusal_shows_the_response(status: str, headers: str) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 5\r\n{headers}\r\nhello".encode())
        peer.wait_gone()

    with RawServer(serve) as server, pytest.raises(InvalidStatus, match=f"HTTP {status[:3]}") as refused:
        wsclient.connect(server.url, max_redirects=0)
    response = refused.value.response
    assert f"{response.status_code} {response.reason_phrase}" == status
    assert response.headers["content-length"] == "5"
    assert response.body == (b"" if "Location" in headers else b"hello")
    assert response.headers.get("Location") == ("ws://other/" if "Location" in headers else None)


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x50", b"HTTP/1.1 1o1 X\r\n\r\n", b"\0" * 100]
)
def test_what_is_no_http_is_said_at_once(answer: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(answer)
        peer.wait_gone()

    with RawServer(serve) as server, pytest.raises(InvalidMessage):
        wsclient.connect(server.url, open_timeout=None)


def test_silence_ends_by_the_deadline() -> None:
    with RawServer(Peer.wait_gone) as server, pytest.raises(OpenTimeoutError):
        wsclient.connect(server.url, open_timeout=0.2)


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgr"])
@pytest.mark.parametrize("how", [lambda peer: None, Peer.reset], ids=["FIN", "RST"])
def test_hanging_up_in_the_handshake_is_said(said: bytes, how: Callable[[Peer], None]) -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(said)
        how(peer)

    with RawServer(serve) as server, pytest.raises(InvalidMessage):
        wsclient.connect(server.url)


@pytest.mark.parametrize("piece", [b"X-More: of the same\r\n", b"x" * 1000])
def test_an_endless_header_is_cut_off(piece: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\n")
        with pytest.raises(OSError):
            while True:
                peer.sock.sendall(piece)

    with RawServer(serve) as server, pytest.raises(SecurityError, match="max_head"):
        wsclient.connect(server.url, max_head=10000)


def without(line: str, *instead: str) -> Callable[[Peer], None]:
    """A server whose answer has other lines in place of one."""

    def serve(peer: Peer) -> None:
        lines = peer.response().decode().split("\r\n")
        (at,) = (i for i, found in enumerate(lines) if found.startswith(line))
        peer.sock.sendall("\r\n".join([*lines[:at], *instead, *lines[at + 1 :]]).encode())
        peer.wait_gone()

    return serve


@pytest.mark.parametrize(
    ("serve", "error", "name", "value"),
    [
        (without("Upgrade"), InvalidUpgrade, "Upgrade", None),
        (without("Upgrade", "Upgrade: h2c"), InvalidUpgrade, "Upgrade", "h2c"),
        (without("Connection", "Connection: close"), InvalidUpgrade, "Connection", "close"),
        (without("Sec-WebSocket-Accept"), InvalidHeader, "Sec-WebSocket-Accept", None),
        (without("Sec-WebSocket-Accept", "Sec-WebSocket-Accept: x"), InvalidHeader, "Sec-WebSocket-Accept", "x"),
    ],
)
def test_a_wrong_answer_is_refused(
    serve: Callable[[Peer], None], error: type[InvalidHeader], name: str, value: str | None
) -> None:
    with RawServer(serve) as server, pytest.raises(error) as refused:
        wsclient.connect(server.url)
    assert (refused.value.name, refused.value.value) == (name, value)


@pytest.mark.parametrize("line", ["Sec-WebSocket-Protocol: other", "Sec-WebSocket-Extensions: x-other"])
def test_what_was_not_offered_is_refused(line: str) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade(line)
        peer.wait_gone()

    with RawServer(serve) as server, pytest.raises(NegotiationError):
        wsclient.connect(server.url, subprotocols=["mine"])


def test_an_answer_may_come_byte_by_byte_and_with_a_message_behind() -> None:
    def serve(peer: Peer) -> None:
        for byte in peer.response() + frame(TEXT, "grüße".encode()):
            peer.sock.sendall(bytes([byte]))
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server, wsclient.connect(server.url) as connection:
        assert list(connection) == ["grüße"]


def test_the_request_says_what_was_asked_for() -> None:
    def serve(peer: Peer) -> None:
        assert peer.header("Host") == f"127.0.0.1:{server.port}"
        assert peer.header("Origin") == "http://example.com"
        assert peer.header("Sec-WebSocket-Protocol") == "a, b"
        assert peer.header("User-Agent") == "me/1"
        assert peer.header("Authorization") == "Bearer token"
        assert peer.header("X-Grüße".encode().decode("latin-1")) is None
        assert peer.head.startswith(b"GET /chat?room=1 HTTP/1.1\r\n")
        assert peer.head.count(b"X-Twice: ") == 2
        peer.upgrade("Sec-WebSocket-Protocol: b")
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(
            server.url + "chat?room=1",
            additional_headers=[("Authorization", "Bearer token"), ("X-Twice", "1"), ("X-Twice", "2")],
            origin="http://example.com",
            subprotocols=["a", "b"],
            user_agent_header="me/1",
        )
        assert connection.subprotocol == "b"
        assert connection.request.path == "/chat?room=1"
        assert connection.request.headers.get_all("x-twice") == ["1", "2"]
        assert (connection.response.status_code, connection.response.headers["upgrade"]) == (101, "websocket")
        connection.abort()


@pytest.mark.parametrize(("option", "sent"), [({}, True), ({"user_agent_header": None}, False)])
def test_the_user_agent(option: dict[str, Any], sent: bool) -> None:
    with RawServer(agreeing) as server, wsclient.connect(server.url, **option) as connection:
        found = connection.request.headers.get("User-Agent")
    if sent:
        assert found
        assert found.startswith("Python/3.")
        assert found.endswith(f" wsclient/{wsclient.__version__}")
    else:
        assert found is None


# ---------------------------------------------------------------------------------------------- a peer that errs


@pytest.mark.parametrize(
    ("pieces", "cause", "code"),
    [
        ([frame(TEXT, b"hi", masked=True)], ProtocolError, 1002),
        ([frame(TEXT, b"hi", rsv=4)], ProtocolError, 1002),
        ([frame(TEXT, b"hi", rsv=1)], ProtocolError, 1002),
        ([frame(3, b"hi")], ProtocolError, 1002),
        ([frame(11)], ProtocolError, 1002),
        ([frame(PING, b"x", fin=False)], ProtocolError, 1002),
        ([frame(PING, b"x" * 126)], ProtocolError, 1002),
        ([b"\x82\x7f\xff" + b"\xff" * 7], ProtocolError, 1002),
        ([b"\x82\x7e\x00\x05hello"], ProtocolError, 1002),
        ([frame(0, b"x")], ProtocolError, 1002),
        ([frame(TEXT, b"a", fin=False), frame(TEXT, b"b")], ProtocolError, 1002),
        ([frame(CLOSE, b"x")], ProtocolError, 1002),
        ([close_frame(1005)], ProtocolError, 1002),
        ([close_frame(999)], ProtocolError, 1002),
        ([frame(CLOSE, b"\x03\xe8\xff")], InvalidData, 1007),
        ([frame(TEXT, b"\xff")], InvalidData, 1007),
        ([frame(TEXT, b"\xc3")], InvalidData, 1007),
        ([frame(TEXT, b"\xc3", fin=False), frame(0, b"x", fin=False)], InvalidData, 1007),
        ([frame(BINARY, b"x" * 101)], PayloadTooBig, 1009),
        ([frame(BINARY, b"x" * 60, fin=False), frame(0, b"x" * 60)], PayloadTooBig, 1009),
        ([frame(BINARY, b"", fin=False)] + [frame(0, b"", fin=False)] * 10, TooManyFragments, None),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else None,
)
def test_a_broken_protocol_ends_the_connection(pieces: list[bytes], cause: type[Exception], code: int | None) -> None:
    seen: list[int] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"before") + b"".join(pieces))
        seen.append(peer.read_close()[0])
        peer.wait_gone()

    with RawServer(serve) as server, wsclient.connect(server.url, max_size=100, max_fragments=10) as connection:
        assert connection.recv(DEADLINE) == "before"
        with pytest.raises(ConnectionClosedError) as closed:
            connection.recv(DEADLINE)
    assert type(closed.value.__cause__) is cause
    assert closed.value.sent
    assert seen == [closed.value.sent.code]
    assert code in {None, *seen}
    assert connection.close_info
    assert not connection.close_info.clean
    if isinstance(closed.value.__cause__, PayloadTooBig):
        assert closed.value.__cause__.max_size == 100


@pytest.mark.parametrize("rest", [b"", b"\x82", b"\x82\x05he", frame(BINARY, b"x", fin=False)])
@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_a_peer_that_vanishes_is_an_error(rest: bytes, reset: bool) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"before") + rest)
        assert peer.read_frame()[1] == TEXT
        if reset:
            peer.reset()

    with RawServer(serve) as server, wsclient.connect(server.url) as connection:
        assert connection.recv(DEADLINE) == "before"
        connection.send("now go")
        with pytest.raises(ConnectionClosedError) as closed:
            connection.recv(DEADLINE)
        assert (closed.value.rcvd, closed.value.sent, closed.value.code) == (None, None, 1006)
        assert isinstance(closed.value.__cause__, ConnectionResetError if reset else EOFError)
        assert connection.close_info == CloseInfo(None, 1006, "", False)
        with pytest.raises(ConnectionClosedError):
            connection.send("too late")
        with pytest.raises(ConnectionClosedError):
            list(connection)


def test_who_sends_to_a_peer_that_vanished_learns_why() -> None:
    gone = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"before"))
        peer.reset()
        gone.set()

    with RawServer(serve) as server, wsclient.connect(server.url) as connection:
        assert gone.wait(DEADLINE)
        for _ in range(2):
            with pytest.raises(ConnectionClosedError, match="lost: ") as closed:
                connection.send("too late")
            assert isinstance(closed.value.__cause__, ConnectionError)
        assert connection.recv(DEADLINE) == "before"  # it was said all the same
        with pytest.raises(ConnectionClosedError):
            connection.recv(DEADLINE)
        assert connection.state is State.CLOSED


# ---------------------------------------------------------------------------------------------- sending


def sent_frames(send: Callable[[wsclient.Connection], object], count: int) -> list[tuple[bool, int, bytes]]:
    """The frames that a send makes."""
    seen: list[tuple[bool, int, bytes]] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        seen.extend(peer.read_frame() for _ in range(count))
        code, reason = peer.read_close()
        peer.sock.sendall(close_frame(code, reason))

    with RawServer(serve) as server, wsclient.connect(server.url) as connection:
        send(connection)
    return seen


@pytest.mark.parametrize(
    ("data", "text", "opcode", "payload"),
    [
        ("grüße", None, TEXT, "grüße".encode()),
        ("grüße", True, TEXT, "grüße".encode()),
        ("grüße", False, BINARY, "grüße".encode()),
        (b"\xff", None, BINARY, b"\xff"),
        (b"ok", True, TEXT, b"ok"),
        (bytearray(b"abc"), None, BINARY, b"abc"),
        (memoryview(b"abcdef")[1:3], None, BINARY, b"bc"),
        ("", None, TEXT, b""),
        (b"", None, BINARY, b""),
    ],
)
def test_a_message_is_sent_as_what_it_is(data: Any, text: bool | None, opcode: int, payload: bytes) -> None:
    assert sent_frames(lambda connection: connection.send(data, text=text), 1) == [(True, opcode, payload)]


@pytest.mark.parametrize(
    ("parts", "text", "frames"),
    [
        (["a", "bc"], None, [(False, TEXT, b"a"), (False, 0, b"bc"), (True, 0, b"")]),
        ([b"a", bytearray(b"b")], None, [(False, BINARY, b"a"), (False, 0, b"b"), (True, 0, b"")]),
        ([b"a"], True, [(False, TEXT, b"a"), (True, 0, b"")]),
        (["a"], False, [(False, BINARY, b"a"), (True, 0, b"")]),
        ([], None, []),
    ],
)
def test_an_iterable_is_one_message(parts: list[Any], text: bool | None, frames: list[tuple[bool, int, bytes]]) -> None:
    assert sent_frames(lambda connection: connection.send(iter(parts), text=text), len(frames)) == frames


def test_a_fragment_is_sent_as_it_comes() -> None:
    arrived = queue.Queue[bytes]()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for _ in range(2):
            arrived.put(peer.read_frame()[2])
        agreeing_rest(peer)

    def parts() -> Iterator[str]:
        yield "first"
        assert arrived.get(timeout=DEADLINE) == b"first"
        yield "second"
        assert arrived.get(timeout=DEADLINE) == b"second"

    with RawServer(serve) as server, wsclient.connect(server.url) as connection:
        connection.send(parts())


def agreeing_rest(peer: Peer) -> None:
    """Read on until the close frame, and answer it."""
    code, reason = peer.read_close()
    peer.sock.sendall(close_frame(code, reason))


@pytest.mark.parametrize("data", [None, 7, 1.5, {"a": "b"}, [1], ["a", b"b"], [b"a", "b"], ["a", None]], ids=repr)
def test_what_is_no_message_is_refused(connection: wsclient.Connection, data: Any) -> None:
    with pytest.raises(TypeError):
        connection.send(data)


@pytest.mark.parametrize("bad", ["a\ud800", (b"\xff", True)], ids=repr)
def test_text_that_is_no_utf8_is_refused_and_harms_nothing(connection: wsclient.Connection, bad: Any) -> None:
    data, text = bad if isinstance(bad, tuple) else (bad, None)
    with pytest.raises(ValueError):
        connection.send(data, text=text)
    connection.send("fine")
    assert connection.recv(DEADLINE) == "fine"


def test_an_iterable_that_raises_closes_with_1011() -> None:
    def parts() -> Iterator[str]:
        yield "first"
        raise LookupError("no more")

    seen: list[int] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        code, reason = peer.read_close()
        seen.append(code)
        peer.sock.sendall(close_frame(code, reason))

    with RawServer(serve) as server, wsclient.connect(server.url) as connection:
        with pytest.raises(LookupError):
            connection.send(parts())
        assert connection.state is State.CLOSED
    assert seen == [1011]


def test_an_iterable_that_raises_at_once_harms_nothing(connection: wsclient.Connection) -> None:
    def parts() -> Iterator[str]:
        raise LookupError
        yield ""

    with pytest.raises(LookupError):
        connection.send(parts())
    connection.send("fine")
    assert connection.recv(DEADLINE) == "fine"


def test_two_fragmented_messages_at_once_are_refused(connection: wsclient.Connection) -> None:
    def parts() -> Iterator[str]:
        yield "a"
        with pytest.raises(ConcurrencyError):
            connection.send(iter(["b"]))
        yield "c"

    connection.send(parts())
    assert connection.recv(DEADLINE) == "ac"


def test_threads_may_send_at_once(echo: Echo) -> None:
    count, size = 100, 3000
    with wsclient.connect(echo.url) as connection:

        def send(letter: str) -> None:
            for i in range(count):
                connection.send(f"{letter}{i} " + letter * size)

        threads = [threading.Thread(target=send, args=(letter,)) for letter in "abc"]
        for thread in threads:
            thread.start()
        received = [connection.recv(DEADLINE) for _ in range(count * len(threads))]
        for thread in threads:
            thread.join(DEADLINE)
    for letter in "abc":
        mine = [text for text in received if str(text)[0] == letter]
        assert mine == [f"{letter}{i} " + letter * size for i in range(count)]


def test_another_thread_may_send_while_one_receives(connection: wsclient.Connection) -> None:
    received = queue.Queue[str | bytes]()
    receiver = threading.Thread(target=lambda: received.put(connection.recv(DEADLINE)))
    receiver.start()
    connection.send("hello")
    assert received.get(timeout=DEADLINE) == "hello"
    receiver.join(DEADLINE)


def test_a_peer_that_reads_nothing_does_not_block_for_ever() -> None:
    done = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        done.wait(DEADLINE)

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, write_timeout=0.2, close_timeout=0.2)
        with pytest.raises((WriteTimeoutError, ConnectionClosedError)) as failed:
            for _ in range(1000):
                connection.send(b"x" * 100_000)
        assert isinstance(failed.value, WriteTimeoutError) or isinstance(failed.value.__cause__, WriteTimeoutError)
        connection.close()
        done.set()


def test_many_are_sent_in_order(echo: Echo) -> None:
    items: list[str | bytes] = [f"{i}" if i % 2 else f"{i}".encode() for i in range(500)]
    with wsclient.connect(echo.url) as connection:
        connection.send_many(iter(items))
        assert [connection.recv(DEADLINE) for _ in items] == items
        connection.send_many([])
        with pytest.raises(TypeError):
            connection.send_many(["fine", None])  # type: ignore[list-item]
        assert connection.recv(DEADLINE) == "fine"


# ---------------------------------------------------------------------------------------------- receiving


def test_a_receive_that_times_out_loses_nothing(connection: wsclient.Connection) -> None:
    for timeout in (0, 0.01):
        with pytest.raises(ReceiveTimeoutError):
            connection.recv(timeout)
    with pytest.raises(ReceiveTimeoutError):
        connection.recv_many(timeout=0)
    connection.send("still here")
    assert connection.recv(DEADLINE) == "still here"


@pytest.mark.parametrize("timeout", ["1", float("nan")])
def test_a_timeout_is_a_number(connection: wsclient.Connection, timeout: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        connection.recv(timeout)


@pytest.mark.parametrize("data", ["grüße", "grüße".encode()])
def test_decode_says_what_comes_out(connection: wsclient.Connection, data: str | bytes) -> None:
    connection.send_many([data, data])
    assert connection.recv(DEADLINE, decode=True) == "grüße"
    assert connection.recv(DEADLINE, False) == "grüße".encode()


def test_binary_that_is_no_text_cannot_be_decoded(connection: wsclient.Connection) -> None:
    connection.send_many([b"\xff", "next"])
    with pytest.raises(UnicodeDecodeError):
        connection.recv(DEADLINE, decode=True)
    assert connection.recv(DEADLINE) == "next"


def test_many_are_received_at_once() -> None:
    with RawServer(sending(b"".join(frame(TEXT, b"%d" % i) for i in range(10)))) as server:
        connection = wsclient.connect(server.url)
        received: list[str | bytes] = []
        while len(received) < 4:
            received += connection.recv_many(4 - len(received), DEADLINE)
        assert received == ["0", "1", "2", "3"]
        while len(received) < 10:
            received += connection.recv_many(timeout=DEADLINE)
        assert received == [str(i) for i in range(10)]
        with pytest.raises(ValueError):
            connection.recv_many(0)
        connection.abort()


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Line(TypedDict):
    points: list[Point]


def test_json_is_received_as_a_type(connection: wsclient.Connection) -> None:
    pytest.importorskip("msgspec")  # there is none for every Python
    connection.send_many(['{"x":1,"y":2.5}', b'{"points":[{"x":1,"y":2}]}', "[1,2]", '{"x":"no"}', "no json", "after"])
    assert connection.recv_as(Point, DEADLINE) == Point(1, 2.5)
    assert connection.recv_as(Line, DEADLINE) == {"points": [Point(1, 2.0)]}
    assert connection.recv_as(list[int], timeout=DEADLINE) == [1, 2]
    for _ in range(2):
        with pytest.raises(ValueError):
            connection.recv_as(Point, DEADLINE)
    assert connection.recv(DEADLINE) == "after"


def test_two_threads_cannot_receive(connection: wsclient.Connection) -> None:
    inside = threading.Event()
    raised: list[BaseException] = []
    ended: list[BaseException] = []

    def receive() -> None:
        inside.set()
        try:
            connection.recv(DEADLINE)
        except BaseException as error:
            ended.append(error)

    thread = threading.Thread(target=receive)
    thread.start()
    inside.wait(DEADLINE)
    while not raised:
        try:
            connection.recv(0)
        except ReceiveTimeoutError:
            continue  # it has not begun yet
        except ConcurrencyError as error:
            raised.append(error)
    connection.send("for the first")
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert ended == [] or isinstance(ended[0], ConcurrencyError)


def test_waiting_costs_nothing(connection: wsclient.Connection) -> None:
    def wait() -> None:
        assert not connection.wait_closed(0.5)

    before = time.process_time()
    other = threading.Thread(target=wait)
    other.start()
    with pytest.raises(ReceiveTimeoutError):
        connection.recv(0.5)
    other.join(DEADLINE)
    assert time.process_time() - before < 0.25  # neither spins, alone or by waking the other


class Rung(Exception):
    """What the signal handler raises."""


def test_a_signal_ends_the_wait_and_nothing_else(connection: wsclient.Connection) -> None:
    def ring(number: int, where: FrameType | None) -> None:
        raise Rung

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        with pytest.raises(Rung):
            connection.recv(DEADLINE)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    connection.send("still usable")
    assert connection.recv(DEADLINE) == "still usable"


def test_a_handler_that_raises_nothing_does_not_end_the_wait(connection: wsclient.Connection) -> None:
    rung: list[int] = []

    def ring(number: int, where: FrameType | None) -> None:
        rung.append(number)
        connection.send("from the handler")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        assert connection.recv(DEADLINE) == "from the handler"
    finally:
        signal.signal(signal.SIGALRM, before)
    assert rung == [signal.SIGALRM]


def test_pings_between_fragments_are_answered() -> None:
    seen: list[tuple[bool, int, bytes]] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"gr\xc3", fin=False) + frame(PING, b"you?") + frame(0, b"\xbc\xc3\x9fe"))
        seen.append(peer.read_frame())
        agreeing_rest(peer)

    with RawServer(serve) as server, wsclient.connect(server.url) as connection:
        assert connection.recv(DEADLINE) == "grüße"
    assert seen == [(True, PONG, b"you?")]


# ---------------------------------------------------------------------------------------------- pings


@pytest.mark.parametrize("data", [None, "hello", b"x" * 125, bytearray(b"y"), b""])
def test_a_ping_comes_back(connection: wsclient.Connection, data: Any) -> None:
    assert connection.latency == 0
    round_trip = connection.ping(data)
    assert round_trip > 0
    assert connection.latency == round_trip


def test_a_ping_that_does_not_come_back() -> None:
    with RawServer(agreeing) as server, wsclient.connect(server.url, ping_timeout=0.1) as connection:
        with pytest.raises(PingTimeoutError):
            connection.ping()
        with pytest.raises(PingTimeoutError):
            connection.flush()
        with pytest.raises(PingTimeoutError):
            connection.flush(timeout=0.01)
        assert connection.state is State.OPEN


def test_control_data_has_a_limit(connection: wsclient.Connection) -> None:
    with pytest.raises(ValueError):
        connection.ping(b"x" * 126)
    with pytest.raises(ValueError):
        connection.pong(b"x" * 126)


def test_a_pong_may_be_sent_unasked() -> None:
    assert sent_frames(lambda connection: (connection.pong(), connection.pong("still here")), 2) == [
        (True, PONG, b""),
        (True, PONG, b"still here"),
    ]


def test_what_comes_during_a_flush_is_kept(connection: wsclient.Connection) -> None:
    connection.send_many(["one", "two"])
    connection.flush()
    assert [connection.recv(DEADLINE), connection.recv(DEADLINE)] == ["one", "two"]


# ---------------------------------------------------------------------------------------------- closing


def test_a_close_by_us(connection: wsclient.Connection) -> None:
    assert (connection.state, connection.close_info, connection.close_code) == (State.OPEN, None, None)
    connection.close(3001, "grüße")
    assert connection.state is State.CLOSED
    assert connection.close_info == CloseInfo("local", 3001, "grüße", True)
    assert (connection.close_code, connection.close_reason) == (3001, "grüße")
    connection.close()
    assert connection.close_code == 3001
    with pytest.raises(ConnectionClosedError, match=r"sent 3001.*then received 3001"):
        connection.recv()


def test_a_close_by_the_peer() -> None:
    with RawServer(sending(frame(TEXT, b"last"), close_frame(1001, "bye"))) as server:
        connection = wsclient.connect(server.url)
        assert connection.recv(DEADLINE) == "last"
        with pytest.raises(ConnectionClosedOK, match=r"received 1001 .*bye; then sent 1001"):
            connection.recv(DEADLINE)
        assert connection.close_info == CloseInfo("remote", 1001, "bye", True)
        with pytest.raises(ConnectionClosedOK):
            connection.send("too late")
        with pytest.raises(ConnectionClosedOK):
            connection.ping()


def test_an_empty_close_frame_is_clean() -> None:
    with RawServer(sending(frame(CLOSE))) as server, wsclient.connect(server.url) as connection:
        assert list(connection) == []
        assert connection.close_info == CloseInfo("remote", 1005, "", True)


def test_what_arrived_before_the_close_can_be_received() -> None:
    with RawServer(sending(frame(TEXT, b"one") + frame(BINARY, b"two") + close_frame(1000))) as server:
        connection = wsclient.connect(server.url)
        assert connection.wait_closed(DEADLINE)
        assert list(connection) == ["one", b"two"]


def test_iteration_ends_by_an_error_on_another_close() -> None:
    with RawServer(sending(frame(TEXT, b"one"), close_frame(1011, "broken"))) as server:
        connection = wsclient.connect(server.url)
        messages = iter(connection)
        assert next(messages) == "one"
        with pytest.raises(ConnectionClosedError, match=r"1011 .*broken"):
            next(messages)


def test_a_block_closes_with_1000_or_1011() -> None:
    for error, expected in ((None, 1000), (LookupError("x"), 1011)):
        seen: list[int] = []

        def serve(peer: Peer, seen: list[int] = seen) -> None:
            peer.upgrade()
            code, reason = peer.read_close()
            seen.append(code)
            peer.sock.sendall(close_frame(code, reason))

        def use(server: RawServer, error: Exception | None = error) -> None:
            with wsclient.connect(server.url):
                if error:
                    raise error

        with RawServer(serve) as server:
            if error:
                with pytest.raises(LookupError):
                    use(server)
            else:
                use(server)
        assert seen == [expected]


@pytest.mark.parametrize("chatty", [False, True])
def test_a_close_that_is_not_answered_ends_by_its_deadline(chatty: bool) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        if chatty:
            with pytest.raises(OSError):
                while True:
                    peer.sock.sendall(frame(TEXT, b"x" * 1000))
        else:
            peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, close_timeout=0.2)
        connection.close()
        assert connection.state is State.CLOSED
        assert connection.close_info == CloseInfo("local", 1006, "", False)


def test_a_close_has_its_own_timeout() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.wait_gone()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url, close_timeout=None)
        connection.close(timeout=0.1)
        assert connection.state is State.CLOSED


@pytest.mark.parametrize(
    ("code", "reason"),
    [(0, ""), (999, ""), (1006, ""), (1015, ""), (5000, ""), (70000, ""), (-1, ""), (1000, "x" * 124)],
)
def test_what_may_not_stand_in_a_close_frame_is_refused(
    connection: wsclient.Connection, code: int, reason: str
) -> None:
    with pytest.raises(ValueError):
        connection.close(code, reason)
    assert connection.state is State.OPEN


def test_abort_breaks_off() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        with pytest.raises((EOFError, ConnectionResetError)):
            peer.read_frame()

    with RawServer(serve) as server:
        connection = wsclient.connect(server.url)
        connection.abort()
        assert connection.state is State.CLOSED
        assert connection.close_info
        assert (connection.close_info.code, connection.close_info.clean) == (1006, False)
        with pytest.raises(ConnectionClosedError):
            connection.recv()
        connection.abort()
        connection.close()


@pytest.mark.parametrize("how", [wsclient.Connection.abort, wsclient.Connection.close])
def test_another_thread_ends_a_receive(
    connection: wsclient.Connection, how: Callable[[wsclient.Connection], None]
) -> None:
    ended = queue.Queue[BaseException]()

    def receive() -> None:
        try:
            connection.recv()
        except wsclient.ConnectionClosed as error:
            ended.put(error)

    receiver = threading.Thread(target=receive)
    receiver.start()
    how(connection)
    assert isinstance(ended.get(timeout=DEADLINE), wsclient.ConnectionClosed)
    receiver.join(DEADLINE)


def test_wait_closed_says_whether(connection: wsclient.Connection) -> None:
    assert not connection.wait_closed(0.01)
    connection.close()
    assert connection.wait_closed()


# ---------------------------------------------------------------------------------------------- looking


def test_what_can_be_seen(connection: wsclient.Connection, websockets_echo: Echo) -> None:
    assert connection.remote_address == ("127.0.0.1", websockets_echo.port)
    assert connection.local_address
    assert connection.local_address[0] == "127.0.0.1"
    assert connection.subprotocol is None
    assert connection.fileno() > 2
    assert "OPEN" in repr(connection)
    before = connection.stats()
    connection.send("hello")
    connection.recv(DEADLINE)
    connection.ping()
    after = connection.stats()
    assert (before.messages_sent, before.messages_received) == (0, 0)
    assert (after.messages_sent, after.messages_received, after.pongs_received) == (1, 1, 1)
    assert after.bytes_received == before.bytes_received + 2 + 5 + 2 + 4
    assert after.bytes_sent == before.bytes_sent + 6 + 5 + 6 + 4
    assert after.latency == connection.latency > 0
    connection.close()
    assert connection.fileno() == -1
    assert "CLOSED" in repr(connection)


def test_a_forgotten_connection_is_closed(websockets_echo: Echo) -> None:
    connection = wsclient.connect(websockets_echo.url)
    gone = weakref.ref(connection)
    del connection
    gc.collect()
    assert gone() is None  # and the fixture sees that no socket is left
