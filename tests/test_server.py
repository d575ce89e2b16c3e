"""The chat server's program, seen by clients not written here: the websockets package and raw sockets."""

import asyncio
import json
import re
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import pytest
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

DEADLINE = 20.0
NO_BROADCAST, SEND_BACK, CHANGE_USERNAME = 1, 2, 4
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MIB = 1024 * 1024


class Server:
    """A running ws_server on a free port; its log goes to a file."""

    def __init__(self, program: Path, log: Path, *options: str, max_files: int | None = None) -> None:
        """Start it and wait for its line."""

        def limit_files() -> None:
            if max_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (max_files, max_files))

        self.log = log
        with log.open("wb") as err:
            self.process = subprocess.Popen(
                [program, "--port", "0", *options],
                stdout=subprocess.PIPE,
                stderr=err,
                text=True,
                preexec_fn=limit_files,
            )
        self.line = _stdout(self.process).readline()
        found = re.fullmatch(r"ws_server listening on (wss?://127\.0\.0\.1:(\d+)/)\n", self.line)
        assert found, f"unexpected first line {self.line!r}"
        self.url, self.port = found[1], int(found[2])

    def logged(self) -> str:
        """What it has logged so far."""
        return self.log.read_text()

    def wait_for_log(self, text: str, times: int = 1) -> None:
        """Wait until the log contains the text."""
        until = time.monotonic() + DEADLINE
        while self.logged().count(text) < times:
            assert self.process.poll() is None, f"it has ended:\n{self.logged()}"
            assert time.monotonic() < until, f"no {text!r} in:\n{self.logged()}"
            time.sleep(0.01)

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it as its user would, and see that all is well."""
        self.process.send_signal(number)
        try:
            status = self.process.wait(DEADLINE)
            rest = _stdout(self.process).read()
        finally:
            self.process.kill()
            _stdout(self.process).close()
        assert status == 0, self.logged()
        assert rest == ""


def _stdout(process: "subprocess.Popen[str]") -> IO[str]:
    assert process.stdout is not None
    return process.stdout


@pytest.fixture
def start(ws_server: Path, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Start servers; those that still run are ended."""
    started: list[Server] = []

    def start_one(*options: str, max_files: int | None = None) -> Server:
        started.append(Server(ws_server, tmp_path / f"log{len(started)}", *options, max_files=max_files))
        return started[-1]

    yield start_one
    for one in started:
        if one.process.poll() is None:
            one.end()


@pytest.fixture
def server(start: Callable[..., Server]) -> Server:
    """A server with its defaults."""
    return start()


def envelope(text: str, info: int = 0, name: str = "?") -> str:
    """What a client sends."""
    message = {"text": text, "text_len": len(text.encode()), "info": info}
    return json.dumps({"user": {"name": name}, "message": message})


def sent_on(name: str, text: str) -> dict[str, Any]:
    """What the server makes of it."""
    return {"user": {"name": name}, "message": {"text": text, "text_len": len(text.encode()), "info": 0}}


class Client:
    """One chat client on the websockets package."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def say(self, text: str, info: int = 0, name: str = "?") -> None:
        """Send one envelope."""
        self.connection.send(envelope(text, info, name))

    def hear(self) -> Any:
        """The next message, as parsed JSON."""
        return json.loads(self.connection.recv(timeout=DEADLINE))

    def hears_only(self, *expected: dict[str, Any]) -> None:
        """These messages are all that has come: behind them is what we now send ourselves."""
        self.say("end of what came", NO_BROADCAST | SEND_BACK)
        heard = [self.hear()]
        while heard[-1]["message"]["text"] != "end of what came":
            heard.append(self.hear())
        assert heard[:-1] == list(expected)


@contextmanager
def clients(server: Server, *names: str) -> Iterator[list[Client]]:
    """Clients that have announced these names ("": none)."""
    with ExitStack() as stack:
        found = []
        for name in names:
            found.append(Client(stack.enter_context(connect(server.url, compression=None))))
            if name:
                found[-1].say("", NO_BROADCAST | CHANGE_USERNAME, name)
            found[-1].hears_only()
        yield found


REQUEST = (
    "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Raw:
    """A client that may do everything wrong."""

    def __init__(self, server: Server, *, receive_buffer: int | None = None) -> None:
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE)
        self.socket.connect(("127.0.0.1", server.port))

    def __enter__(self) -> "Raw":
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Bytes, as they are."""
        self.socket.sendall(data)

    def send_until_closed(self, data: bytes) -> None:
        """Bytes that the server need not take to the end."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.send(data)

    def upgrade(self) -> None:
        """The opening handshake."""
        self.send(REQUEST.encode())
        self.read_head()

    def read_head(self) -> None:
        """The server's answer to the request."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
        assert head.startswith(b"HTTP/1.1 101 "), head
        assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head

    def read(self, n: int) -> bytes:
        """Exactly n bytes."""
        data = b""
        while len(data) < n:
            piece = self.socket.recv(n - len(data))
            assert piece, f"the stream ended after {data!r}"
            data += piece
        return data

    def read_to_end(self) -> bytes:
        """All that comes until the server closes."""
        data = b""
        while piece := self.socket.recv(65536):
            data += piece
        return data

    def frame(self) -> tuple[int, bytes]:
        """The next frame: opcode and payload."""
        first, length = self.read(2)
        assert first & 0xF0 == 0x80
        assert length < 127
        return first & 0xF, self.read(length if length < 126 else struct.unpack("!H", self.read(2))[0])

    def close_code(self) -> int:
        """The code of the close frame that comes next and is the last that comes."""
        opcode, payload = self.frame()
        assert opcode == CLOSE
        assert self.read_to_end() == b""
        return int.from_bytes(payload[:2], "big")


