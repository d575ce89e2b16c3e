"""Connections through real proxies, and what is said when a proxy refuses, fails, keeps silent or talks nonsense."""

import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

import wsclient
from certificates import Certificates, TlsEcho, server_context, tls_echo
from conftest import Echo
from proxies import Proxy, dante, known_hosts, squid, tinyproxy
from raw_server import Peer, RawServer, unused_port
from wsclient import TLSOptions, WSClient
from wsclient.exceptions import (
    CertificateError,
    ConnectError,
    InvalidProxy,
    InvalidProxyMessage,
    InvalidProxyStatus,
    OpenTimeoutError,
    ProxyError,
    ResolveError,
    TLSError,
    WebSocketException,
)
from wsclient.testing import ChatServer

DEADLINE = 10.0
USER, PASSWORD = "alice", "secret-1"
HTTP = ["tinyproxy", "squid", "squid with tls"]
FORWARD = [*HTTP, "dante"]
VARIABLES = [
    f"{name}_proxy" for name in ("ws", "wss", "socks", "http", "https", "all", "no")
]  # in small letters and in capitals


def start(kind: str, certificates: Certificates) -> AbstractContextManager[Proxy]:
    """One of FORWARD."""
    if kind == "squid with tls":
        return squid((USER, PASSWORD), certificates.server)
    return {"tinyproxy": tinyproxy, "squid": squid, "dante": dante}[kind]((USER, PASSWORD))


@pytest.fixture(scope="module", params=FORWARD)
def proxy(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Proxy]:
    """A proxy that wants a user and a password."""
    with start(request.param, certificates) as running:
        yield running


@pytest.fixture(scope="module")
def open_proxy() -> Iterator[Proxy]:
    """One that wants none."""
    with squid() as running:
        yield running


@pytest.fixture(scope="module")
def tls_server(certificates: Certificates) -> Iterator[TlsEcho]:
    with tls_echo(server_context(certificates.server)) as server:
        yield server


@pytest.fixture(scope="module")
def trust(certificates: Certificates) -> TLSOptions:
    return TLSOptions(ca_file=certificates.ca)


def echo(connection: wsclient.Connection) -> None:
    for message in ("hello", b"x" * 200_000):
        connection.send(message)
        assert connection.recv(DEADLINE) == message


def failure(url: str, proxy: str, trust: TLSOptions, open_timeout: float = DEADLINE) -> WebSocketException:
    """What connecting through this proxy raises."""
    with pytest.raises(WebSocketException) as caught:
        wsclient.connect(url, proxy=proxy, proxy_tls=trust, tls=trust, open_timeout=open_timeout).abort()
    assert isinstance(caught.value.timings, wsclient.Timings)
    return caught.value


# ---- what passes ----


def test_a_message_goes_through_a_proxy(proxy: Proxy, trust: TLSOptions, websockets_echo: Echo) -> None:
    url = f"ws://localhost:{websockets_echo.port}/"
    with wsclient.connect(url, proxy=proxy.url, proxy_tls=trust) as connection:
        echo(connection)
        assert connection.timings.proxy > 0
        assert connection.tls is None
        assert connection.remote_address == (proxy.host, proxy.port)
    proxy.wait_logged(rf"[:.]{websockets_echo.port}\b")
    assert connection.close_info == wsclient.CloseInfo("local", 1000, "", True)


def test_tls_goes_through_a_proxy(proxy: Proxy, trust: TLSOptions, tls_server: TlsEcho) -> None:
    with wsclient.connect(tls_server.url, proxy=proxy.url, proxy_tls=trust, tls=trust) as connection:
        echo(connection)
        assert connection.timings.proxy > 0
        assert connection.timings.tls > 0
        assert connection.tls is not None
        connection.send("/tls")
        agreed = json.loads(connection.recv(DEADLINE))
    assert (agreed["version"], agreed["server_name"]) == (connection.tls.version, "localhost")
    proxy.wait_logged(rf"[:.]{tls_server.port}\b")


def test_the_proxy_resolves_the_name(proxy: Proxy, trust: TLSOptions, tls_server: TlsEcho) -> None:
    url = f"wss://chat.test:{tls_server.port}/"
    with wsclient.connect(url, proxy=proxy.url, proxy_tls=trust, tls=trust, server_hostname="localhost") as connection:
        echo(connection)


