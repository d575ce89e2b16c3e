"""From a URL and options to the native handle: what the engine is given."""

import subprocess
import sys
from typing import get_type_hints

import pytest

from wsclient import InvalidURI, _core
from wsclient._handle import CoreOptions, CoreTLS, ascii_url


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("ws://127.0.0.1/a?b", "ws://127.0.0.1/a?b"),
        ("wss://bücher.example/", "wss://xn--bcher-kva.example/"),
        (
            "ws://BÜCHER.example:99/straße?größe=ü&x=%20",
            "ws://xn--bcher-kva.example:99/stra%C3%9Fe?gr%C3%B6%C3%9Fe=%C3%BC&x=%20",
        ),
        ("ws://jürgen:geheim%C3%A4@example.com/", "ws://j%C3%BCrgen:geheim%C3%A4@example.com/"),
        ("ws://例え.テスト", "ws://xn--r8jz45g.xn--zckzah"),
        ("ws://[::1]:9/é", "ws://[::1]:9/%C3%A9"),
    ],
)
def test_a_url_is_written_in_ascii(url: str, sent: str) -> None:
    assert ascii_url(url) == sent


@pytest.mark.parametrize("url", ["ws://a\u0080b.example/", "ws://" + "ü" * 70 + ".example/", "ws://ü..example/"])
def test_a_host_that_has_no_ascii_form_is_refused(url: str) -> None:
    with pytest.raises(InvalidURI):
        ascii_url(url)


def test_the_standard_librarys_idna_serves_where_there_is_no_other() -> None:
    program = """
import sys
sys.modules["idna"] = None
from wsclient._handle import ascii_url
print(ascii_url("ws://bücher.example/"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "ws://xn--bcher-kva.example/\n"


@pytest.mark.parametrize("name", [*get_type_hints(CoreOptions, localns={"CoreTLS": CoreTLS})])
def test_every_option_is_known_to_the_engine(name: str) -> None:
    with pytest.raises((TypeError, ValueError)) as refused:
        _core.WSClient("ws://127.0.0.1/", **{name: object()})  # type: ignore[misc]
    assert name in str(refused.value)
    assert "no such option" not in str(refused.value)


@pytest.mark.parametrize("name", [*get_type_hints(CoreTLS)])
def test_every_tls_option_is_known_to_the_engine(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} has the wrong type"):
        _core.WSClient("ws://127.0.0.1/", tls={name: object()})  # type: ignore[misc]


def test_no_other_option_is_known_to_the_engine() -> None:
    with pytest.raises(TypeError, match="no such option: proxi"):
        _core.WSClient("ws://127.0.0.1/", proxi="")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no such TLS option: insekure"):
        _core.WSClient("ws://127.0.0.1/", tls={"insekure": 1})  # type: ignore[typeddict-unknown-key]