def frame(opcode: int, payload: bytes, *, first: int = 0x80, masked: bool = True, length: int | None = None) -> bytes:
    """A frame; `first` holds FIN and the reserved bits, `length` is what the header claims."""
    n = len(payload) if length is None else length
    short = n if n < 126 else 126 if n < 65536 else 127
    head = bytes([first | opcode, short | (0x80 if masked else 0)])
    head += b"" if n < 126 else struct.pack("!H", n) if n < 65536 else struct.pack("!Q", n)
    return head + (bytes(4) if masked else b"") + payload  # a key of zeros: the payload stands as it is


# ---- the chat ----


@pytest.mark.parametrize(
    ("info", "others", "sender"),
    [
        (0, True, False),
        (1, False, False),
        (2, True, True),
        (3, False, True),
        (8, True, False),
        (2**31 - 5, False, True),
    ],
)
def test_the_bits_say_who_gets_it(server: Server, info: int, others: bool, sender: bool) -> None:
    """BROADCAST, NO_BROADCAST, SEND_BACK and both; unknown bits are ignored."""
    with clients(server, "Ann", "Bob", "Cleo") as (ann, bob, cleo):
        ann.say("hello", info)
        ann.hears_only(*[sent_on("Ann", "hello")] * sender)
        bob.hears_only(*[sent_on("Ann", "hello")] * others)
        cleo.hears_only(*[sent_on("Ann", "hello")] * others)


@pytest.mark.parametrize("info", [4, 5, 6, 7])
def test_a_new_name_counts_before_the_message_is_sent_on(server: Server, info: int) -> None:
    """A rename is silent only with NO_BROADCAST."""
    with clients(server, "Ann", "Bob") as (ann, bob):
        ann.say("it is me", info, "Zoë")
        heard = [sent_on("Zoë", "it is me")]
        ann.hears_only(*heard * bool(info & SEND_BACK))
        bob.hears_only(*heard * (not info & NO_BROADCAST))


def test_who_announced_no_name_is_anonymous(server: Server) -> None:
    """And hears the others all the same."""
    with clients(server, "", "Bob") as (nobody, bob):
        nobody.say("hi")
        nobody.hears_only()
        bob.hears_only(sent_on("Anonym", "hi"))
        bob.say("hi you")
        bob.hears_only()
        nobody.hears_only(sent_on("Bob", "hi you"))


def test_nobody_speaks_as_somebody_else(server: Server) -> None:
    """The server writes the name it holds."""
    with clients(server, "Ann", "Bob") as (ann, bob):
        ann.say("I am Bob", 0, "Bob")
        ann.hears_only()
        bob.hears_only(sent_on("Ann", "I am Bob"))


def test_messages_keep_their_order(server: Server) -> None:
    """Of one sender, for every receiver."""
    with clients(server, "Ann", "Bob") as (ann, bob):
        for i in range(500):
            ann.say(str(i), SEND_BACK)
        expected = [sent_on("Ann", str(i)) for i in range(500)]
        ann.hears_only(*expected)
        bob.hears_only(*expected)


