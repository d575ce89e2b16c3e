"""The stream under TLS: cut, garbled, split, blocked, interrupted; and many threads on it."""

import contextlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator

import pytest

import wsclient
from certificates import Certificates, TlsEcho, server_context, tls_echo
from conftest import Echo
from raw_server import BINARY, DEADLINE, TEXT, Peer, RawServer, close_frame, frame
from wsclient import (
    ConnectError,
    ConnectionClosedError,
    ConnectionClosedOK,
    InvalidMessage,
    OpenTimeoutError,
    TLSError,
    TLSOptions,
    WriteTimeoutError,
)
from wsclient.testing import Fault, FaultProxy
from wsclient.tls import TLSVersion

ENDINGS = ["drop", "reset"]


@pytest.fixture
def trusting(certificates: Certificates) -> TLSOptions:
    """A client's options."""
    return TLSOptions(ca_file=certificates.ca)


@pytest.fixture
def server(certificates: Certificates) -> Iterator[TlsEcho]:
    """An echo server with nothing wrong."""
    with tls_echo(server_context(certificates.server)) as server:
        yield server


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def context(certificates: Certificates, request: pytest.FixtureRequest) -> ssl.SSLContext:
    """A server's side of TLS, of each version."""
    version = ssl.TLSVersion.TLSv1_2 if request.param == "TLSv1.2" else ssl.TLSVersion.TLSv1_3
    return server_context(certificates.server, minimum=version, maximum=version)


def send_below(peer: Peer, data: bytes) -> None:
    """Send bytes past TLS."""
    socket.socket.sendall(peer.sock, data)


def goodbye(peer: Peer) -> None:
    """End TLS properly: close_notify both ways."""
    assert isinstance(peer.sock, ssl.SSLSocket)
    with contextlib.suppress(ssl.SSLError):  # what the client still said is in the way
        peer.sock.unwrap()


# ---------------------------------------------------------------------------------------------- cut off


@pytest.mark.parametrize("last", [b"", frame(TEXT, b"half a frame")[:7]])
def test_a_stream_that_is_cut_off_is_told_from_one_that_ended(
    context: ssl.SSLContext, trusting: TLSOptions, last: bytes
) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"whole") + last)
        # and leave, with no close_notify

    with (
        RawServer(serve, tls=context) as server,
        wsclient.connect(server.url, tls=trusting, proxy=None) as connection,
    ):
        assert connection.recv(DEADLINE) == "whole"
        with pytest.raises(ConnectionClosedError, match="cut off: it ended without TLS's closing alert") as broken:
            connection.recv(DEADLINE)
        assert isinstance(broken.value.__cause__, TLSError)
        assert connection.close_info is not None
        assert (connection.close_info.code, connection.close_info.clean) == (1006, False)


def test_unverified_makes_no_difference_to_what_is_said(certificates: Certificates) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()

    with (
        RawServer(serve, tls=server_context(certificates.expired)) as server,
        wsclient.connect(server.url, tls=TLSOptions(verify=False), proxy=None) as connection,
        pytest.raises(ConnectionClosedError, match="cut off"),
    ):
        connection.recv(DEADLINE)


def test_a_stream_that_is_cut_off_during_the_upgrade(context: ssl.SSLContext, trusting: TLSOptions) -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(peer.response()[:40])

    with RawServer(serve, tls=context) as server, pytest.raises(TLSError, match="cut off"):
        wsclient.connect(server.url, tls=trusting, proxy=None)


@pytest.mark.parametrize("last", [b"", frame(TEXT, b"half a frame")[:7]])
def test_close_notify_without_a_close_frame(context: ssl.SSLContext, trusting: TLSOptions, last: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"whole") + last)
        goodbye(peer)

    with (
        RawServer(serve, tls=context) as server,
        wsclient.connect(server.url, tls=trusting, proxy=None) as connection,
    ):
        assert connection.recv(DEADLINE) == "whole"
        with pytest.raises(ConnectionClosedError) as broken:
            connection.recv(DEADLINE)
        assert "cut off" not in str(broken.value)


def test_close_notify_without_the_end_of_tcp(context: ssl.SSLContext, trusting: TLSOptions) -> None:
    done = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert isinstance(peer.sock, ssl.SSLSocket)
        peer.sock.setblocking(False)
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.sock.unwrap()  # sends ours, and finds nothing of the client's
        assert done.wait(DEADLINE)

    with (
        RawServer(serve, tls=context) as server,
        wsclient.connect(server.url, tls=trusting, proxy=None) as connection,
    ):
        with pytest.raises(ConnectionClosedError):
            connection.recv(DEADLINE)
        done.set()


