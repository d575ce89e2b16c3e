"""The chat server's program with TLS: seen by our client, by the websockets package, and by sockets that do wrong."""

import asyncio
import json
import os
import queue
import re
import signal
import socket
import ssl
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

import wsclient
from certificates import Certificates
from test_server import CLOSE, REQUEST, TEXT, Raw, Server, envelope, frame, sent_on
from wsclient import TLSOptions, WSClient
from wsclient.testing import ChatServer, Fault, FaultProxy
from wsclient.tls import TLSVersion

DEADLINE = 15.0  # seconds; less than what the server waits for a silent client
MIB = 1024 * 1024
SEND_BACK = 3

Start = Callable[..., Server]


@pytest.fixture
def start(ws_server: Path, certificates: Certificates, tmp_path: Path) -> Iterator[Start]:
    """Start servers with TLS; those that still run are ended."""
    files = ["--tls-cert", str(certificates.server.chain), "--tls-key", str(certificates.server.key)]
    started: list[Server] = []

    def start_one(*options: str) -> Server:
        started.append(Server(ws_server, tmp_path / f"log{len(started)}", *files, *options))
        return started[-1]

    yield start_one
    for one in started:
        if one.process.poll() is None:
            one.end()


@pytest.fixture
def server(start: Start) -> Server:
    """A server with its defaults."""
    return start()


@pytest.fixture
def tls(certificates: Certificates) -> TLSOptions:
    """Our client's options to trust it."""
    return TLSOptions(ca_file=certificates.ca)


@pytest.fixture
def context(certificates: Certificates) -> ssl.SSLContext:
    """The same for Python's ssl."""
    return ssl.create_default_context(cafile=certificates.ca)