def test_any_text_goes_through(server: Server) -> None:
    """Quotes, control characters, all planes of Unicode, nothing, and much."""
    texts = ['"\\/', "\n\t\x01\x7f\x85", "é€\U0001f600\ufffe", "", "x" * 1_000_000]
    with clients(server, "Ann", "Bob") as (ann, bob):
        for text in texts:
            ann.say(text)
            assert bob.hear() == sent_on("Ann", text)


def test_malformed_envelopes_are_answered_with_nothing(server: Server) -> None:
    """And the connection lives: all of the table that a text message can carry."""
    table = json.loads((Path(__file__).parent / "envelopes.json").read_text())
    bad = [row["json"] for row in table["envelopes"] if "error" in row and "json" in row]
    assert len(bad) > 50
    with clients(server, "Ann", "Bob") as (ann, bob):
        for text in bad:
            ann.connection.send(text)
        ann.hears_only()
        bob.hears_only()
        assert server.logged().count("message ignored: malformed chat envelope") == 1
    server.wait_for_log(f"gone after {len(bad)} ignored messages")


@pytest.mark.parametrize("name", ["", "a\nb", "\x1b[31mred", "\x9b31m", "n" * 129])
def test_a_bad_name_changes_nothing(server: Server, name: str) -> None:
    """The message goes to nobody, and the old name stays."""
    with clients(server, "Ann", "Bob") as (ann, bob):
        ann.say("hi", CHANGE_USERNAME | SEND_BACK, name)
        ann.say("still me")
        ann.hears_only()
        bob.hears_only(sent_on("Ann", "still me"))
        assert "a user name is 1 to 128 bytes" in server.logged()


def test_binary_messages_are_ignored(server: Server) -> None:
    """Even with an envelope in them."""
    with clients(server, "Ann", "Bob") as (ann, bob):
        ann.connection.send(envelope("hi", SEND_BACK).encode())
        ann.hears_only()
        bob.hears_only()
        assert "message ignored: binary" in server.logged()


def test_two_hundred_clients(server: Server) -> None:
    """Each hears what every tenth says."""

    async def talk() -> None:
        found = await asyncio.gather(*(connect_async(server.url, compression=None) for _ in range(200)))
        await asyncio.gather(*(one.send(envelope("", SEND_BACK, "x")) for one in found))
        for one in found:
            for _ in found:
                assert json.loads(await one.recv()) == sent_on("Anonym", "")
        for i, one in enumerate(found[::10]):
            await one.send(envelope(str(i), SEND_BACK))
        for one in found:
            heard = {json.loads(await one.recv())["message"]["text"] for _ in range(20)}
            assert heard == {str(i) for i in range(20)}
        await asyncio.gather(*(one.close() for one in found))

    asyncio.run(asyncio.wait_for(talk(), 3 * DEADLINE))
    server.wait_for_log("closed with code 1000", 200)


# ---- the protocol ----


def test_pings_are_answered_and_subprotocols_not_chosen(server: Server) -> None:
    """The upgrade promises nothing."""
    with connect(server.url, subprotocols=["chat", "superchat"]) as connection:  # type: ignore[list-item]
        assert connection.subprotocol is None
        assert connection.ping(b"are you there?").wait(DEADLINE)


def test_a_closing_handshake_is_answered(server: Server) -> None:
    """With the code that was sent, then the server ends the stream."""
    with Raw(server) as raw:
        raw.upgrade()
        raw.send(frame(CLOSE, struct.pack("!H", 4321) + b"enough"))
        assert raw.close_code() == 4321
    server.wait_for_log("closed with code 4321")


def test_input_may_come_byte_by_byte(server: Server) -> None:
    """Request and frames alike."""
    with Raw(server) as raw:
        raw.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in REQUEST.encode() + frame(PING, b"?") + frame(TEXT, envelope("hi", 3).encode()):
            raw.send(bytes([byte]))
        raw.read_head()
        assert raw.frame() == (PONG, b"?")
        opcode, payload = raw.frame()
        assert (opcode, json.loads(payload)) == (TEXT, sent_on("Anonym", "hi"))


