"""nginx and haproxy in front of the chat server, with and without TLS."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack

import pytest

import wsclient
from certificates import Certificates
from conftest import Echo
from proxies import Proxy, haproxy, nginx
from raw_server import unused_port
from wsclient import TLSOptions, WSClient
from wsclient.exceptions import ConnectionClosedError, InvalidStatus
from wsclient.testing import ChatServer

DEADLINE = 10.0
Reverse = Callable[[int], AbstractContextManager[Proxy]]


@pytest.fixture(params=["nginx", "nginx with tls", "haproxy", "haproxy with tls"])
def reverse(request: pytest.FixtureRequest, certificates: Certificates) -> Reverse:
    """Starts one in front of a port."""
    name, _, tls = request.param.partition(" with ")
    program = {"nginx": nginx, "haproxy": haproxy}[name]
    return lambda port: program(port, certificates.server if tls else None)


@pytest.fixture
def chat(reverse: Reverse, chat_server: ChatServer) -> Iterator[Proxy]:
    """The chat server behind one."""
    with reverse(chat_server.port) as proxy:
        yield proxy


@pytest.fixture
def trust(certificates: Certificates) -> TLSOptions:
    return TLSOptions(ca_file=certificates.ca)


def url_of(proxy: Proxy) -> str:
    return f"{proxy.scheme}://localhost:{proxy.port}/"


def test_a_chat(chat: Proxy, trust: TLSOptions) -> None:
    with (
        WSClient(username="Alice", url=url_of(chat), tls=trust) as alice,
        WSClient(username="Bob", url=url_of(chat), tls=trust) as bob,
    ):
        for sender, hearer in ((alice, bob), (bob, alice)):
            heard = hearer.messages()
            for text in ("hello", "grüße 😀", "x" * 1_000_000):
                assert sender.send_message(text)
                message = next(message for message in heard if message.user.name == sender.username)
                while message.text != text:  # that somebody has come is said before
                    message = next(heard)
                assert message.user.name == sender.username


def test_the_closing_handshake_comes_through(reverse: Reverse, websockets_echo: Echo, trust: TLSOptions) -> None:
    with reverse(websockets_echo.port) as proxy:
        with wsclient.connect(url_of(proxy), tls=trust) as connection:
            connection.send(b"x" * 1_000_000)
            assert connection.recv(DEADLINE) == b"x" * 1_000_000
            assert connection.ping(timeout=DEADLINE) > 0
            assert (connection.tls is not None) == (proxy.scheme == "wss")
            connection.close(4001, "good bye")
        assert connection.close_info == wsclient.CloseInfo("local", 4001, "good bye", True)
        websockets_echo.expect("closed 4001 good bye")
        with wsclient.connect(url_of(proxy), tls=trust) as connection:
            connection.send("/close 4002 get out")
            with pytest.raises(ConnectionClosedError, match="4002"):
                connection.recv(DEADLINE)
        assert connection.close_info == wsclient.CloseInfo("remote", 4002, "get out", True)


def test_a_server_that_goes_away(reverse: Reverse, trust: TLSOptions) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(ChatServer())
        proxy = stack.enter_context(reverse(server.port))
        with wsclient.connect(url_of(proxy), tls=trust) as connection:
            connection.ping(timeout=DEADLINE)
            stopping = threading.Thread(target=server.stop)  # which waits for our close frame
            stopping.start()
            assert list(connection) == []  # 1001 is a clean end
        stopping.join(DEADLINE)
        assert connection.close_code == 1001


def test_a_reverse_proxy_that_stops(reverse: Reverse, chat_server: ChatServer, trust: TLSOptions) -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(reverse(chat_server.port))
        with wsclient.connect(url_of(proxy), tls=trust) as connection:
            connection.ping(timeout=DEADLINE)
            stack.close()
            with pytest.raises(ConnectionClosedError) as caught:
                connection.recv(DEADLINE)
        assert caught.value.rcvd is None
        assert isinstance(caught.value.__cause__, OSError | EOFError | wsclient.exceptions.TLSError)
        assert connection.close_info == wsclient.CloseInfo(None, 1006, "", False)


def test_a_chat_behind_a_reverse_proxy_that_stops(reverse: Reverse, chat_server: ChatServer, trust: TLSOptions) -> None:
    with ExitStack() as stack:
        proxy = stack.enter_context(reverse(chat_server.port))
        with WSClient(username="Alice", url=url_of(proxy), tls=trust) as alice:
            assert alice.flush(DEADLINE)
            stack.close()
            with pytest.raises(ConnectionClosedError):
                list(alice.messages())


def test_nothing_behind_the_reverse_proxy(reverse: Reverse, trust: TLSOptions) -> None:
    with reverse(unused_port()) as proxy, pytest.raises(InvalidStatus) as caught:
        wsclient.connect(url_of(proxy), tls=trust)
    assert caught.value.response.status_code in (502, 503)
    assert f"HTTP {caught.value.response.status_code}" in str(caught.value)


def test_the_reverse_proxys_name_is_not_the_certificates(reverse: Reverse, chat_server: ChatServer) -> None:
    with reverse(chat_server.port) as proxy:
        if proxy.scheme == "wss":
            with pytest.raises(wsclient.exceptions.CertificateError, match="localhost"):
                wsclient.connect(url_of(proxy))
        else:
            with pytest.raises(wsclient.exceptions.TLSError, match="localhost"):
                wsclient.connect(url_of(proxy).replace("ws:", "wss:"))
