"""The HTTP side of opening: redirects, credentials, cookies, refusals and what they say."""

import base64
import threading
from email.utils import formatdate
from http.cookiejar import CookieJar
from time import time

import pytest

import wsclient
from certificates import Certificates, server_context
from http_site import Site, answer, redirect, upgrade
from raw_server import Peer, RawServer, unused_port
from wsclient import ConnectError, InvalidMessage, InvalidStatus, InvalidURI, SecurityError, TLSOptions, WSClient

# ---- redirects


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    [
        "/there",
        "there",
        "ws://127.0.0.1:{port}/there",
        "http://127.0.0.1:{port}/there",
        "//127.0.0.1:{port}/there#part",
    ],
)
def test_a_redirect_is_followed(status: int, location: str) -> None:
    pages = {"/": lambda peer: redirect(location.format(port=site.port), status=status)(peer), "/there": upgrade}
    with Site(pages) as site, wsclient.connect(site.url()) as ws:
        assert ws.response.status_code == 101
        assert ws.request.path == "/there"
        assert len(site.requests) == 2


@pytest.mark.parametrize(("most", "allowed"), [(2, True), (1, False), (0, False)])
def test_max_redirects(most: int, allowed: bool) -> None:
    with Site({"/": redirect("/1"), "/1": redirect("/2"), "/2": upgrade}) as site:
        if allowed:
            wsclient.connect(site.url(), max_redirects=most).close()
        elif most:
            with pytest.raises(SecurityError, match=f"more than {most} times"):
                wsclient.connect(site.url(), max_redirects=most)
        else:
            with pytest.raises(InvalidStatus) as refused:
                wsclient.connect(site.url(), max_redirects=most)
            assert refused.value.response.status_code == 302
        assert len(site.requests) == most + 1


def test_a_circle_of_redirects_ends() -> None:
    with Site({"/": redirect("/again"), "/again": redirect("/")}) as site:
        with pytest.raises(SecurityError, match="more than 10 times"):
            wsclient.connect(site.url())
        assert len(site.requests) == 11


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "ws://[::1/", "ws://a b/", "mailto:x@y"])
def test_a_redirect_to_nowhere_is_an_error(location: str) -> None:
    with Site({"/": redirect(location)}) as site, pytest.raises(SecurityError):
        wsclient.connect(site.url())


def test_several_locations_are_an_error() -> None:
    with Site({"/": redirect("/a", "Location: /b")}) as site, pytest.raises(SecurityError, match="Location"):
        wsclient.connect(site.url())


def test_a_redirect_to_a_server_that_is_down() -> None:
    with Site({"/": redirect("ws://127.0.0.1:1/")}) as site, pytest.raises(ConnectError, match="port 1"):
        wsclient.connect(site.url())


def test_redirects_count_towards_open_timeout() -> None:
    silent = threading.Event()
    with Site({"/": redirect("/silent"), "/silent": lambda _: silent.wait(10)}) as site:
        with pytest.raises(wsclient.OpenTimeoutError, match="answer to the upgrade") as late:
            wsclient.connect(site.url(), open_timeout=0.3)
        silent.set()
        assert late.value.timings
        assert late.value.timings.upgrade > 0.2


def test_a_redirect_into_tls_but_never_out_of_it(certificates: Certificates) -> None:
    trust = TLSOptions(ca_file=certificates.ca)
    context = server_context(certificates.server)
    with Site({"/": upgrade}) as plain, Site({"/": upgrade, "/out": redirect(plain.url())}, tls=context) as secure:
        plain.pages["/in"] = redirect(secure.url())
        with wsclient.connect(plain.url("/in"), tls=trust) as ws:
            assert ws.tls
        with pytest.raises(SecurityError, match="TLS"):
            wsclient.connect(secure.url("/out"), tls=trust)
        assert len(plain.requests) == 1


def test_a_name_for_the_first_host_is_not_that_of_another(certificates: Certificates) -> None:
    trust = TLSOptions(ca_file=certificates.ca)
    here, wild = server_context(certificates.server), server_context(certificates.wildcard)
    with Site({"/": upgrade}, tls=here) as other, Site({"/": redirect(other.url())}, tls=wild) as site:
        with wsclient.connect(site.url(), tls=trust, server_hostname="a.wild.test") as ws:
            assert ws.tls
        assert len(other.requests) == 1


# ---- credentials


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(user.encode()).decode()


@pytest.mark.parametrize(
    ("userinfo", "sent"),
    [
        ("ann:secret", "ann:secret"),
        ("ann", "ann:"),
        ("%C3%A4:%3A%40%2F", "ä::@/"),
        ("ann:a:b", "ann:a:b"),
        (":x", ":x"),
    ],
)
def test_a_login_in_the_url_is_sent(userinfo: str, sent: str) -> None:
    with Site({"/": upgrade}) as site:
        wsclient.connect(f"ws://{userinfo}@127.0.0.1:{site.port}/").close()
        assert site.header(0, "Authorization") == basic(sent)
        assert site.header(0, "Host") == f"127.0.0.1:{site.port}"


