"""The exceptions: their tree, their attributes, and that every error of the engine becomes one of them."""

import errno
import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import websockets.exceptions

import wsclient
from wsclient import Close, Response, _core, exceptions
from wsclient.exceptions import (
    ERRORS,
    CertificateError,
    CloseTimeoutError,
    ConcurrencyError,
    ConnectError,
    ConnectionClosed,
    ConnectionClosedError,
    ConnectionClosedOK,
    CoreDetails,
    EnvelopeError,
    InvalidData,
    InvalidHandshake,
    InvalidHeader,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidState,
    InvalidStatus,
    InvalidUpgrade,
    InvalidURI,
    PayloadTooBig,
    PingTimeoutError,
    ProtocolError,
    ResolveError,
    TLSError,
    TooManyFragments,
    WebSocketException,
    WebSocketTimeout,
    WriteTimeoutError,
    from_core,
)

CLASSES = [
    value
    for value in vars(exceptions).values()
    if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == "wsclient.exceptions"
]
CLOSED = Close(1000, "bye"), Close(1001, "")
EXAMPLES: list[BaseException] = [
    ConnectionClosed(Close(1008, "no"), None),
    ConnectionClosedOK(*CLOSED, True),
    ConnectionClosedError(None, None, detail="it broke"),
    ConnectionClosedError(*CLOSED, False),
    ConnectError(errno.ECONNREFUSED, "cannot connect"),
    ResolveError(None, "no such name"),
    TLSError(None, "no shared cipher"),
    CertificateError(None, "expired"),
    InvalidProxyStatus(Response(407), "proxy p:80 wants a password"),
    InvalidURI("http://x", "scheme"),
    InvalidStatus(Response(404, "Not Found")),
    InvalidHeader("Sec-WebSocket-Accept", "x"),
    InvalidUpgrade("Upgrade"),
    PayloadTooBig(11, 10),
]
EXAMPLES += [cls("words") for cls in CLASSES if cls not in {type(example) for example in EXAMPLES}]


def details(**known: Any) -> CoreDetails:
    """What the engine knows: nothing but this."""
    nothing: CoreDetails = {
        "opened": False,
        "url": "ws://127.0.0.1:9/",
        "os_error": 0,
        "http_status": 0,
        "size": 0,
        "max_size": 0,
        "response": None,
        "received": None,
        "sent": None,
        "by": 0,
        "closed": False,
        "timings": None,
        "body": b"",
        "retry_after": -1,
    }
    return {**nothing, **known}  # type: ignore[typeddict-item]


def test_the_examples_cover_the_tree() -> None:
    assert {type(example) for example in EXAMPLES} == set(CLASSES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: type(example).__name__)
def test_it_pickles_with_all_it_has(example: BaseException) -> None:
    copied = pickle.loads(pickle.dumps(example))
    assert type(copied) is type(example)
    assert vars(copied) == vars(example)
    assert str(copied) == str(example)
    assert copied.args == example.args
    assert getattr(copied, "errno", None) == getattr(example, "errno", None)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_it_is_one_of_ours_public_and_documented(cls: type[BaseException]) -> None:
    assert issubclass(cls, WebSocketException)
    assert getattr(wsclient, cls.__name__) is cls
    assert cls.__name__ in wsclient.__all__
    assert cls.__doc__


