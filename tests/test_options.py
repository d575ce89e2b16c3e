"""The options: their checks, and that every way to connect has them all."""

import dataclasses
import inspect
import logging
import re
from pathlib import Path
from typing import Any

import pytest

import wsclient
from wsclient import AsyncWSClient, ClientOptions, WSClient, _core

CALLBACKS = ["on_message", "on_messages", "on_open", "on_close", "on_error"]
BY_FIELD = {field.name: field for field in dataclasses.fields(ClientOptions)}


@pytest.mark.parametrize(
    "function",
    [wsclient.connect, wsclient.aio.connect.__init__, WSClient.__init__, AsyncWSClient.__init__],
    ids=lambda function: function.__qualname__,
)
def test_every_option_is_a_parameter(function: Any) -> None:
    keywords = {
        name: parameter
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    of_its_own = ["background", *CALLBACKS] if function is wsclient.connect else CALLBACKS
    if "WSClient" in function.__qualname__:
        of_its_own = ["url"]
    for name in of_its_own:
        assert keywords.pop(name).default is None
    assert list(keywords) == list(BY_FIELD)
    for name, parameter in keywords.items():
        assert parameter.default == BY_FIELD[name].default, name
        assert parameter.annotation == BY_FIELD[name].type, name


def test_every_option_is_documented() -> None:
    source = inspect.getsource(ClientOptions)
    for name in BY_FIELD:
        assert re.search(rf'^    {name}: .*\n    """.+"""$', source, re.MULTILINE), name


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("additional_headers", {"X-One": "1"}),
        ("additional_headers", [("X-One", "1"), ("X-One", "2")]),
        ("additional_headers", ()),
        ("origin", "http://example.com"),
        ("subprotocols", ["a", "b"]),
        ("subprotocols", ()),
        ("user_agent_header", None),
        ("open_timeout", 0.5),
        ("open_timeout", None),
        ("close_timeout", 0),
        ("max_size", None),
        ("max_size", 1),
        ("max_queue", None),
        ("max_buffer", 1),
        ("queue_policy", "drop_oldest"),
        ("logger", logging.getLogger("x")),
    ],
)
def test_what_is_right_is_taken(option: str, value: Any) -> None:
    assert getattr(ClientOptions(**{option: value}), option) == value


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("additional_headers", "X-One: 1", TypeError),
        ("additional_headers", {"X-One": 1}, TypeError),
        ("additional_headers", [("X-One",)], TypeError),
        ("additional_headers", [b"ab"], TypeError),
        ("additional_headers", 7, TypeError),
        ("additional_headers", iter([("X-One", "1")]), TypeError),
        ("origin", b"x", TypeError),
        ("subprotocols", "chat", TypeError),
        ("subprotocols", [b"chat"], TypeError),
        ("subprotocols", 7, TypeError),
        ("user_agent_header", 7, TypeError),
        ("open_timeout", "10", TypeError),
        ("open_timeout", True, TypeError),
        ("open_timeout", -1, ValueError),
        ("ping_timeout", float("nan"), ValueError),
        ("close_timeout", float("inf"), ValueError),
        ("write_timeout", -0.1, ValueError),
        ("max_size", 0, ValueError),
        ("max_size", 2.0, TypeError),
        ("max_size", True, TypeError),
        ("max_fragments", None, TypeError),
        ("max_fragments", 0, ValueError),
        ("max_head", 2**32, ValueError),
        ("compression", "gzip", TypeError),
        ("compression", True, TypeError),
        ("write_limit", 0, ValueError),
        ("max_queue", 0, ValueError),
        ("max_queue", "16", TypeError),
        ("max_buffer", 0, ValueError),
        ("max_buffer", None, TypeError),
        ("queue_policy", "drop_newest", ValueError),
        ("queue_policy", None, TypeError),
        ("logger", "wsclient", TypeError),
        ("cookies", "a=b", TypeError),
        ("cookies", {"a": 1}, TypeError),
        ("proxy", 7, TypeError),
        ("reconnect", "yes", TypeError),
    ],
)
def test_what_is_wrong_is_refused_by_name(option: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=option):
        ClientOptions(**{option: value})
    with pytest.raises(error, match=option):
        WSClient(**{option: value})
    with pytest.raises(error, match=option):
        AsyncWSClient(**{option: value})
    with pytest.raises(error, match=option):
        wsclient.connect("ws://127.0.0.1:1/", **{option: value})
    with pytest.raises(error, match=option):
        wsclient.aio.connect("ws://127.0.0.1:1/", **{option: value})


def test_unknown_options_are_refused() -> None:
    with pytest.raises(TypeError):
        wsclient.connect("ws://127.0.0.1:1/", compresion="deflate")  # type: ignore[call-arg]


def test_headers_are_not_shown() -> None:
    assert "secret" not in repr(ClientOptions(additional_headers={"Authorization": "secret"}))


def test_one_version(root: Path) -> None:
    declared = re.search(r'^version = "(.+)"$', (root / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared
    assert wsclient.__version__ == _core.version == declared[1]
    user_agent = BY_FIELD["user_agent_header"].default
    assert re.fullmatch(rf"Python/3\.\d+ wsclient/{re.escape(wsclient.__version__)}", user_agent)
