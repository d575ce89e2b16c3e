"""What is secret is shown nowhere: not in the log, not by on_frame, not in a representation or an exception."""

import http.cookiejar
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import wsclient
from certificates import Certificates
from conftest import Echo, wait_until
from drivers import DRIVERS, Driven
from http_site import Page, Site, answer, redirect, upgrade
from proxies import dante, squid, tinyproxy
from raw_server import unused_port
from wsclient import ClientOptions, ReconnectPolicy, TLSOptions, WebSocketException, WSClient

SECRET = "s3cr" + "3t"  # so that no line of source has it
PATH = f"/chat?token={SECRET}"
OPTIONS: dict[str, Any] = {
    "additional_headers": {"X-Api-Key": SECRET, "Proxy-Authorization": SECRET},
    "cookies": {"session": SECRET},
    "bearer_token": SECRET,
    "tls": TLSOptions(key_password=SECRET),
}
IN_THE_URL: dict[str, Any] = OPTIONS | {"bearer_token": None}

by_each_driver = pytest.mark.parametrize("driver", DRIVERS)


class Ears:
    """Hears all that is said."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self.caplog = caplog
        self.frames = list[wsclient.Frame]()
        self.said = list[str]()
        caplog.set_level(logging.DEBUG)

    def try_out(self, driver: str, url: str, **options: Any) -> None:
        """Connect, talk and close, or fail."""
        self.look(ClientOptions(**options))
        try:
            with Driven(driver, url, on_frame=self.frames.append, **options) as driven:
                driven.call("send", "hello")
                self.look_at_all(driven.connection)
                driven.call("close")
                wait_until(lambda: f"#{driven.connection.id} closed" in self.caplog.text)
                self.look_at_all(driven.connection)
        except (WebSocketException, ValueError) as error:
            self.look(error, str(error), *traceback.format_exception(error))

    def look_at_all(self, connection: Any) -> None:
        """All that it shows."""
        for name in ("request", "response", "close_info", "timings", "tls", "extensions", "subprotocol", "state"):
            self.look(getattr(connection, name))
        self.look(connection, connection.stats())

    def look(self, *things: object) -> None:
        """Their representations."""
        self.said += map(repr, things)

    def assert_not_heard(self, *, frames: bool = False, said: str = "") -> None:
        """Enough was said, and nothing secret."""
        text = "\n".join([*self.said, *map(repr, self.frames), *map(str, self.frames), self.caplog.text])
        assert bool(self.frames) is frames
        assert said in text
        assert SECRET not in text


@pytest.fixture
def ears(caplog: pytest.LogCaptureFixture) -> Ears:
    """They listen from now on."""
    return Ears(caplog)


@by_each_driver
def test_a_connection(driver: str, ears: Ears) -> None:
    page: Page = lambda peer: upgrade(peer, f"Set-Cookie: session={SECRET}", f"X-Trace: {SECRET}")  # noqa: E731
    with Site({PATH: page}) as site:
        jar = http.cookiejar.CookieJar()
        ears.try_out(driver, site.url(PATH), **OPTIONS)
        ears.try_out(driver, site.url(PATH), **(OPTIONS | {"cookies": jar}))
        ears.try_out(driver, site.url(PATH, f"{SECRET}:{SECRET}@127.0.0.1"), **IN_THE_URL)
        assert SECRET in str(site.requests[0])
        assert site.header(2, "Authorization")
        assert [cookie.value for cookie in jar] == [SECRET]
    ears.assert_not_heard(frames=True, said="closed by this side, clean")


FAILURES: dict[str, Page] = {
    "refused": answer("401 No", f"WWW-Authenticate: Basic realm={SECRET}", "Content-Length: 6", body=SECRET.encode()),
    "not a redirect": answer("301 Elsewhere", f"Set-Cookie: session={SECRET}", "Content-Length: 0"),
    "away": redirect(f"ws://{SECRET}@127.0.0.1:1/{PATH}"),
    "around": redirect(PATH),
    "nowhere": redirect(f"ftp://{SECRET}:{SECRET}@127.0.0.1/?{SECRET}"),
    "broken": redirect(f"ws://{SECRET}:{SECRET}@127.0.0.1:99999/?{SECRET}"),
    "no upgrade": answer("200 Fine", "Content-Length: 0"),
    "no http": lambda peer: peer.sock.sendall(b"SSH-2.0\r\n\r\n"),
    "bad http": lambda peer: peer.sock.sendall(f"HTTP/1.1 {SECRET}\r\n\r\n".encode()),
    "silent": lambda peer: peer.wait_gone(),
}


@by_each_driver
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure(driver: str, failure: str, ears: Ears) -> None:
    options: dict[str, Any] = {"open_timeout": 0.3 if failure == "silent" else 10}
    with Site({PATH: FAILURES[failure]}) as site:
        ears.try_out(driver, site.url(PATH), **OPTIONS, **options)
        ears.try_out(driver, site.url(PATH, f"{SECRET}:{SECRET}@127.0.0.1"), **IN_THE_URL, **options)
        ears.try_out(driver, site.url(PATH), max_redirects=0, **OPTIONS, **options)
    ears.assert_not_heard(said="not opened")


@by_each_driver
@pytest.mark.parametrize(
    "url",
    [
        f"ws://{SECRET}:{SECRET}@127.0.0.1:1{PATH}",
        f"wss://{SECRET}:{SECRET}@127.0.0.1:1{PATH}",
        f"http://{SECRET}:{SECRET}@127.0.0.1{PATH}",
        f"ws://a:b/{SECRET}@127.0.0.1/",
        f"ws://a:b?{SECRET}@127.0.0.1/",
        f"ws://{SECRET}%40127.0.0.1:x/",
        f"ws://127.0.0.1/#{SECRET}",
        f"ws://ä:{SECRET}@[127.0.0.1/?{SECRET}",
        f"{SECRET}@127.0.0.1",
    ],
)
def test_a_url_that_leads_nowhere(driver: str, url: str, ears: Ears) -> None:
    ears.try_out(driver, url, **IN_THE_URL)
    ears.assert_not_heard()


@pytest.fixture(scope="module", params=["tinyproxy", "squid", "squid with tls", "dante"])
def proxy(request: pytest.FixtureRequest, certificates: Certificates) -> Iterator[Any]:
    """A proxy that wants the secret for a password."""
    credentials = ("alice", SECRET)
    kinds: dict[str, Callable[[], Any]] = {
        "tinyproxy": lambda: tinyproxy(credentials),
        "squid": lambda: squid(credentials),
        "squid with tls": lambda: squid(credentials, certificates.server),
        "dante": lambda: dante(credentials),
    }
    with kinds[request.param]() as running:
        yield running


@by_each_driver
def test_a_proxy(driver: str, proxy: Any, ears: Ears, certificates: Certificates, websockets_echo: Echo) -> None:
    url = f"ws://localhost:{websockets_echo.port}{PATH}"
    trust = TLSOptions(ca_file=certificates.ca, key_password=SECRET)
    options = OPTIONS | {"proxy_tls": trust}
    ears.try_out(driver, url, proxy=proxy.url, **options)
    ears.assert_not_heard(frames=True, said="closed by this side, clean")
    for wrong in (
        proxy.url_with("bob", SECRET + SECRET),
        proxy.url_with(SECRET, "x"),
        f"{proxy.scheme}://u:{SECRET}@127.0.0.1:{unused_port()}",
        f"{proxy.scheme}://u:{SECRET}@127.0.0.1:99999",
        f"gopher://u:{SECRET}@127.0.0.1",
    ):
        ears.try_out(driver, url, proxy=wrong, **options)
    ears.try_out(driver, f"ws://localhost:{unused_port()}{PATH}", proxy=proxy.url, **options)
    ears.assert_not_heard(frames=True, said="not opened")


@by_each_driver
def test_reconnecting(driver: str, ears: Ears) -> None:
    served = threading.Event()

    def serve(peer: Any) -> None:
        if served.is_set():
            answer("503 Not now", "Content-Length: 0")(peer)
        else:
            served.set()
            peer.upgrade()
            peer.read_frame()

    policy = ReconnectPolicy(initial_delay=0.01, max_attempts=2, on_open_send=[SECRET])
    with Site({PATH: serve}) as site:
        options = OPTIONS | {"bearer_token": lambda: SECRET, "reconnect": policy}
        ears.look(policy)
        with Driven(driver, site.url(PATH), on_frame=ears.frames.append, **options) as driven:
            with pytest.raises(WebSocketException) as ended:
                driven.call("recv", 10)
            ears.look(ended.value, str(ended.value), driven.connection, driven.connection.close_info)
            wait_until(lambda: "not opened" in ears.caplog.text)
    ears.assert_not_heard(frames=True, said="connection lost, the next attempt is in")


def test_a_chat_client_that_cannot_connect(ears: Ears) -> None:
    client = WSClient(url=f"ws://{SECRET}:{SECRET}@127.0.0.1:{unused_port()}{PATH}", **IN_THE_URL)
    assert not client.connect()
    ears.look(client, client.last_error, str(client.last_error))
    ears.assert_not_heard(said="connect: cannot connect")