def test_the_docstring_draws_the_tree() -> None:
    drawn: dict[str, list[str]] = {}
    stack: list[str] = []
    for line in str(exceptions.__doc__).splitlines():
        match = re.match(r"    ((?:[│ ]   )*(?:[├└]── )?)(\w+)(?: +also an? (\w+))?", line)
        if match and match[2] in vars(exceptions):
            stack[len(match[1]) // 4 :] = [match[2]]
            drawn[match[2]] = [base for base in (*stack[-2:-1], match[3]) if base]
    real = {cls.__name__: [base.__name__ for base in cls.__bases__] for cls in CLASSES}
    assert drawn == real | {"WebSocketException": []}


@pytest.mark.parametrize(
    ("cls", "builtin"),
    [
        (ConnectionClosedError, ConnectionError),
        (ConnectError, OSError),
        (ResolveError, OSError),
        (WebSocketTimeout, TimeoutError),
        (EnvelopeError, ValueError),
        (InvalidURI, ValueError),
        (InvalidState, AssertionError),
        (ConcurrencyError, RuntimeError),
    ],
)
def test_the_builtin_catches_it_too(cls: type[BaseException], builtin: type[BaseException]) -> None:
    assert issubclass(cls, builtin)


def test_a_clean_close_is_no_connection_error() -> None:
    assert not issubclass(ConnectionClosedOK, OSError)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_it_stands_where_websockets_has_it(cls: type[BaseException]) -> None:
    theirs = getattr(websockets.exceptions, cls.__name__, None)
    if theirs is not None:
        ours = {base.__name__ for base in cls.__mro__}
        assert {base.__name__ for base in theirs.__mro__} <= ours


@pytest.mark.parametrize(
    ("rcvd", "sent", "order"),
    [
        (None, None, None),
        (Close(1000, "bye"), None, None),
        (None, Close(1000, ""), None),
        (Close(1001, "x"), Close(1001, "x"), True),
        (Close(1000, ""), Close(1011, "y"), False),
    ],
)
def test_a_closed_connection_reads_as_in_websockets(rcvd: Close | None, sent: Close | None, order: bool | None) -> None:
    def frame(close: Close | None) -> websockets.frames.Close | None:
        return close and websockets.frames.Close(close.code, close.reason)

    theirs = websockets.exceptions.ConnectionClosed(frame(rcvd), frame(sent), order)
    ours = ConnectionClosed(rcvd, sent, order)
    assert str(ours) == str(theirs)
    assert (ours.code, ours.reason) == ((rcvd.code, rcvd.reason) if rcvd else (1006, ""))


def test_what_broke_it_is_in_its_words() -> None:
    assert str(ConnectionClosedError(None, None, detail="reset")) == "no close frame received or sent: reset"


def test_every_error_of_the_table_has_its_exception(root: Path) -> None:
    header = (root / "csrc/include/wsclient/wsclient.h").read_text()
    table = re.findall(r'^ +X\((\w+), (-\d+), \w+, "', header, re.MULTILINE)
    assert len(table) > 25
    assert [(name, int(code)) for name, code in table] == [(row[0], row[1]) for row in _core.errors]
    assert list(ERRORS) == [name for name, _ in table]


@pytest.mark.parametrize("name", [name for name in ERRORS if name not in {"SYSTEM", "LOST"}])
def test_an_error_becomes_its_exception(name: str) -> None:
    error = from_core(name, "what happened", details())
    assert isinstance(error, ERRORS[name])
    if name not in {"STATUS", "PROXY_STATUS", "UPGRADE", "ACCEPT", "TOO_BIG", "CLOSED"}:
        assert "what happened" in str(error)


def test_an_unknown_error_is_one_of_ours() -> None:
    assert type(from_core("NEW", "words", details())) is WebSocketException


def test_the_system_s_number_comes_along() -> None:
    error = from_core("CONNECT", "cannot connect to x: refused", details(os_error=errno.ECONNREFUSED))
    assert isinstance(error, ConnectError)
    assert (error.errno, str(error)) == (errno.ECONNREFUSED, "cannot connect to x: refused")
    assert isinstance(from_core("SYSTEM", "no descriptors", details(os_error=errno.EMFILE)), ConnectError)
    error = from_core("SYSTEM", "no random numbers", details(opened=True))
    assert type(error) is OSError
    assert str(error) == "no random numbers"


def test_a_bad_url_is_named() -> None:
    error = from_core("URL", "http://x: the scheme is not ws", details(url="http://x"))
    assert isinstance(error, InvalidURI)
    assert (error.uri, error.msg) == ("http://x", "the scheme is not ws")
    assert str(error) == "http://x isn't a valid URI: the scheme is not ws"
    error = from_core("URL", "this URL: no passwords", details(url="ws://me:secret@x/"))
    assert str(error) == "ws://***@x/ isn't a valid URI: no passwords"


def test_a_refusal_carries_the_response() -> None:
    head = b"HTTP/1.1 301 Moved\r\nLocation: ws://other/\r\n\r\n"
    error = from_core("STATUS", "", details(http_status=301, response=head))
    assert isinstance(error, InvalidStatus)
    assert error.response == Response.parse(head)
    assert "HTTP 301" in str(error)
    assert "ws://other/" in str(error)
    error = from_core("STATUS", "", details(http_status=404))
    assert isinstance(error, InvalidStatus)
    assert error.response.status_code == 404


def test_a_proxys_refusal_carries_its_response() -> None:
    head = b"HTTP/1.1 407 Who are you\r\nProxy-Authenticate: Basic\r\n\r\n"
    error = from_core("PROXY_STATUS", "", details(http_status=407, response=head))
    assert isinstance(error, InvalidProxyStatus)
    assert error.response == Response.parse(head)
    assert "HTTP 407" in str(error)
    error = from_core("PROXY_STATUS", "proxy p:80 wants a password", details(http_status=407, response=head))
    assert isinstance(error, InvalidProxyStatus)
    assert str(error) == error.detail == "proxy p:80 wants a password"


@pytest.mark.parametrize(
    ("name", "headers", "cls", "header", "value"),
    [
        ("UPGRADE", b"Connection: Upgrade\r\n", InvalidUpgrade, "Upgrade", None),
        ("UPGRADE", b"Upgrade: h2c\r\n", InvalidUpgrade, "Upgrade", "h2c"),
        ("UPGRADE", b"Upgrade: WebSocket\r\nConnection: close\r\n", InvalidUpgrade, "Connection", "close"),
        ("ACCEPT", b"Sec-WebSocket-Accept: abc\r\n", InvalidHeader, "Sec-WebSocket-Accept", "abc"),
        ("ACCEPT", b"", InvalidHeader, "Sec-WebSocket-Accept", None),
    ],
)
def test_a_wrong_header_is_named(
    name: str, headers: bytes, cls: type[InvalidHeader], header: str, value: str | None
) -> None:
    error = from_core(name, "", details(response=b"HTTP/1.1 101 X\r\n" + headers + b"\r\n"))
    assert type(error) is cls
    assert (error.name, error.value) == (header, value)
    assert str(error) == str(getattr(websockets.exceptions, cls.__name__)(header, value))


@pytest.mark.parametrize("code", [1000, 1001, 1005])
def test_a_clean_close_is_ok(code: int) -> None:
    known = details(opened=True, closed=True, received=(code, "bye"), sent=(code, "bye"), by=2)
    error = from_core("CLOSED", "", known)
    assert isinstance(error, ConnectionClosedOK)
    assert (error.rcvd, error.sent, error.rcvd_then_sent) == (Close(code, "bye"), Close(code, "bye"), True)


@pytest.mark.parametrize(
    ("received", "sent"),
    [((1011, ""), (1011, "")), ((1000, ""), (3000, "")), ((1000, ""), None), (None, (1000, "")), (None, None)],
)
def test_another_close_is_an_error(received: tuple[int, str] | None, sent: tuple[int, str] | None) -> None:
    error = from_core("CLOSED", "", details(opened=True, closed=True, received=received, sent=sent, by=1))
    assert isinstance(error, ConnectionClosedError)
    assert error.rcvd_then_sent is (False if received and sent else None)


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("PING_TIMEOUT", PingTimeoutError),
        ("PROTOCOL", ProtocolError),
        ("UTF8", InvalidData),
        ("TOO_BIG", PayloadTooBig),
        ("TOO_MANY_FRAGMENTS", TooManyFragments),
        ("WRITE_TIMEOUT", WriteTimeoutError),
        ("CLOSE_TIMEOUT", CloseTimeoutError),
        ("MEMORY", MemoryError),
        ("SYSTEM", OSError),
        ("LOST", EOFError),
    ],
)
def test_what_broke_an_open_connection_is_the_cause(name: str, cause: type[Exception]) -> None:
    known = details(opened=True, closed=True, sent=(1002, "bad"), by=1, size=11, max_size=10)
    error = from_core(name, "what happened", known)
    assert isinstance(error, ConnectionClosedError)
    assert (error.rcvd, error.sent, error.detail) == (None, Close(1002, "bad"), "what happened")
    assert type(error.__cause__) is cause
    if isinstance(error.__cause__, PayloadTooBig):
        assert (error.__cause__.size, error.__cause__.max_size) == (11, 10)


def test_a_reset_is_the_builtin_for_it() -> None:
    error = from_core("LOST", "reset", details(opened=True, closed=True, os_error=errno.ECONNRESET))
    assert isinstance(error.__cause__, ConnectionResetError)


@pytest.mark.parametrize("name", ["ARGUMENT", "STATE", "CONCURRENCY", "INTERRUPTED", "QUEUE_FULL", "RECEIVE_TIMEOUT"])
def test_an_error_of_one_call_is_not_the_end(name: str) -> None:
    error = from_core(name, "words", details(opened=True, closed=True))
    assert type(error) is ERRORS[name]
    assert error.__cause__ is None


@pytest.mark.parametrize("name", ["PROTOCOL", "TOO_BIG", "OPEN_TIMEOUT", "HTTP", "HEAD_TOO_BIG", "SUBPROTOCOL"])
def test_before_the_opening_an_error_is_itself(name: str) -> None:
    assert type(from_core(name, "words", details(closed=True))) is ERRORS[name]


def test_lost_in_the_handshake() -> None:
    error = from_core("LOST", "the server hung up", details(closed=True))
    assert isinstance(error, InvalidMessage)
    assert isinstance(error, InvalidHandshake)
    assert str(error) == "the server hung up"