def test_a_message_may_come_behind_the_request_and_in_fragments(server: Server) -> None:
    """All of it in one piece, with a ping in the middle."""
    text = envelope("hi", SEND_BACK).encode()
    with Raw(server) as raw:
        pieces = frame(TEXT, text[:5], first=0) + frame(PING, b"!") + frame(0, text[5:9], first=0) + frame(0, text[9:])
        raw.send(REQUEST.encode() + pieces)
        raw.read_head()
        assert raw.frame() == (PONG, b"!")
        opcode, payload = raw.frame()
        assert (opcode, json.loads(payload)) == (TEXT, sent_on("Anonym", "hi"))


VIOLATIONS = {
    "unmasked": (frame(TEXT, b"{}", masked=False), 1002),
    "reserved bit": (frame(TEXT, b"{}", first=0xC0), 1002),
    "unknown opcode": (frame(3, b""), 1002),
    "unknown control opcode": (frame(11, b""), 1002),
    "fragmented ping": (frame(PING, b"", first=0), 1002),
    "ping of 126 bytes": (frame(PING, bytes(126)), 1002),
    "continuation of nothing": (frame(0, b"x"), 1002),
    "message inside a message": (frame(TEXT, b"x", first=0) + frame(TEXT, b"y"), 1002),
    "close code of one byte": (frame(CLOSE, b"\x03"), 1002),
    "close code 1005": (frame(CLOSE, struct.pack("!H", 1005)), 1002),
    "close code 999": (frame(CLOSE, struct.pack("!H", 999)), 1002),
    "close reason no UTF-8": (frame(CLOSE, b"\x03\xe8\xff"), 1007),
    "text no UTF-8": (frame(TEXT, b'{"a":"\xff"}'), 1007),
    "text cut off in a character": (frame(TEXT, b"\xe2\x82"), 1007),
    "a frame over the limit": (frame(TEXT, b"", length=MIB + 1), 1009),
    "a length of 63 bits": (frame(TEXT, b"", length=2**63 - 1), 1009),
    "fragments over the limit": (frame(TEXT, b"x" * MIB, first=0) + frame(0, b"x"), 1009),
    "text of the limit, no envelope, then over it": (frame(TEXT, b"x" * MIB) + frame(TEXT, b"", length=MIB + 1), 1009),
}


@pytest.mark.parametrize("kind", VIOLATIONS)
def test_who_breaks_the_protocol_is_told_and_harms_nobody(server: Server, kind: str) -> None:
    """By the close code that names what was wrong."""
    data, code = VIOLATIONS[kind]
    with clients(server, "Ann", "Bob") as (ann, bob), Raw(server) as raw:
        raw.upgrade()
        raw.send_until_closed(data + b"and more that nobody reads" * 1000)
        assert raw.close_code() == code
        ann.say("undisturbed")
        assert bob.hear() == sent_on("Ann", "undisturbed")


def request(**changes: str | None) -> bytes:
    """The request with header fields changed, or left out (None)."""
    lines = REQUEST.split("\r\n")[:-2]
    for name, value in changes.items():
        field = name.replace("_", "-") + ":"
        lines = [line for line in lines if not line.startswith(field)] + ([f"{field} {value}"] if value else [])
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426),
        (request(Sec_WebSocket_Version="8"), 426),
        (request(Sec_WebSocket_Key=None), 400),
        (request(Sec_WebSocket_Key="short"), 400),
        (request(Connection="close"), 426),
        (b"POST" + request()[3:], 405),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),
        (b"hello, is this IRC?\r\n", 400),
        (b"GET / HTTP/1.1\r\nNo colon here\r\n\r\n", 400),
        (request(X="y" * 16384), 431),
        (b"GET /" + b"x" * 100_000, 431),
    ],
)
def test_who_is_no_websocket_client_is_refused(server: Server, data: bytes, status: int) -> None:
    """By an HTTP status, and the connection ends."""
    with clients(server, "Ann", "Bob") as (ann, bob), Raw(server) as raw:
        raw.send_until_closed(data)
        answer = raw.read_to_end()
        assert re.match(rb"HTTP/1\.1 (\d+) ", answer), answer
        assert int(answer.split()[1]) == status
        assert answer.count(b"\r\n\r\n") == 1
        ann.say("undisturbed")
        assert bob.hear() == sent_on("Ann", "undisturbed")


# ---- clients that harm nobody ----


