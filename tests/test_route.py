"""How the server is reached: by which family, over a unix socket, from which address, with which socket options."""

import errno
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.server

import wsclient
from certificates import Certificates, server_context
from raw_server import DEADLINE, TEXT, Peer, RawServer, close_frame, frame, unused_port
from wsclient import CertificateError, ConnectError, OpenTimeoutError, TLSOptions


def echo(connection: websockets.sync.server.ServerConnection) -> None:
    """Send back what comes, or, for "/peer", from where."""
    for message in connection:
        connection.send(str(connection.remote_address) if message == "/peer" else message)


def listening_on(address: str) -> websockets.sync.server.Server:
    """An echo server."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return websockets.sync.server.serve(echo, sock=socket.create_server((address, 0), family=family))


@contextmanager
def running(server: websockets.sync.server.Server) -> Iterator[int]:
    """A server in a thread, its port."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        name = server.socket.getsockname()
        yield name[1] if isinstance(name, tuple) else 0
    finally:
        server.shutdown()
        thread.join(DEADLINE)


@pytest.fixture
def port() -> Iterator[int]:
    """The port of an echo server on 127.0.0.1."""
    with running(listening_on("127.0.0.1")) as port:
        yield port


@pytest.fixture
def unix_echo(tmp_path: Path) -> Iterator[Path]:
    """The unix socket of an echo server."""
    path = tmp_path / "echo.sock"
    with running(websockets.sync.server.unix_serve(echo, str(path))):
        yield path


def echoed(connection: wsclient.Connection, text: str = "echo") -> str | bytes:
    """What comes back."""
    connection.send(text)
    return connection.recv(DEADLINE)


# ---------------------------------------------------------------------------------------------- unix sockets


def test_a_unix_socket(unix_echo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_port()}")  # there is no proxy to it
    monkeypatch.chdir(unix_echo.parent)
    for path in (unix_echo, str(unix_echo), unix_echo.name):
        with wsclient.connect("ws://chat.example/room", unix=path) as connection:
            assert echoed(connection) == "echo"
            assert connection.request.headers["Host"] == "chat.example"
            assert connection.request.path == "/room"
            assert connection.local_address is None and connection.remote_address is None
            assert connection.timings.tcp > 0 and connection.timings.resolve == 0


