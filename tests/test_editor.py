"""What an editor shows: Jedi completes every option, and knows what comes out."""

import dataclasses

import jedi
import pytest

from wsclient import ClientOptions

OPTIONS = [field.name for field in dataclasses.fields(ClientOptions)]


def completions(code: str) -> set[str]:
    """What Jedi offers at the end of the code."""
    return {completion.name for completion in jedi.Script(code).complete()}


@pytest.mark.parametrize(
    ("call", "more"),
    [("wsclient.connect(", ["url"]), ("wsclient.WSClient(", ["ip", "port", "username", "url"])],
)
def test_every_option_is_completed(call: str, more: list[str]) -> None:
    offered = completions(f"import wsclient\n{call}")
    assert {f"{name}=" for name in [*OPTIONS, *more]} <= offered


def test_the_seed_s_import_is_completed() -> None:
    offered = completions("from wsclient.ws_client import WSClient\nWSClient(")
    assert {"ip=", "port=", "username=", "open_timeout="} <= offered


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("wsclient.connect('ws://x/')", {"send", "recv", "recv_as", "ping", "close", "close_info", "stats"}),
        ("wsclient.WSClient()", {"connect", "send_message", "listen", "run", "disconnect", "last_error"}),
        ("wsclient.Message('x')", {"text", "text_len", "user", "info"}),
        ("wsclient.Message('x').user", {"name"}),
    ],
)
def test_what_comes_out_is_known(value: str, names: set[str]) -> None:
    assert names <= completions(f"import wsclient\n{value}.")


def test_a_signature_is_shown_with_its_documentation() -> None:
    (signature,) = jedi.Script("import wsclient\nwsclient.connect(").get_signatures()
    names = [parameter.name for parameter in signature.params]
    assert names[:2] == ["url", "background"]
    assert names[-len(OPTIONS) :] == OPTIONS
    assert "ConnectError" in signature.docstring()