class RawTls:
    """A client that has the records in its hands: what it says goes out when and how it wants."""

    def __init__(self, raw: Raw, context: ssl.SSLContext) -> None:
        self.raw = raw
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")
        self.until_done(self.tls.do_handshake)
        self.send(self.records(REQUEST.encode()))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.read(1)
        assert head.startswith(b"HTTP/1.1 101 ")

    def records(self, *pieces: bytes) -> bytes:
        """A record for each piece, not sent yet."""
        for piece in pieces:
            self.tls.write(piece)
        return self.outgoing.read()

    def closing_alert(self) -> bytes:
        """The record that ends the stream, not sent yet."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        return self.outgoing.read()

    def send(self, records: bytes) -> None:
        """Send them as they are."""
        self.raw.send(records)

    def until_done(self, action: Callable[[], object]) -> object:
        """Do it, reading from the socket what it lacks."""
        while True:
            try:
                return action()
            except ssl.SSLWantReadError:
                self.flush()
                if data := self.raw.socket.recv(65536):
                    self.incoming.write(data)
                else:
                    self.incoming.write_eof()
            finally:
                self.flush()

    def flush(self) -> None:
        """Send what TLS itself has to say."""
        if records := self.outgoing.read():
            self.raw.send(records)

    def read(self, n: int) -> bytes:
        """Up to n bytes of the stream; nothing at its proper end (close_notify)."""
        try:
            data = self.until_done(lambda: self.tls.read(n))
        except ssl.SSLZeroReturnError:
            return b""
        assert isinstance(data, bytes)
        return data


# ---- clients that do right ----


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_our_client(server: Server, certificates: Certificates, version: TLSVersion) -> None:
    """With the version it wants."""
    options = TLSOptions(ca_file=certificates.ca, min_version=version, max_version=version)
    with wsclient.connect(server.url, tls=options) as ws:
        assert ws.tls is not None
        assert ws.tls.version == version
        ws.send(envelope("hi", SEND_BACK))
        assert json.loads(ws.recv(timeout=DEADLINE)) == sent_on("Anonym", "hi")
    server.wait_for_log("closed with code 1000")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_another_client(server: Server, context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    """On asyncio: the other one of websockets reads and writes TLS at once, which before Python 3.13 breaks it."""
    context.minimum_version = context.maximum_version = version

    async def talk() -> None:
        async with connect(server.url, ssl=context) as ws:
            await ws.send(envelope("hi", SEND_BACK))
            assert json.loads(await ws.recv()) == sent_on("Anonym", "hi")

    asyncio.run(asyncio.wait_for(talk(), DEADLINE))
    server.wait_for_log("closed with code 1000")


def test_it_is_verified(server: Server, certificates: Certificates) -> None:
    """Whoever does not trust its CA says so, and the server knows it."""
    with pytest.raises(wsclient.CertificateError):
        wsclient.connect(server.url, tls=TLSOptions(ca_file=certificates.unknown_ca))
    server.wait_for_log("gone after 0 ignored messages: TLS with a client failed: it does not accept our certificate")


def test_a_chat_of_two(certificates: Certificates, tls: TLSOptions) -> None:
    """Through WSClient, to the server that Python programs start for their tests."""
    heard = queue.Queue[str]()
    with ExitStack() as stack:
        server = stack.enter_context(ChatServer(tls_cert=certificates.server.chain, tls_key=certificates.server.key))
        assert server.url == f"wss://127.0.0.1:{server.port}/"
        ann, bob = (stack.enter_context(WSClient(username=name, url=server.url, tls=tls)) for name in ("Ann", "Bob"))
        bob.set_message_callback(
            lambda _, message, __: heard.put(f"{message.user.name}: {message.text}"), use_json=True
        )
        ann.send_message("hello")
        while heard.empty():
            assert bob.listen(DEADLINE)
        assert heard.get() == "Ann: hello"


def test_the_key_may_be_in_the_certificates_file(certificates: Certificates, tls: TLSOptions, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(certificates.server.key.read_bytes() + certificates.server.chain.read_bytes())
    with ChatServer(tls_cert=both) as server, wsclient.connect(server.url, tls=tls) as ws:
        ws.ping()


def test_a_chain_is_sent(certificates: Certificates, tls: TLSOptions) -> None:
    """The client knows the root only."""
    own = certificates.chained
    with ChatServer(tls_cert=own.chain, tls_key=own.key) as server, wsclient.connect(server.url, tls=tls) as ws:
        ws.ping()


def test_sessions_are_resumed(server: Server, tls: TLSOptions) -> None:
    for expected in (False, True):
        with wsclient.connect(server.url, tls=tls) as ws:
            ws.ping()
            assert ws.tls is not None
            assert ws.tls.resumed is expected


# ---- much ----


@pytest.mark.parametrize("compression", ["deflate", None])
def test_big_messages_both_ways(start: Start, tls: TLSOptions, compression: None) -> None:
    """Of the largest size, and of random bytes."""
    server = start("--echo")
    with wsclient.connect(server.url, tls=tls, compression=compression) as ws:
        for _ in range(5):
            data = os.urandom(MIB)
            ws.send(data)
            assert ws.recv(timeout=DEADLINE) == data


def test_a_burst_of_small_messages(start: Start, tls: TLSOptions) -> None:
    """What is inside TLS already is read although the socket shows nothing more."""
    server = start("--echo")
    with wsclient.connect(server.url, tls=tls, compression=None) as ws:
        for i in range(5000):
            ws.send(str(i))
        for i in range(5000):
            assert ws.recv(timeout=DEADLINE) == str(i)


@pytest.mark.parametrize("size", [1, 1000, 16384])
def test_records_that_come_at_once(start: Start, context: ssl.SSLContext, size: int) -> None:
    """Records of all sizes in one piece, and then nothing until all is answered."""
    server = start("--echo", "--max-size", "200000")
    text = b"x" * 180_000
    sent = frame(TEXT, text) + frame(TEXT, b"last")
    with Raw(server) as raw:
        client = RawTls(raw, context)
        client.send(client.records(*(sent[i : i + size] for i in range(0, len(sent), size))))
        expected = b"\x81\x7f" + struct.pack("!Q", len(text)) + text + b"\x81\x04last"
        got = b""
        while len(got) < len(expected):
            piece = client.read(65536)
            assert piece
            got += piece
        assert got == expected


def test_a_record_byte_by_byte(server: Server, tls: TLSOptions) -> None:
    """Handshake, request and messages alike."""
    slow = Fault(split=1)
    with (
        FaultProxy("127.0.0.1", server.port, slow) as proxy,
        wsclient.connect(proxy.url("wss"), tls=tls, open_timeout=DEADLINE) as ws,
    ):
        ws.send(envelope("hi", SEND_BACK))
        assert json.loads(ws.recv(timeout=DEADLINE)) == sent_on("Anonym", "hi")


def test_a_hundred_clients(server: Server, context: ssl.SSLContext) -> None:
    """Each hears what every tenth says."""

    async def talk() -> None:
        clients = await asyncio.gather(*(connect(server.url, ssl=context, compression=None) for _ in range(100)))
        for i, one in enumerate(clients[::10]):
            await one.send(envelope(str(i), 2))
        for one in clients:
            heard = {json.loads(await one.recv())["message"]["text"] for _ in range(10)}
            assert heard == {str(i) for i in range(10)}
        await asyncio.gather(*(one.close() for one in clients))

    asyncio.run(asyncio.wait_for(talk(), 3 * DEADLINE))
    server.wait_for_log("closed with code 1000", 100)


# ---- clients that harm nobody ----


@pytest.fixture
def undisturbed(server: Server, tls: TLSOptions) -> Iterator[None]:
    """Somebody who is in, and still is at the end."""
    with wsclient.connect(server.url, tls=tls) as ws:
        yield
        ws.send(envelope("still here", SEND_BACK))
        assert json.loads(ws.recv(timeout=DEADLINE)) == sent_on("Anonym", "still here")


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (REQUEST.encode(), "it speaks HTTP without TLS: ws:// instead of wss://?"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "it does not speak TLS there"),
        (bytes(100), "it does not speak TLS there"),
    ],
)
def test_what_is_no_tls_is_ended(server: Server, sent: bytes, reason: str) -> None:
    """At once, and it is logged once."""
    with Raw(server) as raw:
        raw.send(sent)
        with suppress(ConnectionResetError):
            raw.read_to_end()
        server.wait_for_log(reason)
    assert server.logged().count("gone after") == 1


@pytest.mark.usefixtures("undisturbed")
def test_a_client_that_goes_in_the_handshake(server: Server) -> None:
    with Raw(server):
        pass
    server.wait_for_log("gone after 0 ignored messages: TLS with a client failed: the stream was cut off")


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01\x00"])
def test_a_client_that_says_nothing_is_ended(start: Start, tls: TLSOptions, sent: bytes) -> None:
    """Or only begins to: the time for the request includes TLS. The others stay."""
    server = start("--handshake-timeout", "1")
    with wsclient.connect(server.url, tls=tls) as ws, Raw(server) as raw:
        raw.send(sent)
        assert raw.read_to_end() == b""
        server.wait_for_log("sent no request in time")
        ws.ping()


def test_a_client_that_does_tls_and_sends_no_request_is_ended(start: Start, context: ssl.SSLContext) -> None:
    """With the alert that ends the stream."""
    server = start("--handshake-timeout", "1")
    with (
        socket.create_connection(("127.0.0.1", server.port), DEADLINE) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as raw,
    ):
        assert raw.recv(1) == b""
    server.wait_for_log("sent no request in time")


@pytest.mark.usefixtures("undisturbed")
def test_a_client_that_resets_its_connection_is_lost(server: Server, context: ssl.SSLContext) -> None:
    """That is no failure of TLS, once the handshake is done."""
    with Raw(server) as raw:
        RawTls(raw, context)
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    server.wait_for_log("gone after 0 ignored messages: connection to a client lost: Connection reset by peer")


@pytest.mark.usefixtures("undisturbed")
def test_an_end_right_behind_a_message_is_seen(server: Server, context: ssl.SSLContext) -> None:
    """The closing alert of TLS came in the same piece, and the socket shows nothing more."""
    with Raw(server) as raw:
        client = RawTls(raw, context)
        client.send(client.records(frame(TEXT, envelope("bye", 1).encode())) + client.closing_alert())
        server.wait_for_log("gone after 0 ignored messages: ended the stream without a closing handshake")


@pytest.mark.usefixtures("undisturbed")
def test_garbage_right_behind_a_message_is_seen(server: Server, context: ssl.SSLContext) -> None:
    """A record that was tampered with, in the same piece; the reason is told by an alert."""
    with Raw(server) as raw:
        client = RawTls(raw, context)
        good = client.records(frame(TEXT, envelope("hi", SEND_BACK).encode()))
        client.send(good + b"\x17\x03\x03\x00\x20" + bytes(32))
        server.wait_for_log("gone after 0 ignored messages: TLS with a client failed: ")
        with pytest.raises(ssl.SSLError, match=r"(?i)alert bad record mac"):
            while client.read(65536):
                pass


@pytest.mark.usefixtures("undisturbed")
def test_an_old_version_is_refused(server: Server, context: ssl.SSLContext) -> None:
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", server.port), DEADLINE) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="127.0.0.1")
    server.wait_for_log("the two sides have no TLS version in common")


def test_a_client_that_floods_and_does_not_read_is_dropped(
    server: Server, context: ssl.SSLContext, tls: TLSOptions
) -> None:
    """The others go on talking."""
    message = frame(TEXT, envelope("x" * 50_000, SEND_BACK).encode())
    with wsclient.connect(server.url, tls=tls) as ws, Raw(server, receive_buffer=4096) as raw:
        client = RawTls(raw, context)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(4000):
                client.send(client.records(message))
        server.wait_for_log("does not read")
        ws.send(envelope("undisturbed", SEND_BACK))
        assert json.loads(ws.recv(timeout=DEADLINE)) == sent_on("Anonym", "undisturbed")


# ---- the end ----


def test_sigterm_closes_every_connection(server: Server, context: ssl.SSLContext, tls: TLSOptions) -> None:
    """With 1001 in WebSocket and close_notify in TLS; whoever does not answer is not waited for long."""
    with wsclient.connect(server.url, tls=tls) as polite, Raw(server) as stalled, Raw(server) as raw:
        deaf = RawTls(raw, context)
        stalled.send(b"\x16\x03\x01")
        server.end(signal.SIGTERM)
        with pytest.raises(wsclient.ConnectionClosedOK) as closed:
            polite.recv(timeout=DEADLINE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        said = deaf.read(4)
        assert (said[0] & 0xF, int.from_bytes(said[2:], "big")) == (CLOSE, 1001)
        while deaf.read(100):  # an end without close_notify would raise
            pass


def test_a_closing_handshake_ends_with_close_notify(server: Server, context: ssl.SSLContext) -> None:
    """The server ends the stream first (RFC 6455 7.1.1), and TLS before TCP."""
    with Raw(server) as raw:
        client = RawTls(raw, context)
        client.send(client.records(frame(CLOSE, struct.pack("!H", 4321))))
        assert client.read(100) == b"\x88\x02\x10\xe1"
        assert client.read(100) == b""
    server.wait_for_log("closed with code 4321")


# ---- the command line ----


@pytest.mark.parametrize(
    ("cert", "key", "said"),
    [
        ("/nowhere", None, "cannot use the certificate file /nowhere: No such file or directory"),
        ("key", None, "cannot use the certificate file .*: it has no certificate in PEM form"),
        ("cert", None, "cannot use the key file .*: it is no key in PEM form, or needs a password"),
        ("cert", "/nowhere", "cannot use the key file /nowhere: No such file or directory"),
        ("cert", "other", "cannot use the key file .*: it does not go with the certificate"),
        ("cert", "encrypted", "cannot use the key file .*: it is no key in PEM form, or needs a password"),
    ],
)
def test_files_that_cannot_be_used(
    ws_server: Path, certificates: Certificates, cert: str, key: str | None, said: str
) -> None:
    """Status 1, one clear line."""
    files = {
        "cert": str(certificates.server.chain),
        "key": str(certificates.server.key),
        "other": str(certificates.client.key),
        "encrypted": str(certificates.client_encrypted.key),
    }
    command = [ws_server, "--port", "0", "--tls-cert", files.get(cert, cert)]
    command += ["--tls-key", files.get(key, key)] if key else []
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(f"ws_server: {said}\n", done.stderr)


def test_a_key_without_a_certificate(ws_server: Path, certificates: Certificates) -> None:
    """Wrong usage."""
    key = certificates.server.key
    done = subprocess.run([ws_server, "--tls-key", key], capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"ws_server: a key without --tls-cert: {key}\nusage: ")
    with pytest.raises(ValueError, match="tls_key needs tls_cert"):
        ChatServer(tls_key=key)