def test_a_unix_socket_may_have_any_name(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff\xfe.sock"
    path += b"x" * (107 - len(path))
    with (
        running(websockets.sync.server.unix_serve(echo, os.fsdecode(path))),
        wsclient.connect("ws://localhost/", unix=os.fsdecode(path)) as connection,
    ):
        assert echoed(connection) == "echo"


def test_tls_over_a_unix_socket(certificates: Certificates, tmp_path: Path) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(frame(TEXT, b"over both"))
        peer.sock.sendall(close_frame(peer.read_close()[0]))

    for name, wrong in (("localhost", False), ("other.test", True)):
        server = RawServer(serve, tls=server_context(certificates.server))
        server.listener.close()
        server.listener = socket.socket(socket.AF_UNIX)
        server.listener.settimeout(DEADLINE)
        server.listener.bind(str(tmp_path / name))
        server.listener.listen()
        options = TLSOptions(ca_file=certificates.ca)
        if wrong:
            with pytest.raises(Exception, match="alert"), server, pytest.raises(CertificateError):
                wsclient.connect(f"wss://{name}/", tls=options, unix=tmp_path / name)
                raise AssertionError
            continue
        with server, wsclient.connect(f"wss://{name}/", tls=options, unix=tmp_path / name) as connection:
            assert connection.recv(DEADLINE) == "over both"


def test_a_unix_socket_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "left"))
    left.close()
    for name, number in (
        ("missing", errno.ENOENT),
        ("file", errno.ECONNREFUSED),
        ("left", errno.ECONNREFUSED),
        (".", errno.ECONNREFUSED),
        ("file/below", errno.ENOTDIR),
    ):
        with pytest.raises(ConnectError, match=str(tmp_path)) as refused:
            wsclient.connect("ws://localhost:4711/", unix=tmp_path / name)
        assert refused.value.errno == number
        assert "4711" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "error"),
    [("", ValueError), ("x" * 108, ValueError), ("a\0b", ValueError), (b"path", TypeError), (7, TypeError)],
)
def test_a_path_that_is_none_is_refused(path: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        wsclient.connect("ws://localhost/", unix=path)


def test_there_is_no_proxy_to_a_unix_socket(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no proxy to a unix socket"):
        wsclient.connect("ws://localhost/", unix=tmp_path / "x", proxy="http://127.0.0.1:1")


# ---------------------------------------------------------------------------------------------- our own address


def test_the_server_sees_our_local_address(port: int) -> None:
    with wsclient.connect(f"ws://127.0.0.1:{port}/", local_addr=("127.0.0.2", 0)) as connection:
        host, from_port = connection.local_address or ("", 0)
        assert host == "127.0.0.2"
        assert connection.remote_address == ("127.0.0.1", port)
        assert echoed(connection, "/peer") == f"('127.0.0.2', {from_port})"


def test_the_server_sees_our_local_port(port: int) -> None:
    from_port = unused_port()
    reuse = [(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)]
    address = ("127.0.0.1", from_port)
    with wsclient.connect(f"ws://127.0.0.1:{port}/", local_addr=address, socket_options=reuse) as connection:
        assert echoed(connection, "/peer") == str(address)


def test_a_local_address_of_one_family_leaves_the_other_out(port: int) -> None:
    with wsclient.connect(f"ws://localhost:{port}/", local_addr=("127.0.0.1", 0)) as connection:
        assert echoed(connection) == "echo"


def test_a_local_address_that_does_not_go_is_said(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for address, number in (
            (("192.0.2.1", 0), errno.EADDRNOTAVAIL),
            (("::1", 0), errno.EAFNOSUPPORT),
            (taken.getsockname(), errno.EADDRINUSE),
        ):
            with pytest.raises(ConnectError, match=os.strerror(number)) as refused:
                wsclient.connect(f"ws://127.0.0.1:{port}/", local_addr=address)
            assert refused.value.errno == number


@pytest.mark.parametrize(
    ("address", "error"),
    [
        (("localhost", 0), ValueError),
        (("", 0), ValueError),
        (("127.0.0.1", 65536), (TypeError, ValueError)),
        (("127.0.0.1", -1), (TypeError, ValueError)),
        (("127.0.0.1\0", 0), ValueError),
        (("127.0.0.1",), TypeError),
        ("127.0.0.1:0", TypeError),
    ],
)
def test_a_local_address_that_is_none_is_refused(address: Any, error: Any) -> None:
    with pytest.raises(error, match="local"):
        wsclient.connect("ws://127.0.0.1/", local_addr=address)


# ---------------------------------------------------------------------------------------------- socket options


def test_socket_options_are_set(port: int) -> None:
    options = [
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, (33).to_bytes(4, "little")),
        (socket.IPPROTO_TCP, socket.TCP_NODELAY, 0),
        (socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo"),
    ]
    with (
        wsclient.connect(f"ws://127.0.0.1:{port}/", socket_options=options) as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as sock,
    ):
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 33
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0  # what the user says counts
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).rstrip(b"\0") == b"lo"
        assert echoed(connection) == "echo"


def test_without_options_small_messages_are_not_held_back(port: int) -> None:
    with (
        wsclient.connect(f"ws://127.0.0.1:{port}/") as connection,
        socket.socket(fileno=os.dup(connection.fileno())) as sock,
    ):
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@pytest.mark.parametrize(
    ("option", "number"),
    [
        ((socket.SOL_SOCKET, 9999, 1), errno.ENOPROTOOPT),
        ((socket.SOL_SOCKET, socket.SO_KEEPALIVE, b""), errno.EINVAL),
        ((socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"nosuch0"), errno.ENODEV),
    ],
)
def test_a_socket_option_that_does_not_go_is_said(port: int, option: tuple[int, int, int | bytes], number: int) -> None:
    with pytest.raises(ConnectError, match=os.strerror(number)) as refused:
        wsclient.connect(f"ws://127.0.0.1:{port}/", socket_options=[option])
    assert refused.value.errno == number


@pytest.mark.parametrize("options", ["SO_KEEPALIVE", [(1, 2)], [(1, 2, "3")], [(1, 2, 2**40)], {1: 2}, [(1, 2**40, 3)]])
def test_socket_options_that_are_none_are_refused(options: Any) -> None:
    with pytest.raises(TypeError, match="socket_options"):
        wsclient.connect("ws://127.0.0.1/", socket_options=options)


# ---------------------------------------------------------------------------------------------- families


@pytest.mark.parametrize(("host", "address"), [("[::1]", "::1"), ("127.0.0.1", "127.0.0.1"), ("[0::1]", "::1")])
def test_an_address_of_each_family(host: str, address: str) -> None:
    with (
        running(listening_on(address)) as port,
        wsclient.connect(f"ws://{host}:{port}/") as connection,
    ):
        assert echoed(connection) == "echo"
        assert connection.remote_address == (address, port)


def families_of_localhost() -> list[str]:
    """What the name has here."""
    return [str(found[4][0]) for found in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)]


@pytest.mark.parametrize("address", families_of_localhost())
def test_a_name_is_reached_by_the_family_that_answers(address: str) -> None:
    with (
        running(listening_on(address)) as port,
        wsclient.connect(f"ws://localhost:{port}/") as connection,
    ):
        assert echoed(connection) == "echo"
        assert connection.remote_address == (address, port)


def test_who_refuses_is_named_with_every_address() -> None:
    port = unused_port()
    with pytest.raises(ConnectError, match=rf"^cannot connect to localhost port {port}: Connection refused") as refused:
        wsclient.connect(f"ws://localhost:{port}/")
    assert refused.value.errno == errno.ECONNREFUSED
    for address in families_of_localhost():
        where = f"[{address}]" if ":" in address else address
        assert f"{where} port {port}: Connection refused" in str(refused.value)


def test_time_runs_out_while_connecting() -> None:
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        for sock in (first, second):  # they fill the queue; what comes then is dropped
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        with pytest.raises(OpenTimeoutError, match=rf"connecting to 127\.0\.0\.1 port {port}") as late:
            wsclient.connect(f"ws://127.0.0.1:{port}/", open_timeout=0.2)
        assert late.value.timings is not None
        assert late.value.timings.tcp > 0 and late.value.timings.upgrade == 0