@pytest.mark.parametrize("kind", ["server", "client"])
def test_a_clean_close_says_goodbye_in_tls(context: ssl.SSLContext, trusting: TLSOptions, kind: str) -> None:
    def serve(peer: Peer) -> None:
        assert isinstance(peer.sock, ssl.SSLSocket)
        peer.sock.suppress_ragged_eofs = False
        peer.upgrade()
        if kind == "server":
            peer.sock.sendall(close_frame(1001))
        code, _ = peer.read_close()
        if kind == "client":
            peer.sock.sendall(close_frame(code))
        peer.sock.unwrap()  # an error unless the client says it, too

    with (
        RawServer(serve, tls=context) as server,
        wsclient.connect(server.url, tls=trusting, proxy=None) as connection,
    ):
        if kind == "server":
            with pytest.raises(ConnectionClosedOK):
                connection.recv(DEADLINE)
        else:
            connection.close()
        assert connection.close_info is not None
        assert connection.close_info.clean


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("after", [1, 5, 6, 100, 700])
def test_a_handshake_that_is_cut_is_a_connect_error(
    server: TlsEcho, trusting: TLSOptions, ending: str, after: int
) -> None:
    """Whatever is cut off, it is TLS that failed, not HTTP."""
    fault = Fault(direction="to_client", after=after, then=ending)  # type: ignore[arg-type]
    with FaultProxy("127.0.0.1", server.port, fault) as proxy, pytest.raises(TLSError, match="TLS with") as failed:
        wsclient.connect(proxy.url("wss"), tls=trusting, server_hostname="localhost", proxy=None)
    assert failed.value.timings is not None and failed.value.timings.tls > 0


# ---------------------------------------------------------------------------------------------- no TLS


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"\0" * 64, b"220 mail ESMTP\r\n"]
)
def test_a_server_that_does_not_speak_tls(trusting: TLSOptions, answer: bytes) -> None:
    def serve(peer: Peer) -> None:
        assert peer.sock.recv(65536)[:1] == b"\x16"
        peer.sock.sendall(answer)
        peer.wait_gone()

    with RawServer(serve) as server, pytest.raises(TLSError, match=r"127\.0\.0\.1 port \d+ .*does not speak TLS there"):
        wsclient.connect(server.url.replace("ws:", "wss:"), tls=trusting, proxy=None)


def test_an_echo_server_without_tls(websockets_echo: Echo, trusting: TLSOptions) -> None:
    with pytest.raises(TLSError, match=rf"127\.0\.0\.1 port {websockets_echo.port}"):
        wsclient.connect(websockets_echo.url.replace("ws:", "wss:"), tls=trusting, proxy=None)


def test_a_server_that_speaks_tls_where_it_should_not(server: TlsEcho) -> None:
    with pytest.raises((InvalidMessage, ConnectError)):
        wsclient.connect(server.url.replace("wss:", "ws:"), proxy=None)


@pytest.mark.parametrize(
    "garbage",
    [
        b"this is no record of TLS at all",
        b"\x17\x03\x03\x00\x20" + b"x" * 32,
        b"\x17\x03\x03\xff\xff" + b"x" * 70000,
        b"\x16\x03\x03\x00\x04\x01\0\0\0",
    ],
)
def test_garbage_after_the_handshake(context: ssl.SSLContext, trusting: TLSOptions, garbage: bytes) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"whole"))
        send_below(peer, garbage)
        with contextlib.suppress(OSError):  # the client's alert
            peer.wait_gone()

    with (
        RawServer(serve, tls=context) as server,
        wsclient.connect(server.url, tls=trusting, proxy=None) as connection,
    ):
        assert connection.recv(DEADLINE) == "whole"
        with pytest.raises(ConnectionClosedError, match=r"TLS with 127\.0\.0\.1 port \d+ failed") as broken:
            connection.recv(DEADLINE)
        assert "does not speak TLS" not in str(broken.value)  # it did before
        assert isinstance(broken.value.__cause__, TLSError)


# ---------------------------------------------------------------------------------------------- split and blocked


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_split_at_every_byte(server: TlsEcho, certificates: Certificates, version: TLSVersion) -> None:
    options = TLSOptions(ca_file=certificates.ca, max_version=version)
    with (
        FaultProxy("127.0.0.1", server.port, Fault(split=1)) as proxy,
        wsclient.connect(proxy.url("wss"), tls=options, proxy=None) as connection,
    ):
        for text in ("", "a", "Hello, world", "x" * 3000):
            connection.send(text)
            assert connection.recv(DEADLINE) == text


