"""The proxies of the tests do what they are there for, seen with the websockets package."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import pytest
from websockets.sync.client import connect

from certificates import Certificates, TlsEcho, server_context, tls_echo
from conftest import Echo
from proxies import Proxy, dante, haproxy, nginx, squid, tinyproxy
from wsclient.testing import ChatServer

DEADLINE = 10.0
CREDENTIALS = ("alice", "secret-1")
FORWARD = ["tinyproxy", "squid", "squid with tls", "dante"]


def start(kind: str, certificates: Certificates, credentials: tuple[str, str] | None) -> AbstractContextManager[Proxy]:
    """One of FORWARD."""
    if kind == "squid with tls":
        return squid(credentials, certificates.server)
    return {"tinyproxy": tinyproxy, "squid": squid, "dante": dante}[kind](credentials)


@pytest.fixture(scope="module", params=FORWARD)
def open_proxy(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Proxy]:
    with start(request.param, certificates, None) as proxy:
        yield proxy


@pytest.fixture(scope="module", params=FORWARD)
def closed_proxy(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Proxy]:
    with start(request.param, certificates, CREDENTIALS) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def tls_server(certificates: Certificates) -> Iterator[TlsEcho]:
    with tls_echo(server_context(certificates.server)) as server:
        yield server


def speak(url: str, certificates: Certificates, proxy: str | None = None) -> None:
    """Connect and have something echoed."""
    trust = ssl.create_default_context(cafile=certificates.ca)
    more = {"proxy_ssl": trust} if proxy and proxy.startswith("https") else {}
    tls = trust if url.startswith("wss") else None
    with connect(url, proxy=proxy, ssl=tls, **more) as client:
        for message in ("hello", b"x" * 100_000):
            client.send(message)
            assert client.recv(DEADLINE) == message


def test_an_open_proxy_passes(open_proxy: Proxy, certificates: Certificates, websockets_echo: Echo) -> None:
    speak(f"ws://localhost:{websockets_echo.port}/", certificates, open_proxy.url)
    open_proxy.wait_logged(rf"[:.]{websockets_echo.port}\b")


# websockets' blocking client speaks no TLS within TLS.
@pytest.mark.parametrize("open_proxy", ["tinyproxy", "squid", "dante"], indirect=True)
def test_tls_passes_through(open_proxy: Proxy, certificates: Certificates, tls_server: TlsEcho) -> None:
    speak(tls_server.url, certificates, open_proxy.url)
    open_proxy.wait_logged(rf"[:.]{tls_server.port}\b")


def test_credentials_are_wanted(closed_proxy: Proxy, certificates: Certificates, websockets_echo: Echo) -> None:
    url = f"ws://127.0.0.1:{websockets_echo.port}/"
    speak(url, certificates, closed_proxy.url)
    closed_proxy.wait_logged(rf"[:.]{websockets_echo.port}\b")
    without = f"{closed_proxy.scheme}://127.0.0.1:{closed_proxy.port}"
    for wrong in (closed_proxy.url_with("alice", "wrong"), closed_proxy.url_with("bob", "secret-1"), without):
        with pytest.raises(Exception, match=r"HTTP 40[17]|SOCKS proxy"):
            speak(url, certificates, wrong)


@pytest.mark.parametrize("with_tls", [False, True])
@pytest.mark.parametrize("reverse", [nginx, haproxy])
def test_a_reverse_proxy_passes(
    reverse: Callable[..., AbstractContextManager[Proxy]],
    with_tls: bool,
    certificates: Certificates,
    chat_server: ChatServer,
) -> None:
    tls = ssl.create_default_context(cafile=certificates.ca) if with_tls else None
    with (
        reverse(chat_server.port, certificates.server if with_tls else None) as proxy,
        connect(proxy.url, ssl=tls, proxy=None) as client,
    ):
        client.send('{"user": {"name": "Ann"}, "message": {"text": "hi", "text_len": 2, "info": 3}}')
        assert '"text":"hi"' in str(client.recv(DEADLINE))
