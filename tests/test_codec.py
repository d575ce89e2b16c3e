"""The envelope in Python: the table both languages are held to, and all that parse it against each other."""

import copy
import dataclasses
import functools
import gc
import json
import os
import pickle
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsclient import EnvelopeError, Message, MessageInfo, User, _codec, _core

TABLE = json.loads((Path(__file__).parent / "envelopes.json").read_text("utf-8"))
PARSERS = ["msgspec", "json"]
READERS = [_codec.decode, _codec.decode_any]  # with and without the native module
GIL_OFF = sys.version_info < (3, 14) and not getattr(sys, "_is_gil_enabled", lambda: True)()
WITHOUT_GIL = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def use_standard_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "msgspec", None)  # importing it is an ImportError now
    forget()


def forget() -> None:
    """Have the parser chosen anew."""
    for chosen in (_codec._loads, _codec._dumps):
        chosen.cache_clear()


@pytest.fixture(params=PARSERS)
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Either of the two parsers."""
    forget()
    if request.param == "json":
        use_standard_json(monkeypatch)
    yield request.param
    monkeypatch.undo()
    forget()


def test_both_parsers_are_meant(parser: str) -> None:
    chosen = _codec._loads()
    assert isinstance(chosen, functools.partial) == (parser == "json" or GIL_OFF)


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="msgspec leaves the GIL off there")
def test_without_a_gil_the_standard_library_parses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    forget()
    assert isinstance(_codec._loads(), functools.partial)
    monkeypatch.undo()
    forget()


@pytest.mark.skipif(not WITHOUT_GIL, reason="this Python has a GIL")
def test_the_gil_stays_off(tmp_path: Path) -> None:
    """Before 3.14 msgspec would turn it on again: this one is not to be imported."""
    if sys.version_info < (3, 14):
        (tmp_path / "msgspec.py").write_text("raise AssertionError('imported')")
    code = """