def test_an_authorization_of_ones_own_goes_first() -> None:
    with Site({"/": upgrade}) as site:
        url = f"ws://ann:secret@127.0.0.1:{site.port}/"
        wsclient.connect(url, additional_headers={"authorization": "Digest x"}).close()
        assert site.header(0, "Authorization") == "Digest x"


@pytest.mark.parametrize("userinfo", ["a%zz:x", "a%00:x", "a%3Ab:x", "a%0Ab:x"])
def test_a_bad_login_is_refused_and_not_shown(userinfo: str) -> None:
    with pytest.raises(InvalidURI) as refused:
        wsclient.connect(f"ws://{userinfo}secret@127.0.0.1/")
    assert "secret" not in str(refused.value)
    assert userinfo not in str(refused.value)


def test_a_token_is_asked_for_at_each_attempt() -> None:
    tokens = iter(["first", "second", "third"])
    with Site({"/": upgrade}) as site:
        for _ in range(2):
            wsclient.connect(site.url(), bearer_token=lambda: next(tokens)).close()
        client = WSClient(url=site.url(), bearer_token=lambda: next(tokens))
        assert len(site.requests) == 2
        assert client.connect()
        client.disconnect()
        assert [site.header(number, "Authorization") for number in range(3)] == [
            "Bearer first",
            "Bearer second",
            "Bearer third",
        ]


def test_a_token_may_be_fixed_or_fail() -> None:
    with Site({"/": upgrade}) as site:
        wsclient.connect(site.url(), bearer_token="abc").close()
        assert site.header(0, "Authorization") == "Bearer abc"

        def no_token() -> str:
            raise LookupError("no token")

        with pytest.raises(LookupError):
            wsclient.connect(site.url(), bearer_token=no_token)
        with pytest.raises(ValueError, match="Authorization") as refused:
            wsclient.connect(site.url(), bearer_token="a\r\nX-Evil: 1")
        assert "Evil" not in str(refused.value)
        with pytest.raises(ValueError, match="bearer_token"):
            wsclient.connect(site.url(), bearer_token="a", additional_headers={"Authorization": "Digest x"})
        assert len(site.requests) == 1


def test_credentials_stay_with_their_host() -> None:
    with Site({"/": upgrade}, host="127.0.0.2") as other, Site({"/": redirect(other.url())}) as site:
        site.pages["/home"] = redirect("/")
        wsclient.connect(
            f"ws://ann:secret@127.0.0.1:{site.port}/home",
            cookies={"a": "1"},
            additional_headers={"X-Kept": "yes"},
        ).close()
        for number in range(2):
            assert site.header(number, "Authorization") == basic("ann:secret")
            assert site.header(number, "Cookie") == "a=1"
        assert other.header(0, "Authorization") is None
        assert other.header(0, "Cookie") is None
        assert other.header(0, "X-Kept") == "yes"
        wsclient.connect(site.url(), bearer_token="secret").close()
        assert b"secret" not in b"".join(other.requests)


# ---- cookies


def test_cookies_set_on_the_way_are_sent() -> None:
    pages = {
        "/": redirect("/deep/er", "Set-Cookie: a=1; Path=/deep", "Set-Cookie: b=2; Path=/other", "Set-Cookie: c=3"),
        "/deep/er": redirect("/deep/end", "Set-Cookie: d=4", "Set-Cookie: c=; Max-Age=0"),
        "/deep/end": upgrade,
    }
    with Site(pages) as site:
        wsclient.connect(site.url(), additional_headers={"Cookie": "own=0"}).close()
        sent = [set((site.header(number, "Cookie") or "").split("; ")) for number in range(3)]
        assert sent[0] == {"own=0"}
        assert sent[1] == {"own=0", "a=1", "c=3"}
        assert sent[2] >= {"own=0", "a=1", "d=4"}
        assert "b=2" not in sent[2]


def test_a_jar_gives_and_takes() -> None:
    jar = CookieJar()
    pages = {
        "/": redirect("/end", "Set-Cookie: hop=1; Path=/"),
        "/end": lambda peer: upgrade(peer, "Set-Cookie: session=abc; Path=/"),
        "/refused": answer("401 No", "Set-Cookie: seen=yes; Path=/", "Content-Length: 0"),
    }
    with Site(pages) as site:
        wsclient.connect(site.url(), cookies=jar).close()
        assert {cookie.name: cookie.value for cookie in jar} == {"hop": "1", "session": "abc"}
        with pytest.raises(InvalidStatus):
            wsclient.connect(site.url("/refused"), cookies=jar)
        with pytest.raises(ConnectError):
            wsclient.connect(f"ws://127.0.0.1:{unused_port()}/", cookies=jar)
        assert {cookie.name for cookie in jar} == {"hop", "session", "seen"}
        wsclient.connect(site.url(), cookies=jar).close()
        assert set((site.header(3, "Cookie") or "").split("; ")) == {"hop=1", "session=abc", "seen=yes"}
    with Site({"/": upgrade}, host="127.0.0.2") as other:
        wsclient.connect(other.url(), cookies=jar).close()
        assert other.header(0, "Cookie") is None


