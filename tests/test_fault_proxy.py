"""The bad network: each fault does what it says, and nothing else happens to the bytes."""

import contextlib
import gc
import socket
import struct
import threading
from collections.abc import Iterator

import pytest
import websockets.exceptions
import websockets.sync.client

from own_process import descriptors_at_rest
from wsclient import WSClient
from wsclient.testing import ChatServer, Fault, FaultProxy

DEADLINE = 10.0


class Ends:
    """Both ends of a connection through a proxy."""

    def __init__(self, fault: Fault | None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(DEADLINE)
            self.proxy = FaultProxy(*listener.getsockname(), fault)
            self.client = socket.create_connection((self.proxy.host, self.proxy.port), DEADLINE)
            self.server, _ = listener.accept()
            self.server.settimeout(DEADLINE)

    def __enter__(self) -> "Ends":
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.close()
        self.server.close()
        self.proxy.stop()


def read_all(end: socket.socket) -> bytes:
    """All until the end."""
    return b"".join(iter(lambda: end.recv(65536), b""))


def read(end: socket.socket, size: int) -> bytes:
    """That many bytes."""
    with end.makefile("rb") as stream:
        return stream.read(size)


def segments_received(end: socket.socket) -> int:
    """How many TCP segments with data have come: tcpi_data_segs_in of the kernel's struct tcp_info."""
    return int(struct.unpack_from("=I", end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192), 152)[0])


def test_without_a_fault_all_passes_and_is_counted() -> None:
    sent = bytes(range(256)) * 8192
    with Ends(None) as ends:
        sender = threading.Thread(target=lambda: (ends.client.sendall(sent), ends.client.shutdown(socket.SHUT_WR)))
        sender.start()
        assert read_all(ends.server) == sent
        sender.join()
        ends.server.sendall(b"answer")
        ends.server.close()
        assert read_all(ends.client) == b"answer"
        ends.client.close()
        ends.proxy.wait_closed()
        assert (ends.proxy.connections, ends.proxy.bytes_to_server) == (1, len(sent))
        assert ends.proxy.bytes_to_client == 6


def test_split_pieces_arrive_one_by_one() -> None:
    with Ends(Fault(direction="to_client", split=3)) as ends:
        ends.server.sendall(b"abcdefgh")
        assert read(ends.client, 8) == b"abcdefgh"
        assert segments_received(ends.client) == 3
        ends.client.sendall(b"ijklmnop")
        assert read(ends.server, 8) == b"ijklmnop"
        assert segments_received(ends.server) == 1


def test_a_delayed_direction_is_overtaken_by_the_other() -> None:
    with Ends(Fault(direction="to_server", delay=60)) as ends:
        ends.client.sendall(b"late")
        ends.server.sendall(b"now")
        assert ends.client.recv(100) == b"now"
        ends.proxy.wait_until(lambda proxy: proxy.bytes_to_client == 3)
        assert ends.proxy.bytes_to_server == 0


def test_a_stalled_direction_passes_nothing_and_the_other_goes_on() -> None:
    with Ends(Fault(direction="to_server", after=3, then="stall")) as ends:
        ends.client.sendall(b"abcdef")
        assert ends.server.recv(100) == b"abc"
        ends.server.sendall(b"goes on")
        assert ends.client.recv(100) == b"goes on"
        with pytest.raises(TimeoutError, match="1 of them open, 3 bytes to the server, 7 to the client"):
            ends.proxy.wait_closed(0.1)
        ends.client.close()
        ends.proxy.wait_closed()
        ends.server.setblocking(False)
        with pytest.raises(BlockingIOError):
            ends.server.recv(100)


def test_a_stalled_sender_is_not_read_from() -> None:
    with Ends(Fault(direction="to_server", then="stall")) as ends:
        ends.client.setblocking(False)
        with pytest.raises(BlockingIOError):
            for _ in range(1024):
                ends.client.send(bytes(65536))


def test_drop_ends_both_directions_politely() -> None:
    with Ends(Fault(direction="to_client", after=3, then="drop")) as ends:
        ends.client.sendall(b"never read")
        ends.server.sendall(b"abcdef")
        assert read_all(ends.client) == b"abc"
        ends.proxy.wait_until(lambda proxy: proxy.bytes_to_server == 10)
        assert read_all(ends.server) == b"never read"
        ends.client.sendall(b"too late")
        ends.client.close()
        ends.proxy.wait_closed()
        assert ends.proxy.bytes_to_server == 10


def test_reset_is_seen_by_both() -> None:
    with Ends(Fault(direction="to_client", after=3, then="reset")) as ends:
        ends.server.sendall(b"abcdef")
        assert ends.client.recv(3) == b"abc"
        for end in (ends.client, ends.server):
            with pytest.raises(ConnectionResetError):
                end.recv(100)
        ends.proxy.wait_closed()


def test_half_close_leaves_the_other_direction() -> None:
    with Ends(Fault(direction="to_client", after=3, then="half_close")) as ends:
        ends.server.sendall(b"abcdef")
        assert read_all(ends.client) == b"abc"
        ends.client.sendall(b"goes on")
        assert ends.server.recv(100) == b"goes on"
        ends.server.close()
        ends.client.close()
        ends.proxy.wait_closed()