@pytest.mark.parametrize("sent", [b"", REQUEST[:50].encode(), REQUEST[:-2].encode()])
def test_a_stalled_handshake_is_ended(start: Callable[..., Server], sent: bytes) -> None:
    """At its deadline; those who are in stay in."""
    server = start("--handshake-timeout", "0.3")
    with clients(server, "Ann", "Bob") as (ann, bob), Raw(server) as raw:
        raw.send(sent)
        assert raw.read_to_end() == b""
        server.wait_for_log("sent no request in time")
        ann.say("undisturbed")
        assert bob.hear() == sent_on("Ann", "undisturbed")


def test_a_handshake_that_trickles_is_ended(start: Callable[..., Server]) -> None:
    """Single bytes do not extend the deadline."""
    server = start("--handshake-timeout", "0.3")
    with Raw(server) as raw:
        raw.send(b"GET / HTTP/1.1\r\nX: ")
        raw.socket.settimeout(0.02)
        until = time.monotonic() + DEADLINE
        while time.monotonic() < until:
            try:
                if raw.socket.recv(1) == b"":
                    return
            except TimeoutError:
                raw.send_until_closed(b"x")
            except ConnectionResetError:
                return
    raise AssertionError("it was never ended")


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("sent", [b"\x81", frame(TEXT, b"half", length=8), frame(TEXT, b"x", first=0), b""])
def test_a_client_that_vanishes_harms_nobody(server: Server, sent: bytes, reset: bool) -> None:
    """In the middle of a frame, of a message, or between; with a FIN or an RST."""
    with clients(server, "Ann", "Bob") as (ann, bob):
        with Raw(server) as raw:
            raw.upgrade()
            raw.send(sent)
            if reset:
                raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        server.wait_for_log(": gone")
        ann.say("undisturbed")
        assert bob.hear() == sent_on("Ann", "undisturbed")


def test_a_client_that_does_not_read_is_dropped(server: Server) -> None:
    """The others get everything, however slow it is."""
    with clients(server, "Ann", "Bob") as (ann, bob), Raw(server, receive_buffer=4096) as slow:
        slow.upgrade()
        text = "x" * 100_000
        rounds = 0
        while "does not read" not in server.logged():
            rounds += 1
            assert rounds < 1000
            ann.say(text)
            assert bob.hear() == sent_on("Ann", text)
        assert rounds > 10  # a megabyte was kept for it first
        ann.hears_only()
        bob.hears_only()


def test_a_client_that_floods_and_does_not_read_is_dropped(server: Server) -> None:
    """What it asks to have sent back counts too."""
    message = frame(TEXT, envelope("x" * 50_000, NO_BROADCAST | SEND_BACK).encode())
    with clients(server, "Ann", "Bob") as (ann, bob), Raw(server, receive_buffer=4096) as slow:
        slow.upgrade()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            slow.send(message * 4000)
        server.wait_for_log("does not read")
        ann.say("undisturbed")
        assert bob.hear() == sent_on("Ann", "undisturbed")


def test_a_client_that_pings_and_does_not_read_costs_nothing(server: Server) -> None:
    """Only the latest ping is kept, so it may go on; the others are served meanwhile."""
    pings = frame(PING, b"p" * 125) * 500
    with clients(server, "Ann", "Bob") as (ann, bob), Raw(server, receive_buffer=4096) as slow:
        slow.upgrade()
        for i in range(200):
            slow.send(pings)
            if i % 20 == 0:
                ann.say("undisturbed")
                assert bob.hear() == sent_on("Ann", "undisturbed")


def test_bursts_are_no_slowness(server: Server) -> None:
    """Messages of the largest size one after the other reach everybody who reads."""
    text = "x" * 1_000_000
    with clients(server, "Ann", "Bob") as (ann, bob):
        for _ in range(10):
            ann.say(text)
        for _ in range(10):
            assert bob.hear() == sent_on("Ann", text)


def test_out_of_descriptors(start: Callable[..., Server]) -> None:
    """Those who are in are served, it does not spin, and goes on when somebody leaves."""
    server = start(max_files=24)
    with clients(server, "Ann", "Bob") as (ann, bob):
        with ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(Raw(server))
            server.wait_for_log("not accepting clients for a moment: Too many open files")
            for _ in range(200):
                ann.say("undisturbed")
                assert bob.hear() == sent_on("Ann", "undisturbed")
            assert server.logged().count("not accepting") < 20
        with clients(server, "Cleo") as (cleo,):
            cleo.say("in at last")
            assert ann.hear() == sent_on("Cleo", "in at last")