@pytest.mark.parametrize("proxy", ["dante"], indirect=True)
def test_socks5_resolves_here(proxy: Proxy, trust: TLSOptions, websockets_echo: Echo, tls_server: TlsEcho) -> None:
    here = proxy.url.replace("socks5h:", "socks5:")
    assert here != proxy.url
    for url in (f"ws://localhost:{websockets_echo.port}/", tls_server.url):
        with wsclient.connect(url, proxy=here, tls=trust) as connection:
            echo(connection)
            assert connection.timings.resolve > 0
    proxy.wait_logged(rf"127\.0\.0\.1\.{tls_server.port}\b")
    error = failure("ws://nowhere.invalid/", here, trust)
    assert isinstance(error, ResolveError)
    assert re.match("host name nowhere.invalid", str(error))  # the server's, not the proxy's


@pytest.mark.parametrize("proxy", ["dante"], indirect=True)
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
def test_socks_takes_ipv6_literals(proxy: Proxy, scheme: str, certificates: Certificates, trust: TLSOptions) -> None:
    with tls_echo(server_context(certificates.server), "::1") as server:
        url = proxy.url.replace("socks5h", scheme)
        with wsclient.connect(f"wss://[::1]:{server.port}/", proxy=url, tls=trust) as connection:
            echo(connection)


def test_a_chat_goes_through_a_proxy(proxy: Proxy, trust: TLSOptions, chat_server: ChatServer) -> None:
    through = WSClient(chat_server.host, chat_server.port, "Alice", proxy=proxy.url, proxy_tls=trust)
    with through as alice, WSClient(chat_server.host, chat_server.port, "Bob") as bob:
        heard = bob.messages()
        assert alice.send_message("hello")
        assert any(message.text == "hello" and message.user.name == "Alice" for message in heard)
    proxy.wait_logged(rf"[:.]{chat_server.port}\b")


# ---- what a proxy refuses ----