def test_garbage_replaces_what_follows() -> None:
    with Ends(Fault(direction="to_client", after=3, then=b"!?")) as ends:
        ends.server.sendall(b"abcdef")
        ends.server.close()
        assert read_all(ends.client) == b"abc!?"


def test_after_nothing_it_happens_at_once() -> None:
    with Ends(Fault(direction="to_client", then=b"HTTP/1.1 500 No\r\n\r\n")) as ends:
        assert ends.client.recv(100) == b"HTTP/1.1 500 No\r\n\r\n"


@pytest.mark.parametrize("end", ["client", "server"])
def test_a_reset_passes_through(end: str) -> None:
    with Ends(None) as ends:
        one, other = (ends.client, ends.server) if end == "client" else (ends.server, ends.client)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        one.close()
        with pytest.raises(ConnectionResetError):
            other.recv(100)
        ends.proxy.wait_closed()


def test_an_unreachable_server_is_a_reset() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
    with (
        FaultProxy(host, port) as proxy,
        pytest.raises(ConnectionResetError),  # by recv, or by connect if that is slower than the reset
        socket.create_connection((proxy.host, proxy.port), DEADLINE) as client,
    ):
        client.recv(100)


def test_a_name_may_have_several_addresses() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        with (
            FaultProxy("localhost", listener.getsockname()[1]) as proxy,
            socket.create_connection((proxy.host, proxy.port), DEADLINE),
        ):
            listener.accept()[0].close()


def test_each_connection_has_its_fault(chat_server: ChatServer) -> None:
    def faults() -> Iterator[Fault | None]:
        yield Fault(then="reset")
        yield None
        yield Fault(direction="to_client", then="drop")

    with FaultProxy(chat_server.host, chat_server.port, faults()) as proxy:
        assert proxy.url() == f"ws://127.0.0.1:{proxy.port}/"
        assert proxy.url("wss", "/x") == f"wss://127.0.0.1:{proxy.port}/x"
        for fails in (True, False, True, False):
            if fails:
                with pytest.raises((OSError, websockets.exceptions.WebSocketException)):
                    websockets.sync.client.connect(proxy.url(), proxy=None)
            else:
                with websockets.sync.client.connect(proxy.url(), proxy=None) as client:
                    assert client.ping().wait(DEADLINE)
        proxy.wait_closed()
        assert proxy.connections == 4


def test_a_chat_survives_bytes_one_by_one(chat_server: ChatServer) -> None:
    with FaultProxy(chat_server.host, chat_server.port, Fault(split=1)) as proxy:
        with (
            WSClient(proxy.host, proxy.port, "Alice") as alice,
            WSClient(chat_server.host, chat_server.port, "Bob") as bob,
        ):
            heard = bob.messages()
            alice.send_message("hello " * 500)
            while (message := next(heard)).text != "hello " * 500:
                pass
            assert message.user.name == "Alice"
        proxy.wait_closed()


def test_stopping_closes_connections_and_may_be_repeated() -> None:
    with Ends(Fault(then="stall")) as ends:
        ends.proxy.stop()
        assert ends.client.recv(100) == b""
        assert ends.server.recv(100) == b""
        ends.proxy.stop()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((ends.proxy.host, ends.proxy.port), DEADLINE)


def test_an_error_of_the_faults_is_raised_at_the_end(chat_server: ChatServer) -> None:
    def broken() -> Iterator[Fault]:
        raise KeyError("which")
        yield Fault()

    with (
        pytest.raises(KeyError, match="which"),
        FaultProxy(chat_server.host, chat_server.port, broken()) as proxy,
        socket.create_connection((proxy.host, proxy.port), DEADLINE) as client,
    ):
        assert client.recv(100) == b""


def test_two_proxies_give_each_direction_its_fault(chat_server: ChatServer) -> None:
    with (
        FaultProxy(chat_server.host, chat_server.port, Fault(direction="to_client", then=b"fake")) as inner,
        FaultProxy(inner.host, inner.port, Fault(direction="to_server", after=3, then="stall")) as outer,
        socket.create_connection((outer.host, outer.port), DEADLINE) as client,
    ):
        client.sendall(b"abcdef")
        assert client.recv(100) == b"fake"
        inner.wait_until(lambda proxy: proxy.bytes_to_server == 3)
        assert (outer.bytes_to_server, inner.bytes_to_client, outer.bytes_to_client) == (3, 0, 4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("direction", "up"), ("delay", -1), ("delay", float("nan")), ("split", 0), ("after", -1), ("then", "explode")],
)
def test_a_fault_that_makes_no_sense_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field):
        Fault(**{field: value})  # type: ignore[arg-type]


def test_descriptors_are_given_back(chat_server: ChatServer) -> None:
    def open_files() -> int:
        gc.collect()
        return descriptors_at_rest()

    def one_round() -> None:
        faults = [Fault(then="stall"), Fault(then="drop"), Fault(then="reset"), None]
        with FaultProxy(chat_server.host, chat_server.port, faults) as proxy:
            for _ in faults:
                with contextlib.suppress(ConnectionResetError):
                    socket.create_connection((proxy.host, proxy.port), DEADLINE).close()
            proxy.wait_closed()

    one_round()
    before = open_files()
    for _ in range(5):
        one_round()
    assert open_files() == before