@pytest.mark.parametrize("cookies", [{"a": "1; b=2"}, {"a b": "1"}, {"a": "1\r\nX-Evil: 1"}, {"": "1"}, {"ä": "1"}])
def test_a_cookie_that_is_none_is_refused(cookies: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="cookies"):
        wsclient.connect("ws://127.0.0.1:1/", cookies=cookies)


# ---- refusals


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x;ext=1\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "sent", "body"),
    [
        (["Content-Length: 11"], b"no, not you", b"no, not you"),
        (["Content-Length: 2"], b"no, not you", b"no"),
        (["Transfer-Encoding: chunked"], chunks(b"no, ", b"not you"), b"no, not you"),
        (["Transfer-Encoding: chunked"], b"3\r\nno!\r\nxyz", b"no!"),
        ([], b"until the end", b"until the end"),
        (["Content-Length: 0"], b"", b""),
        (["Content-Length: 20000"], b"x" * 20000, b"x" * 8192),
        (["Transfer-Encoding: chunked"], chunks(b"x" * 5000, b"y" * 5000), b"x" * 5000 + b"y" * 3192),
        ([], b"z" * 9000, b"z" * 8192),
        (["Content-Length: 100"], b"cut off", b"cut off"),
    ],
)
def test_the_body_of_a_refusal_is_shown(headers: list[str], sent: bytes, body: bytes) -> None:
    with Site({"/": answer("403 Forbidden", *headers, body=sent)}) as site:
        with pytest.raises(InvalidStatus) as refused:
            wsclient.connect(site.url())
        assert refused.value.response.status_code == 403
        assert refused.value.response.body == body


def test_a_body_that_does_not_end_is_waited_for_a_moment_only() -> None:
    silent = threading.Event()

    def serve(peer: Peer) -> None:
        answer("503 Later", "Content-Length: 100", "Retry-After: 7", body=b"part of it")(peer)
        silent.wait(10)

    with Site({"/": serve}) as site:
        with pytest.raises(InvalidStatus) as refused:
            wsclient.connect(site.url())
        silent.set()
        assert refused.value.response.body == b"part of it"
        assert refused.value.retry_after == 7


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("120", 120),
        ("99999999999999999999", 31536000),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ("Sun, 06 Foo 1994 08:49:37 GMT", None),
        (None, None),
    ],
)
def test_retry_after(value: str | None, seconds: int | None) -> None:
    headers = ["Content-Length: 0", *([] if value is None else [f"Retry-After: {value}"])]
    with Site({"/": answer("429 Slow down", *headers)}) as site, pytest.raises(InvalidStatus) as refused:
        wsclient.connect(site.url())
    assert refused.value.retry_after == seconds


def test_retry_after_a_date() -> None:
    until = formatdate(time() + 100, usegmt=True)
    with Site({"/": answer("503 Later", f"Retry-After: {until}")}) as site, pytest.raises(InvalidStatus) as refused:
        wsclient.connect(site.url())
    assert refused.value.retry_after is not None
    assert 50 < refused.value.retry_after <= 101


def test_interim_answers_are_stepped_over() -> None:
    def serve(peer: Peer) -> None:
        peer.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
        upgrade(peer)

    with Site({"/": serve}) as site, wsclient.connect(site.url()) as ws:
        assert ws.response.status_code == 101


def test_interim_answers_without_end_are_bounded() -> None:
    flood = b"HTTP/1.1 100 Continue\r\n\r\n" * 5000
    with (
        Site({"/": lambda peer: peer.sock.sendall(flood)}) as site,
        pytest.raises(SecurityError, match="max_head"),
    ):
        wsclient.connect(site.url())


def test_a_server_that_speaks_tls_is_told_from_others() -> None:
    with (
        RawServer(lambda peer: (peer.read_request(), peer.sock.sendall(b"\x15\x03\x01\x00\x02\x02\x46"))) as server,
        pytest.raises(InvalidMessage, match="use wss://"),
    ):
        wsclient.connect(server.url)


def test_the_phases_add_up() -> None:
    with Site({"/": redirect("/end"), "/end": upgrade}) as site, wsclient.connect(site.url()) as ws:
        spent = ws.timings
        assert spent.tcp > 0
        assert spent.upgrade > 0
        assert (spent.proxy, spent.tls) == (0, 0)