@pytest.mark.parametrize("size", [16383, 16384, 16385, 8 << 20])
def test_messages_around_and_far_beyond_a_record(server: TlsEcho, trusting: TLSOptions, size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with wsclient.connect(server.url, tls=trusting, max_size=None, compression=None, proxy=None) as connection:
        connection.send(data)
        assert connection.recv(30, decode=False) == data


def test_many_threads_send_while_one_receives(server: TlsEcho, trusting: TLSOptions) -> None:
    received = Counter[str]()
    sent = Counter(f"{who}:{i}:" + "x" * (i * 97 % 5000) for who in range(4) for i in range(150))

    def send(who: int) -> None:
        for text in sent:
            if text.startswith(f"{who}:"):
                connection.send(text)

    with wsclient.connect(server.url, tls=trusting, proxy=None) as connection:
        senders = [threading.Thread(target=send, args=(who,)) for who in range(4)]
        for sender in senders:
            sender.start()
        while received.total() < sent.total():
            text = connection.recv(DEADLINE)
            assert isinstance(text, str)
            received[text] += 1
        for sender in senders:
            sender.join(DEADLINE)
        assert received == sent
        assert connection.ping() > 0


def test_receiving_goes_on_while_writing_is_blocked(context: ssl.SSLContext, trusting: TLSOptions) -> None:
    data = bytes(range(256)) * 16384
    may_read = threading.Event()
    got: list[tuple[bool, int, bytes]] = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for i in range(50):
            peer.sock.sendall(frame(TEXT, f"{i}".encode() * 1000))
        assert may_read.wait(DEADLINE)
        got.append(peer.read_frame())
        peer.sock.sendall(frame(TEXT, b"thanks"))
        peer.sock.sendall(close_frame(peer.read_close()[0]))

    server = RawServer(serve, tls=context)
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    small = [(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)]
    with (
        server,
        wsclient.connect(
            server.url, tls=trusting, socket_options=small, compression=None, write_timeout=None, proxy=None
        ) as connection,
    ):
        sender = threading.Thread(target=connection.send, args=(data,))
        sender.start()
        for i in range(50):
            assert connection.recv(DEADLINE) == f"{i}" * 1000
        assert sender.is_alive()  # nobody has read it, and the buffers are smaller
        may_read.set()
        sender.join(DEADLINE)
        assert not sender.is_alive()
        assert connection.recv(DEADLINE) == "thanks"
    assert got == [(True, BINARY, data)]


def test_a_peer_that_never_reads_ends_by_the_deadlines(context: ssl.SSLContext, trusting: TLSOptions) -> None:
    done = threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert done.wait(DEADLINE)

    server = RawServer(serve, tls=context)
    server.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    with server:
        connection = wsclient.connect(
            server.url, tls=trusting, compression=None, write_timeout=0.2, close_timeout=0.2, proxy=None
        )
        with pytest.raises((WriteTimeoutError, ConnectionClosedError)):
            for _ in range(40):
                connection.send(b"x" * 2**20)
        connection.close()
        assert connection.state is wsclient.State.CLOSED
        done.set()


# ---------------------------------------------------------------------------------------------- a silent server


@contextlib.contextmanager
def silent() -> Iterator[tuple[int, socket.socket]]:
    """A port where connections are made and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        yield listener.getsockname()[1], listener


def test_open_timeout_says_that_it_was_tls() -> None:
    with silent() as (port, _):
        with pytest.raises(OpenTimeoutError, match=rf"in the TLS handshake with 127\.0\.0\.1 port {port}") as late:
            wsclient.connect(f"wss://127.0.0.1:{port}/", tls=TLSOptions(verify=False), open_timeout=0.2, proxy=None)
        assert late.value.timings is not None
        assert late.value.timings.tls > 0 and late.value.timings.upgrade == 0


def test_ctrl_c_interrupts_the_handshake() -> None:
    program = """
import sys
import wsclient
try:
    wsclient.connect(sys.argv[1], tls=wsclient.TLSOptions(verify=False), open_timeout=None, proxy=None)
except KeyboardInterrupt:
    print("interrupted")
"""
    with silent() as (port, listener):
        child = subprocess.Popen(
            [sys.executable, "-c", program, f"wss://127.0.0.1:{port}/"], stdout=subprocess.PIPE, text=True
        )
        try:
            peer, _ = listener.accept()
            with peer:
                peer.settimeout(DEADLINE)
                assert peer.recv(1) == b"\x16"  # its first record: it is in the handshake
                child.send_signal(signal.SIGINT)
                assert child.communicate(timeout=DEADLINE)[0] == "interrupted\n"
        finally:
            child.kill()
            child.communicate()