import sys
sys.path.insert(0, sys.argv[1])
import wsclient
from wsclient import _codec
text = _codec.encode(wsclient.Message("text"))
assert _codec.decode(text).text == _codec.decode_any(text).text == "text"
assert not sys._is_gil_enabled()
"""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    subprocess.run([sys.executable, "-c", code, tmp_path], env=environment, check=True, timeout=20)


@pytest.mark.parametrize("case", TABLE["envelopes"], ids=lambda case: case["name"])
def test_the_table(parser: str, case: dict[str, Any]) -> None:
    raw = bytes.fromhex(case["hex"]) if "hex" in case else case["json"].encode("utf-8", "surrogatepass")
    if "ok" not in case:
        for read in READERS:
            with pytest.raises((EnvelopeError, UnicodeDecodeError)):  # bad UTF-8 never comes as far as the codec
                read(raw.decode())
        return
    message = _codec.decode(raw.decode())
    assert _codec.decode_any(raw.decode()) == message
    found = {
        "name": message.user.name,
        "text": message.text,
        "text_len": message.text_len,
        "info": int(message.info),
    }
    assert found == case["ok"]


@pytest.mark.parametrize("case", TABLE["names"], ids=lambda case: ascii(case["name"])[:40])
def test_the_names(case: dict[str, Any]) -> None:
    if case["ok"]:
        _codec.check_name(case["name"])
    else:
        with pytest.raises(ValueError):
            _codec.check_name(case["name"])


@pytest.mark.parametrize("name", [None, b"me", 7])
def test_a_name_is_a_str(name: Any) -> None:
    with pytest.raises(TypeError):
        _codec.check_name(name)


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
messages = st.builds(
    Message, texts, st.builds(User, texts), st.integers(0, 2**31 - 1).map(lambda bits: MessageInfo(bits))
)


@given(messages)
def test_what_is_written_is_read(message: Message) -> None:
    for prepare in both_parsers():
        prepare()
        text = _codec.encode(message)
        assert _codec.decode(text) == _codec.decode_any(text) == message


@given(messages)
def test_what_is_written_has_the_form_of_the_protocol(message: Message) -> None:
    for prepare in both_parsers():
        prepare()
        assert json.loads(_codec.encode(message)) == {
            "user": {"name": message.user.name},
            "message": {"text": message.text, "text_len": len(message.text.encode()), "info": message.info},
        }


def both_parsers() -> Iterator[Callable[[], None]]:
    """Two steps: what follows the first uses msgspec, what follows the second the standard parser."""
    with pytest.MonkeyPatch.context() as patch:
        yield forget
        yield lambda: use_standard_json(patch)
    forget()


# JSON, and things that are almost JSON: every value is an oddity that some parser takes and another does not.
odd = st.sampled_from(
    [
        *("NaN", "-Infinity", "1e400", "-1e400", "1e-400", "1.0", "-0", "01", "+1", ".5", "5.", "0x1", "1e5", "tru"),
        *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809"),
        *('"\\u0000"', '"\\\\u0000"', '"\\ud800"', '"\\ud83d\\ude00"', '"\\udc00\\ud800"', '"\x7f"', '"\n"', '"\\x"'),
        *("1" * 400, "1" * 400 + "e-400", "0." + "1" * 400, "true", "null", '""', "\ufeff1", "1 2", "'a'", "/**/1"),
    ]
)
nested = st.recursive(
    odd | st.integers().map(str) | st.text(max_size=3).map(json.dumps),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]")
        | st.lists(st.tuples(st.sampled_from(["a", "text", "info", "name", "b\\u0000"]), inner), max_size=3).map(
            lambda pairs: "{" + ",".join(f'"{key}":{value}' for key, value in pairs) + "}"
        )
    ),
    max_leaves=5,
)


@given(nested, nested, st.sampled_from(["", ',"info":1', ',"text":"b"', ',"text_len":1.0', ',"info":2147483648']))
def test_both_parsers_give_the_same_verdict(first: str, second: str, more: str) -> None:
    text = f'{{"x":{first},"user":{{"name":"n"}},"message":{{"text":"a","text":{second}{more}}}}}'
    verdicts: list[object] = []
    for prepare in both_parsers():
        prepare()
        verdicts += [verdict(read, text) for read in READERS]
    assert verdicts == verdicts[:1] * 4


def verdict(read: Callable[[str], Message], text: str) -> Message | None:
    """What it makes of a text, ``None`` if that is no envelope to it."""
    try:
        return read(text)
    except EnvelopeError:
        return None


# Nearly plain envelopes: one with a character or two too many, too few or others.
marks = st.sampled_from(
    [*'{}[]:,"\\ \n\t-+.eE019xéǂ世🌍', "\0", "\x1f", "\x7f", "\ufeff", "\ud800", "", "null", "12345678901"]
)
edits = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 2), marks), max_size=2)


@given(st.sampled_from(["hi", "a longer text of 世界"]), st.integers(0, 2**31), edits, st.booleans())
def test_what_is_read_natively_is_what_the_parser_reads(
    text: str, info: int, edits: list[tuple[int, int, str]], spaced: bool
) -> None:
    envelope = {"user": {"name": "n"}, "message": {"text": text, "text_len": 2, "info": info}}
    written = json.dumps(envelope, ensure_ascii=False, separators=(", ", ": ") if spaced else (",", ":"))
    for place, length, mark in edits:
        written = written[:place] + mark + written[place + length :]
    assert verdict(_codec.decode, written) == verdict(_codec.decode_any, written)


@pytest.mark.parametrize("info", [0, 1, 7, 8, 2**31 - 1])
def test_what_is_read_natively_is_a_message_like_any_other(info: int) -> None:
    made = Message("hi", User("Zoë"), MessageInfo(info))
    message = _codec._read_plain(_codec.encode(made))
    assert message is not None
    assert (message, repr(message), hash(message)) == (made, repr(made), hash(made))
    assert type(message) is Message and type(message.user) is User and type(message.info) is MessageInfo
    assert pickle.loads(pickle.dumps(message)) == copy.deepcopy(message) == made
    assert dataclasses.asdict(message) == dataclasses.asdict(made)
    assert dataclasses.replace(message, text="ho") == Message("ho", made.user, made.info)
    with pytest.raises(dataclasses.FrozenInstanceError):
        message.text = "ho"  # type: ignore[misc]
    match message:
        case Message(text, User(name)):
            assert (text, name) == ("hi", "Zoë")
    assert gc.is_tracked(message)


def test_what_is_read_natively_is_freed() -> None:
    text = _codec.encode(Message("hi", User("n"), MessageInfo(64)))
    _codec.decode(text)
    before = sys.getrefcount(Message), sys.getrefcount(User), sys.getallocatedblocks()
    for _ in range(1000):
        _codec.decode(text)
    after = sys.getrefcount(Message), sys.getrefcount(User), sys.getallocatedblocks()
    assert after[:2] == before[:2]
    assert after[2] - before[2] < 100


@pytest.mark.parametrize("classes", [(1, User, MessageInfo), (Message, str, MessageInfo), (User, User, MessageInfo)])
def test_only_the_models_can_be_read_natively(classes: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        _core.envelope_reader(*classes)


@pytest.mark.parametrize("text", [b"{}", None, 1])
def test_only_a_str_is_read_natively(text: Any) -> None:
    with pytest.raises(TypeError):
        _codec._read_plain(text)


@pytest.mark.parametrize("opening", ['{"a":', "[", '{"user":['])
def test_endless_nesting_is_refused(parser: str, opening: str) -> None:
    with pytest.raises(EnvelopeError, match="nested"):
        _codec.decode(opening * 100_000)


def test_brackets_in_strings_are_no_nesting(parser: str) -> None:
    text = '[{"\\' * 50
    assert _codec.decode(_codec.encode(Message(text))).text == text


def test_an_error_says_what_is_wrong(parser: str) -> None:
    with pytest.raises(EnvelopeError, match=r"message\.info is not 0 to"):
        _codec.decode('{"user":{"name":"n"},"message":{"text":"a","info":-1}}')
    with pytest.raises(EnvelopeError, match="user is missing"):
        _codec.decode('{"message":{"text":"a"}}')
