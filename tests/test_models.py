"""The values: what they take, what they refuse, that they are values."""

import dataclasses
import pickle
from typing import Any

import pytest

from wsclient import Close, CloseInfo, Headers, Message, MessageInfo, Request, Response, State, Stats, Timings, User

REQUEST = b"GET /chat?x=1 HTTP/1.1\r\nHost: 127.0.0.1:9\r\nUpgrade: websocket\r\n\r\n"
RESPONSE = (
    b"HTTP/1.1 101 Switching Protocols\r\nupgrade:  websocket \r\nSet-Cookie: a=1\r\nX-Colon: a:b\r\n"
    b"set-cookie: b=2\r\nX-Empty:\r\nX-Latin: \xe9\r\n\r\n"
)


def test_a_message_has_defaults() -> None:
    message = Message("hi")
    assert (message.text, message.user, message.info) == ("hi", User(""), MessageInfo.BROADCAST)


@pytest.mark.parametrize(("text", "length"), [("", 0), ("abc", 3), ("é", 2), ("世界", 6), ("🌍", 4)])
def test_text_len_counts_bytes(text: str, length: int) -> None:
    assert Message(text).text_len == length


def test_info_is_a_mask_that_keeps_unknown_bits() -> None:
    info = Message("", info=0b1000_0101).info  # type: ignore[arg-type]
    assert isinstance(info, MessageInfo)
    assert info == 0b1000_0101
    assert info & MessageInfo.CHANGE_USERNAME
    assert info & MessageInfo.NO_BROADCAST
    assert not info & MessageInfo.SEND_BACK


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((b"hi",), TypeError, "Message.text must be str, not bytes"),
        ((None,), TypeError, "Message.text"),
        (("hi", "me"), TypeError, "Message.user must be User, not str"),
        (("hi", User(""), "0"), TypeError, "Message.info must be int, not str"),
        (("hi", User(""), True), TypeError, "Message.info must be int, not bool"),
        (("hi", User(""), -1), ValueError, "Message.info must be 0 to"),
        (("hi", User(""), 2**31), ValueError, "Message.info must be 0 to"),
        (("a\0b",), ValueError, "Message.text contains NUL"),
        (("a\ud800b",), ValueError, "Message.text has a lone surrogate at index 1"),
    ],
)
def test_what_is_no_message_is_refused(arguments: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        Message(*arguments)


@pytest.mark.parametrize(("name", "error"), [(b"x", TypeError), ("a\0", ValueError), ("\udfff", ValueError)])
def test_what_is_no_user_is_refused(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"User\.name"):
        User(name)


@pytest.mark.parametrize(
    ("close", "text"),
    [
        (Close(1000, ""), "1000 (OK)"),
        (Close(1001, "bye"), "1001 (going away) bye"),
        (Close(1005, ""), "1005 (no status received [internal])"),
        (Close(2999, "x"), "2999 (unknown) x"),
        (Close(3000, ""), "3000 (registered)"),
        (Close(4999, "y"), "4999 (private use) y"),
    ],
)
def test_a_close_frame_in_words(close: Close, text: str) -> None:
    assert str(close) == text


def test_a_close_frame_is_checked() -> None:
    with pytest.raises(TypeError):
        Close("1000", "")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        Close(1000, b"")  # type: ignore[arg-type]


def test_states_have_the_numbers_of_websockets() -> None:
    assert [state.name for state in sorted(State)] == ["CONNECTING", "OPEN", "CLOSING", "CLOSED"]
    assert list(State) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    "value",
    [
        Message("hi", User("me"), MessageInfo.SEND_BACK | 64),
        User("me"),
        Close(1000, "x"),
        CloseInfo("remote", 1001, "bye", True),
        Stats(*range(1, 13), latency=0.5, ping_p50=0.5, ping_p90=0.6, ping_p99=0.7, timings=Timings(1, 2, 3, 4, 5)),
        Request.parse(REQUEST),
        Response.parse(RESPONSE),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_are_equal_frozen_and_pickle(value: Any) -> None:
    copied = pickle.loads(pickle.dumps(value))
    assert copied == value
    assert repr(copied) == repr(value)
    field = dataclasses.fields(value)[0].name
    with pytest.raises((dataclasses.FrozenInstanceError, AttributeError)):
        setattr(value, field, None)


def test_a_request_is_parsed() -> None:
    request = Request.parse(REQUEST)
    assert request.path == "/chat?x=1"
    assert list(request.headers.raw_items()) == [("Host", "127.0.0.1:9"), ("Upgrade", "websocket")]


def test_a_response_is_parsed() -> None:
    response = Response.parse(RESPONSE)
    assert (response.status_code, response.reason_phrase) == (101, "Switching Protocols")
    assert response.headers["UPGRADE"] == "websocket"
    assert response.headers["x-colon"] == "a:b"
    assert response.headers["X-Empty"] == ""
    assert response.headers["X-Latin"] == "é"


def test_a_response_needs_no_reason_and_no_headers() -> None:
    assert Response.parse(b"HTTP/1.1 404\r\n\r\n") == Response(404, "", Headers())


def test_headers_know_no_case_and_several_values() -> None:
    headers = Response.parse(RESPONSE).headers
    assert headers.get_all("SET-COOKIE") == ["a=1", "b=2"]
    assert headers["Set-Cookie"] == "a=1, b=2"
    assert headers.get_all("X-None") == []
    assert "x-none" not in headers
    assert headers.get("x-none") is None
    with pytest.raises(KeyError):
        headers["x-none"]
    assert len(headers) == 5
    assert list(headers) == ["upgrade", "Set-Cookie", "X-Colon", "X-Empty", "X-Latin"]


def test_headers_do_not_show_values() -> None:
    headers = Headers([("Authorization", "Bearer secret")])
    assert "secret" not in repr(headers)
    assert "secret" not in repr(Request("/", headers))
    assert "Authorization" in repr(headers)