def test_nobody_reads_the_log(ws_server: Path) -> None:
    """A full pipe does not stop the chat."""
    with subprocess.Popen(
        [ws_server, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        url = _stdout(process).readline().split()[-1]
        with connect(url, compression=None) as connection:
            client = Client(connection)
            for i in range(2000):
                client.say("", NO_BROADCAST | CHANGE_USERNAME, f"{i:0>100}")
            client.hears_only()
        process.terminate()
        _, log = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0
        assert len(log) <= 65536 + 4096


def test_the_log_has_no_control_characters(server: Server) -> None:
    """Whatever clients send: one line an event."""
    with clients(server, "Zoë \u202e", "Bob") as (ann, bob):
        ann.say("", CHANGE_USERNAME, "\x1b]0;x\x07")
        ann.connection.send('{"\x1b[31m":')
        with Raw(server) as raw:
            raw.send(b"GET /\x1b[2J\x9b HTTP/1.1\r\n\x07\x9b: \r\n\r\n")
            raw.read_to_end()
        ann.hears_only()
        bob.hears_only()
    server.end()
    log = server.log.read_bytes().decode()
    assert "is called Zoë" in log
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", log)
    assert log.count(": joined\n") == 2


# ---- compression ----


def upgrade_offering(raw: Raw, offer: str) -> str:
    """The opening handshake with an offer of compression: the server's answer to it, "" if there is none."""
    raw.send(REQUEST.replace("\r\n\r\n", f"\r\nSec-WebSocket-Extensions: {offer}\r\n\r\n").encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += raw.read(1)
    found = re.search(r"(?i)^Sec-WebSocket-Extensions: (.*)\r$", head.decode(), re.MULTILINE)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=15; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=12",
        ),
        ("permessage-deflate; nonsense, permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        ("x-webkit-deflate-frame", ""),
    ],
)
def test_what_is_answered_to_an_offer_of_compression(server: Server, offer: str, answer: str) -> None:
    with Raw(server) as raw:
        assert upgrade_offering(raw, offer) == answer


def test_a_compressed_chat(server: Server) -> None:
    """Clients with compression and without hear the same, one message after the other."""
    with ExitStack() as stack:
        ann, bob, cleo = (
            Client(stack.enter_context(connect(server.url, compression=how))) for how in ("deflate", "deflate", None)
        )
        assert ann.connection.protocol.extensions
        assert not cleo.connection.protocol.extensions
        for one, name in ((ann, "Ann"), (bob, "Bob"), (cleo, "Cleo")):
            one.say("", NO_BROADCAST | CHANGE_USERNAME, name)
            one.hears_only()
        texts = ["hello", "é€\U0001f600" * 1000, "x" * 1_000_000, "", "é€\U0001f600" * 1000]
        for text in texts:
            ann.say(text)
            cleo.say(text)
        assert [ann.hear() for _ in texts] == [sent_on("Cleo", text) for text in texts]
        assert [cleo.hear() for _ in texts] == [sent_on("Ann", text) for text in texts]
        heard = [bob.hear() for _ in range(2 * len(texts))]
        for name in ("Ann", "Cleo"):
            assert [one for one in heard if one["user"]["name"] == name] == [sent_on(name, text) for text in texts]


def test_only_long_messages_are_compressed_and_only_where_it_was_offered(server: Server) -> None:
    """Seen on the wire: RSV1 in the first byte (RFC 7692 6)."""
    long = frame(TEXT, envelope("x" * 5000, SEND_BACK).encode())
    short = frame(TEXT, envelope("x", SEND_BACK).encode())
    with Raw(server) as raw, Raw(server) as plain:
        assert upgrade_offering(raw, "permessage-deflate")
        plain.upgrade()
        raw.send(short)
        assert raw.read(1)[0] == 0x81
        raw.read(raw.read(1)[0])
        assert plain.frame()[0] == TEXT
        raw.send(long)
        first, length = raw.read(2)
        assert (first, length < 126) == (0xC1, True)
        assert len(plain.frame()[1]) > 5000


# ---- the echo ----


@pytest.mark.parametrize("compression", ["deflate", None])
def test_echo(start: Callable[..., Server], compression: str | None) -> None:
    """Text, binary, fragmented, in order, and to nobody else."""
    server = start("--echo")
    messages: list[str | bytes] = ["", b"", "é€\U0001f600", bytes(range(256)), "no envelope " * 50000, bytes(MIB)]
    with connect(server.url, compression=compression) as one, connect(server.url, compression=compression) as other:
        for message in messages:
            one.send(message)
            assert one.recv(timeout=DEADLINE) == message
        for fragments in (["é€", "", "\U0001f600" * 1000], [b"\x00", bytes(100_000), b"\xff" * 300]):
            one.send(fragments)  # type: ignore[arg-type]  # a list of either
            assert one.recv(timeout=DEADLINE) == type(fragments[0])().join(fragments)  # type: ignore[arg-type]
        other.send("mine")
        assert other.recv(timeout=DEADLINE) == "mine"


def test_how_long_a_message_may_be_can_be_said(start: Callable[..., Server]) -> None:
    """To the byte; beyond it 1009, compressed or not, before the memory is taken."""
    server = start("--echo", "--max-size", "3000000")
    for compression in ("deflate", None):
        with connect(server.url, compression=compression, max_size=None) as one:
            one.send("x" * 3_000_000)
            assert one.recv(timeout=DEADLINE) == "x" * 3_000_000
            with pytest.raises(ConnectionClosed) as closed:
                one.send(bytes(3_000_001))
                one.recv(timeout=DEADLINE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009


def test_small_limits_leave_room_for_what_waits(start: Callable[..., Server]) -> None:
    """Many messages may be on their way back, however short each must be."""
    server = start("--echo", "--max-size", "1000")
    with connect(server.url) as one:
        for i in range(500):
            one.send(f"{i:1000}")
        for i in range(500):
            assert one.recv(timeout=DEADLINE) == f"{i:1000}"


# ---- beginning and end ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_closes_every_connection(server: Server, number: int) -> None:
    """With 1001, and the status is 0; whoever does not answer is not waited for long."""
    with clients(server, "Ann", "Bob") as found, Raw(server) as stalled, Raw(server) as deaf:
        deaf.upgrade()
        stalled.send(b"GET / HT")
        server.end(number)
        for one in found:
            with pytest.raises(ConnectionClosed) as closed:
                one.connection.recv(timeout=DEADLINE)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1001
        assert deaf.frame()[0] == CLOSE


def run(program: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=DEADLINE)


def test_the_port_may_be_an_argument(start: Callable[..., Server]) -> None:
    """As the seed's server took it; the last one given counts."""
    assert start("0").port > 0


def test_a_port_in_use_is_one_clear_line(ws_server: Path, server: Server) -> None:
    """Status 1, nothing on standard output."""
    done = run(ws_server, str(server.port))
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(rf"ws_server: 127\.0\.0\.1 port {server.port}: .*Address already in use.*\n", done.stderr)


def test_a_host_that_is_none_is_one_clear_line(ws_server: Path) -> None:
    """Status 1."""
    done = run(ws_server, "--host", "-..-", "--port", "0")
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"ws_server: -\.\.- port 0: cannot listen: .*\n", done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"], ["-1"], ["65536"], ["1e3"], ["99999999999999999999"], ["0", "0"], ["--port"], ["--port", ""],
        ["--port", " 1"], ["--unknown"], ["--handshake-timeout", "0"], ["--handshake-timeout", "x"],
        ["--handshake-timeout", "nan"], ["--handshake-timeout", "1s"], ["--max-size"], ["--max-size", "0"],
        ["--max-size", "-1"], ["--max-size", "1M"], ["--max-size", "1073741825"], ["--echo=1"],
    ],
)  # fmt: skip
def test_wrong_usage(ws_server: Path, arguments: list[str]) -> None:
    """Status 2 and the usage."""
    done = run(ws_server, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage: ws_server [PORT]" in done.stderr


def test_help(ws_server: Path) -> None:
    """Every option is in it."""
    done = run(ws_server, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert all(
        option in done.stdout
        for option in (
            *("PORT", "--port", "--host", "--echo", "--max-size", "--handshake-timeout", "--tls-cert", "--tls-key"),
            "--help",
        )
    )


def test_ipv6(ws_server: Path) -> None:
    """The URL that is printed can be used."""
    with subprocess.Popen(
        [ws_server, "--host", "::1", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        url = _stdout(process).readline().split()[-1]
        assert url.startswith("ws://[::1]:")
        with connect(url, compression=None) as connection:
            Client(connection).hears_only()
        process.terminate()
        assert process.wait(DEADLINE) == 0