@pytest.mark.parametrize(
    ("user", "password", "advice"),
    [
        (USER, "hush-hush", "does not take the user and password in its URL"),
        ("mallory", PASSWORD, "does not take the user and password in its URL"),
        (None, "", "write (them|user and password) into its URL"),
    ],
)
def test_wrong_credentials(
    proxy: Proxy,
    user: str | None,
    password: str,
    advice: str,
    trust: TLSOptions,
    websockets_echo: Echo,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    url = proxy.url_with(user, password) if user else f"{proxy.scheme}://{proxy.host}:{proxy.port}"
    error = failure(f"ws://127.0.0.1:{websockets_echo.port}/", url, trust)
    assert re.search(advice, str(error))
    assert f"proxy {proxy.host}:{proxy.port} " in str(error)
    if proxy.scheme.startswith("http"):
        assert isinstance(error, InvalidProxyStatus)
        assert error.response.status_code in ((401, 407) if user else (407,))
        assert f"HTTP {error.response.status_code}" in str(error)
        assert "Basic" in (error.response.headers.get("Proxy-Authenticate") or "Basic")
    else:
        assert type(error) is ProxyError
    for secret in (user, password) if user else ():
        assert secret not in f"{error} {error!r} {error.args} {caplog.text}"


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_a_server_that_refuses_the_proxy(proxy: Proxy, scheme: str, trust: TLSOptions) -> None:
    port = unused_port()
    error = failure(f"{scheme}://127.0.0.1:{port}/", proxy.url, trust)
    assert isinstance(error, ProxyError)
    assert re.search(rf"proxy 127.0.0.1:{proxy.port} .* 127.0.0.1:{port}", str(error))
    assert re.search("does not reach that server|connection refused", str(error))
    assert PASSWORD not in str(error)


def test_a_name_that_the_proxy_does_not_know(proxy: Proxy, trust: TLSOptions) -> None:
    error = failure("ws://nowhere.invalid/", proxy.url, trust)
    assert isinstance(error, ProxyError)
    assert "nowhere.invalid:80" in str(error)
    assert re.search("does not reach that server|host unreachable", str(error))


# ---- proxies that are not there, or not what they should be ----


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_proxy_that_is_down(scheme: str, trust: TLSOptions) -> None:
    port = unused_port()
    error = failure("ws://127.0.0.1:9/", f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{port}", trust)
    assert isinstance(error, ConnectError)
    assert isinstance(error.errno, int)
    assert os.strerror(error.errno) == "Connection refused"
    assert str(error).startswith(f"proxy 127.0.0.1 port {port}: ")
    assert PASSWORD not in str(error)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_proxy_whose_name_does_not_resolve(scheme: str, trust: TLSOptions) -> None:
    error = failure("ws://127.0.0.1:9/", f"{scheme}://nowhere.invalid:3128", trust)
    assert isinstance(error, ResolveError)
    assert str(error).startswith("proxy nowhere.invalid port 3128: ")


def closes(peer: Peer) -> None:
    peer.read(3)


def resets(peer: Peer) -> None:
    peer.read(3)
    peer.reset()


def says(answer: bytes) -> Callable[[Peer], None]:
    def serve(peer: Peer) -> None:
        peer.read(3)
        peer.sock.sendall(answer)
        peer.wait_gone()

    return serve


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
@pytest.mark.parametrize("serve", [closes, resets])
def test_a_proxy_that_hangs_up(
    scheme: str, serve: Callable[[Peer], None], certificates: Certificates, trust: TLSOptions
) -> None:
    tls = server_context(certificates.server) if scheme == "https" else None
    with RawServer(serve, tls) as server:
        error = failure("ws://127.0.0.1/", f"{scheme}://127.0.0.1:{server.port}", trust)
    assert isinstance(error, ProxyError | TLSError)  # without close_notify it may be an attack on TLS
    assert re.search(rf"proxy 127\.0\.0\.1(:| port ){server.port}\b", str(error))
    assert re.search("closed .* are scheme and port of its URL right|lost: |cut off", str(error))


@pytest.mark.parametrize(
    ("scheme", "answer", "kind", "words"),
    [
        ("http", b"SSH-2.0-OpenSSH_9\r\n", InvalidProxyMessage, "does not speak HTTP"),
        ("http", b"\x05\xff", InvalidProxyMessage, "is it a SOCKS proxy"),
        ("http", b"\x15\x03\x01\x00\x02\x02\x46", InvalidProxyMessage, "does it want TLS"),
        ("http", b"HTTP/1.1 200 OK\r\n\r\nsurprise", InvalidProxyMessage, "more than the answer"),
        ("http", b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, InvalidProxyMessage, "too big"),
        ("http", b"HTTP/1.1 101 Switching\r\n\r\n", InvalidProxyStatus, "HTTP 101"),
        ("socks5h", b"HTTP/1.1 400 Bad\r\n\r\n", ProxyError, "is it an HTTP proxy"),
        ("socks5h", b"\x04\x5b", ProxyError, "does not speak SOCKS5"),
        ("socks5h", b"\x05\x01", ProxyError, "was not offered"),
        ("socks5h", b"\x05\x00\x05\x63", ProxyError, "before it was asked|unknown failure"),
    ],
)
def test_a_proxy_that_talks_nonsense(
    scheme: str, answer: bytes, kind: type[ProxyError], words: str, trust: TLSOptions
) -> None:
    with RawServer(says(answer)) as server:
        error = failure("ws://chat.example/", f"{scheme}://127.0.0.1:{server.port}", trust)
    assert type(error) is kind
    assert re.search(words, str(error))
    assert f"proxy 127.0.0.1:{server.port} " in str(error)


@pytest.mark.parametrize("scheme", ["http", "https", "socks5", "socks5h"])
def test_a_proxy_that_says_nothing(scheme: str, trust: TLSOptions) -> None:
    with RawServer(Peer.wait_gone) as server:
        error = failure("ws://127.0.0.1/", f"{scheme}://127.0.0.1:{server.port}", trust, open_timeout=0.2)
    assert isinstance(error, OpenTimeoutError)
    assert f"waiting for the proxy 127.0.0.1 port {server.port}" in str(error)
    assert error.timings
    assert error.timings.proxy > 0


def test_a_tunnel_that_stands_on_nothing(trust: TLSOptions) -> None:
    for scheme, words in (("ws", "waiting for the server's answer"), ("wss", "in the TLS handshake with chat.example")):
        with RawServer(says(b"HTTP/1.1 200 OK\r\n\r\n")) as server:
            error = failure(f"{scheme}://chat.example/", f"http://127.0.0.1:{server.port}", trust, open_timeout=0.3)
        assert isinstance(error, OpenTimeoutError)
        assert words in str(error)


@pytest.mark.parametrize("certificate", ["unknown_issuer", "expired", "wrong_name", "self_signed"])
def test_an_https_proxy_that_is_not_trusted(certificate: str, certificates: Certificates, trust: TLSOptions) -> None:
    with squid(certificate=getattr(certificates, certificate)) as running:
        error = failure("ws://127.0.0.1:9/", running.url, trust)
    assert type(error) is CertificateError
    assert str(error).startswith(f"proxy 127.0.0.1 port {running.port} (https://, with the TLS options proxy_tls): ")


def test_the_servers_tls_options_are_not_the_proxys(
    certificates: Certificates, trust: TLSOptions, tls_server: TlsEcho
) -> None:
    with squid(certificate=certificates.server) as running:
        with pytest.raises(CertificateError, match="proxy_tls"):
            wsclient.connect(tls_server.url, proxy=running.url, tls=trust)
        with pytest.raises(CertificateError) as caught:
            wsclient.connect(tls_server.url, proxy=running.url, proxy_tls=trust)
    assert "proxy" not in str(caught.value)


def test_an_http_proxy_taken_for_an_https_one(open_proxy: Proxy, trust: TLSOptions) -> None:
    error = failure("ws://127.0.0.1:9/", open_proxy.url.replace("http:", "https:"), trust)
    assert isinstance(error, TLSError)
    assert f"proxy 127.0.0.1 port {open_proxy.port}" in str(error)


# ---- the environment ----

ASK = """
import sys, wsclient
options = {"local_addr": ("127.0.0.1", 0)}  # so that nothing is reached outside this machine
try:
    with wsclient.connect(sys.argv[1], **options) as connection:
        print("proxy" if connection.timings.proxy > 0 else "direct")
except Exception as error:
    print(type(error).__name__, error)
"""


def ask(url: str, folder: Path, **environment: str) -> str:
    """Connect in a process that has this environment and knows the name chat.test."""
    inherited = {name: value for name, value in os.environ.items() if name.lower() not in VARIABLES}
    command = [sys.executable, "-c", ASK, url]
    env = inherited | known_hosts(folder) | environment
    env["LD_PRELOAD"] = f"{os.environ.get('LD_PRELOAD', '')} {env['LD_PRELOAD']}".strip()  # behind a sanitizer
    return subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, timeout=DEADLINE, check=True).stdout


@pytest.mark.parametrize("name", ["ws_proxy", "https_proxy", "http_proxy", "all_proxy", "ALL_PROXY", "HTTP_PROXY"])
def test_a_variable_names_the_proxy(name: str, open_proxy: Proxy, websockets_echo: Echo, tmp_path: Path) -> None:
    url = f"ws://chat.test:{websockets_echo.port}/"
    assert ask(url, tmp_path) == "direct\n"
    assert ask(url, tmp_path, **{name: open_proxy.url}) == "proxy\n"


def test_a_variable_names_the_proxy_for_tls(
    open_proxy: Proxy, certificates: Certificates, tls_server: TlsEcho, tmp_path: Path
) -> None:
    url = f"wss://chat.test:{tls_server.port}/"
    trust = {"SSL_CERT_FILE": str(certificates.ca)}
    wrong_name = "CertificateError TLS certificate of chat.test"  # so far and no farther
    assert ask(url, tmp_path, **trust, https_proxy=open_proxy.url).startswith(wrong_name)
    open_proxy.wait_logged(rf"CONNECT chat\.test:{tls_server.port}")
    down = f"http://127.0.0.1:{unused_port()}"
    assert ask(url, tmp_path, **trust, http_proxy=down).startswith(wrong_name)  # is for ws:// alone
    assert ask(url, tmp_path, **trust, https_proxy=down).startswith("ConnectError proxy 127.0.0.1 port")


def test_the_environments_socks_proxy_and_password(
    certificates: Certificates, websockets_echo: Echo, tmp_path: Path
) -> None:
    with dante((USER, PASSWORD)) as running:
        url = f"ws://chat.test:{websockets_echo.port}/"
        assert ask(url, tmp_path, all_proxy=running.url) == "proxy\n"
        refused = ask(url, tmp_path, all_proxy=running.url_with(USER, "hush-hush"))
    assert refused.startswith("ProxyError proxy 127.0.0.1:")
    assert "hush" not in refused


@pytest.mark.parametrize(
    ("no_proxy", "way"),
    [
        ("chat.test", "direct"),
        (".test", "direct"),
        ("*.test", "direct"),
        ("example.com, CHAT.TEST.", "direct"),
        ("*", "direct"),
        ("chat.test:{port}", "direct"),
        ("chat.test:1", "proxy"),
        ("hat.test,chat.test.example,127.0.0.0/8", "proxy"),
        ("", "proxy"),
    ],
)
def test_no_proxy(no_proxy: str, way: str, open_proxy: Proxy, websockets_echo: Echo, tmp_path: Path) -> None:
    entry = no_proxy.format(port=websockets_echo.port)
    for name in ("no_proxy", "NO_PROXY"):
        url = f"ws://chat.test:{websockets_echo.port}/"
        assert ask(url, tmp_path, **{name: entry}, all_proxy=open_proxy.url) == f"{way}\n"


@pytest.mark.parametrize(
    ("no_proxy", "by_proxy"),
    [("192.0.2.0/24", False), ("192.0.2.7", False), ("192.0.2.7:81", True), ("192.0.3.0/24", True), ("2.7", True)],
)
def test_no_proxy_for_addresses(no_proxy: str, by_proxy: bool, tmp_path: Path) -> None:
    down = f"http://127.0.0.1:{unused_port()}"  # either way fails, and says which it was
    said = ask("ws://192.0.2.7/", tmp_path, all_proxy=down, no_proxy=no_proxy)
    assert said.startswith("ConnectError proxy 127.0.0.1" if by_proxy else "ConnectError cannot connect to 192.0.2.7")


def test_loopback_needs_no_proxy(websockets_echo: Echo, tmp_path: Path) -> None:
    down = f"http://127.0.0.1:{unused_port()}"
    for host in ("127.0.0.1", "localhost"):
        assert ask(f"ws://{host}:{websockets_echo.port}/", tmp_path, all_proxy=down) == "direct\n"


def test_none_ignores_the_environment(websockets_echo: Echo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("all_proxy", f"http://127.0.0.1:{unused_port()}")
    monkeypatch.setenv("ws_proxy", "what://is.this")
    with pytest.raises(ResolveError, match=r"^host name nowhere\.invalid"):
        wsclient.connect("ws://nowhere.invalid/", proxy=None)
    with pytest.raises(InvalidProxy, match="environment variable ws_proxy: "):
        wsclient.connect("ws://nowhere.invalid/", proxy=True)
    monkeypatch.delenv("ws_proxy")
    with pytest.raises(ConnectError, match=r"^proxy 127\.0\.0\.1"):
        wsclient.connect("ws://nowhere.invalid/", proxy=True)


@pytest.mark.parametrize(
    "value", ["ftp://proxy.test", "http://", f"http://{USER}:{PASSWORD}@:80", f"socks5h://{USER}:@h", "http://a:99999"]
)
def test_a_broken_url_is_named_without_its_secrets(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidProxy, match=r"^proxy URL: ") as option:
        wsclient.connect("ws://nowhere.invalid/", proxy=value)
    monkeypatch.setenv("HTTPS_PROXY", value)
    for url in ("wss://nowhere.invalid/", "ws://nowhere.invalid/"):
        with pytest.raises(InvalidProxy, match=r"^environment variable HTTPS_PROXY: ") as variable:
            wsclient.connect(url)
    with pytest.raises(InvalidProxy, match=r"^proxy URL: "):
        WSClient("nowhere.invalid", 9999, proxy=value)
    for secret in (USER, PASSWORD):
        assert secret not in f"{option.value!r} {variable.value!r}"


# ---- interrupted ----

WAIT = """
import sys, wsclient
try:
    wsclient.connect("ws://chat.example/", proxy=sys.argv[1], open_timeout=None)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("scheme", ["http", "https", "socks5h"])
def test_waiting_for_a_proxy_is_interrupted(scheme: str) -> None:
    asked = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read(3)
        asked.set()
        peer.wait_gone()

    with RawServer(serve) as server:
        command = [sys.executable, "-c", WAIT, f"{scheme}://127.0.0.1:{server.port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            assert asked.wait(DEADLINE)
            child.send_signal(signal.SIGINT)
            try:
                said, _ = child.communicate(timeout=DEADLINE)
            finally:
                child.kill()
    assert (said, child.returncode) == ("interrupted\n", 0)
