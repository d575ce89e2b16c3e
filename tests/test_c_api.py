"""libwsclient from outside: a C program built against it, and the five functions of the seed driven through ctypes."""

import contextlib
import ctypes
import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from conftest import ROOT, Echo, Program
from wsclient import MessageInfo, WSClient
from wsclient.testing import ChatServer

DEADLINE = 10.0
JSON, RAW = 0, 1
LIBRARIES = Path(os.environ.get("WS_LIBRARIES", ROOT / "bin"))
"""Where libwsclient is: the one of make, or another build."""


class Client(ctypes.Structure):
    """wsClient."""

    _fields_ = (("impl", ctypes.c_void_p), ("user", ctypes.c_void_p))


ClientPointer = ctypes.POINTER(Client)
JsonCallback = ctypes.CFUNCTYPE(None, ClientPointer, ctypes.c_void_p, ctypes.c_long)
RawCallback = ctypes.CFUNCTYPE(None, ClientPointer, ctypes.c_char_p, ctypes.c_long)


@pytest.fixture(scope="module")
def lib() -> ctypes.CDLL:
    """libwsclient.so with its signatures."""
    lib = ctypes.CDLL(str(LIBRARIES / "libwsclient.so"))
    text = ctypes.c_char_p
    signatures = {
        "wsInitClient": (ctypes.c_int32, [ClientPointer, text, text, text]),
        "wsSendMessage": (ctypes.c_int32, [ClientPointer, text]),
        "wsSendChat": (ctypes.c_int32, [ClientPointer, text, ctypes.c_int32]),
        "wsChangeUsername": (ctypes.c_int32, [ClientPointer, text]),
        "wsSetOnMessageCallback": (ctypes.c_int32, [ClientPointer, ctypes.c_void_p, ctypes.c_int32]),
        "wsClientListen": (ctypes.c_int32, [ClientPointer]),
        "wsDeinitClient": (ctypes.c_int32, [ClientPointer]),
        "wsLastError": (text, [ClientPointer]),
        "wsErrorName": (text, [ctypes.c_int32]),
        "wsJsonUserName": (text, [ctypes.c_void_p]),
        "wsJsonText": (text, [ctypes.c_void_p]),
        "wsJsonTextLength": (ctypes.c_size_t, [ctypes.c_void_p]),
        "wsJsonInfo": (ctypes.c_int32, [ctypes.c_void_p]),
    }
    for name, (result, arguments) in signatures.items():
        getattr(lib, name).restype = result
        getattr(lib, name).argtypes = arguments
    return lib


@contextlib.contextmanager
def joined(lib: ctypes.CDLL, server: ChatServer, name: bytes) -> Iterator[Client]:
    """A connected client."""
    client = Client()
    assert lib.wsInitClient(client, server.host.encode(), str(server.port).encode(), name) == 0, lib.wsLastError(client)
    try:
        yield client
    finally:
        lib.wsDeinitClient(client)


def name_of(lib: ctypes.CDLL, code: int) -> str:
    """The name of an error code, "" for success."""
    return lib.wsErrorName(code).decode() if code else ""


def listen(lib: ctypes.CDLL, client: Client, until: Callable[[], bool]) -> None:
    """Listen until `until()` is true."""
    end = time.monotonic() + DEADLINE
    while not until():
        assert lib.wsClientListen(client) == 0, lib.wsLastError(client)
        assert time.monotonic() < end, "waited in vain"


def listen_to_the_end(lib: ctypes.CDLL, client: Client) -> int:
    """Listen until that fails; the code."""
    end = time.monotonic() + DEADLINE
    while (code := lib.wsClientListen(client)) == 0:
        assert time.monotonic() < end, "waited in vain"
    return int(code)


def envelope(name: str, text: str, info: int) -> bytes:
    """The finished JSON that the seed's client handed to wsSendMessage."""
    message = {"text": text, "text_len": len(text.encode()), "info": info}
    return json.dumps({"user": {"name": name}, "message": message}).encode()


def refused_port() -> bytes:
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1]).encode()


def build(root: Path, folder: Path, example: str) -> Path:
    """A program of docs/examples, built as the README says."""
    program = folder / example
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-Icsrc/include", f"-L{LIBRARIES}", "-lwsclient"]
    command = ["cc", f"docs/examples/{example}.c", *flags, f"-Wl,-rpath,{LIBRARIES}", "-o", program]
    subprocess.run(command, cwd=root, check=True, timeout=60)
    return program


@pytest.fixture(scope="module")
def chat_program(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """docs/examples/chat.c, built."""
    return build(root, tmp_path_factory.mktemp("c"), "chat")


def test_the_example_with_a_loop_of_its_own(root: Path, tmp_path: Path, node_echo: Echo) -> None:
    program = build(root, tmp_path, "connection")
    result = subprocess.run(
        [program, node_echo.url, "one", "zwölf", ""], capture_output=True, encoding="utf-8", timeout=DEADLINE
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "one\nzwölf\n\n", "")
    node_echo.expect("closed 1000 done")


def test_the_example_with_a_loop_of_its_own_says_what_is_wrong(root: Path, tmp_path: Path) -> None:
    program = build(root, tmp_path, "connection")
    url = f"ws://127.0.0.1:{refused_port().decode()}/"
    result = subprocess.run([program, url, "hello"], capture_output=True, text=True, timeout=DEADLINE)
    assert result.returncode == 1
    assert result.stderr.startswith("connection: ")
    assert "127.0.0.1" in result.stderr
    assert subprocess.run([program], capture_output=True, timeout=DEADLINE).returncode == 2


def test_the_example_in_c_chats(root: Path, chat_program: Path, chat_server: ChatServer) -> None:
    assert len((root / "docs/examples/chat.c").read_text().splitlines()) < 60
    heard: list[tuple[str, str]] = []
    with WSClient(chat_server.host, chat_server.port, "Dora") as dora:
        dora.set_message_callback(
            lambda client, message, at: heard.append((message.user.name, message.text)), use_json=True
        )
        with Program(chat_program, chat_server.host, str(chat_server.port), "Carol", "héllo from C", "2") as carol:
            end = time.monotonic() + DEADLINE
            while not heard:
                dora.listen(0.1)
                assert time.monotonic() < end, "the C program said nothing"
            dora.send_message("welcome")
            assert carol.line() == "Dora: welcome"
            dora.send_message("bye", MessageInfo.SEND_BACK)
            assert carol.line() == "Dora: bye"
            assert carol.wait() == 0
    assert heard == [("Carol", "héllo from C")]


def test_the_example_in_c_says_what_is_wrong(chat_program: Path) -> None:
    command = [chat_program, "127.0.0.1", refused_port(), "Carol", "hello", "1"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE)
    assert result.returncode == 1
    assert result.stderr.startswith("CONNECT: ")
    assert "127.0.0.1" in result.stderr


def test_a_c_program_links_statically(root: Path, tmp_path: Path) -> None:
    source = tmp_path / "errors.c"
    source.write_text(
        "#include <stdio.h>\n#include <wsclient/wsclient.h>\nint main(void) { return puts(wsErrorName(-13)) < 0; }\n"
    )
    libraries = [LIBRARIES / "libwsclient.a", "-lcrypto", "-ljansson", "-lpthread"]
    subprocess.run(
        ["cc", source, f"-I{root}/csrc/include", *libraries, "-o", tmp_path / "errors"], check=True, timeout=60
    )
    assert subprocess.check_output([tmp_path / "errors"], text=True, timeout=DEADLINE) == "OPEN_TIMEOUT\n"


def test_only_the_public_names_are_exported(root: Path) -> None:
    symbols = subprocess.check_output(["nm", "-D", "--defined-only", LIBRARIES / "libwsclient.so"], text=True).split(
        "\n"
    )
    names = {line.split()[-1] for line in symbols if line}
    header = (root / "csrc/include/wsclient/wsclient.h").read_text()
    assert names
    assert {name for name in names if f"{name}(" not in header} == set()


def test_raw_messages_arrive_as_they_stand(lib: ctypes.CDLL, chat_server: ChatServer) -> None:
    heard: list[tuple[dict[str, object], int]] = []
    on_message = RawCallback(lambda client, text, at: heard.append((json.loads(text), at)))
    with joined(lib, chat_server, b"Alice") as alice, joined(lib, chat_server, b"Bob") as bob:
        assert lib.wsSetOnMessageCallback(bob, on_message, RAW) == 0
        # A word of Bob's own comes back once the server has him, and so has Alice's audience.
        assert lib.wsSendMessage(bob, envelope("Bob", "ready", 3)) == 0
        listen(lib, bob, lambda: len(heard) == 1)
        assert lib.wsSendMessage(alice, envelope("Mallory", "grüße", 0)) == 0
        listen(lib, bob, lambda: len(heard) == 2)
    assert heard[1][0] == {"user": {"name": "Alice"}, "message": {"text": "grüße", "text_len": 7, "info": 0}}
    assert abs(heard[1][1] - time.time()) < 60


def test_json_messages_arrive_taken_apart(lib: ctypes.CDLL, chat_server: ChatServer) -> None:
    heard: list[tuple[str, str, int, int]] = []

    def take(client: object, message: int, at: int) -> None:
        name, text = lib.wsJsonUserName(message).decode(), lib.wsJsonText(message).decode()
        heard.append((name, text, lib.wsJsonTextLength(message), lib.wsJsonInfo(message)))

    on_message = JsonCallback(take)
    with joined(lib, chat_server, b"Alice") as alice:
        assert lib.wsSetOnMessageCallback(alice, on_message, JSON) == 0
        assert lib.wsSendChat(alice, "naïve".encode(), MessageInfo.SEND_BACK) == 0
        listen(lib, alice, lambda: len(heard) == 1)
        assert lib.wsChangeUsername(alice, b"Alicia") == 0
        assert lib.wsSendChat(alice, b"it is me", MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST) == 0
        listen(lib, alice, lambda: len(heard) == 2)
    assert heard == [("Alice", "naïve", 6, 0), ("Alicia", "it is me", 8, 0)]


def test_a_cleared_callback_is_not_called(lib: ctypes.CDLL, chat_server: ChatServer) -> None:
    alices, bobs = [], []
    for_alice = RawCallback(lambda client, text, at: alices.append(text))
    for_bob = RawCallback(lambda client, text, at: bobs.append(text))
    with joined(lib, chat_server, b"Alice") as alice, joined(lib, chat_server, b"Bob") as bob:
        assert lib.wsSetOnMessageCallback(bob, for_bob, RAW) == 0
        assert lib.wsSendChat(bob, b"ready", 3) == 0
        listen(lib, bob, lambda: len(bobs) == 1)
        assert lib.wsSetOnMessageCallback(alice, for_alice, RAW) == 0
        assert lib.wsSetOnMessageCallback(alice, None, RAW) == 0
        assert lib.wsSendChat(alice, b"for both", MessageInfo.SEND_BACK) == 0
        listen(lib, bob, lambda: len(bobs) == 2)
        # The server has sent it to both; what Alice gets before its end includes hers.
        chat_server.stop()
        assert name_of(lib, listen_to_the_end(lib, alice)) == "CLOSED"
    assert alices == []


def test_a_callback_may_leave(lib: ctypes.CDLL, chat_server: ChatServer) -> None:
    codes: list[int] = []

    def leave(client: object, text: bytes, at: int) -> None:
        codes.append(lib.wsClientListen(client))
        codes.append(lib.wsDeinitClient(client))

    on_message = RawCallback(leave)
    with joined(lib, chat_server, b"Alice") as alice:
        assert lib.wsSetOnMessageCallback(alice, on_message, RAW) == 0
        assert lib.wsSendChat(alice, b"to me", 3) == 0
        end = time.monotonic() + DEADLINE
        while not codes and time.monotonic() < end:
            lib.wsClientListen(alice)
        assert [name_of(lib, code) for code in codes] == ["CONCURRENCY", ""]
        assert alice.impl is None
        assert lib.wsClientListen(alice) < 0
        assert lib.wsSendMessage(alice, b"too late") < 0


def test_the_end_of_the_server_is_told(lib: ctypes.CDLL, chat_server: ChatServer) -> None:
    with joined(lib, chat_server, b"Alice") as alice:
        chat_server.stop()
        assert name_of(lib, listen_to_the_end(lib, alice)) == "CLOSED"
        assert lib.wsLastError(alice)


def test_ends_are_safe_twice_and_nothing_works_after(lib: ctypes.CDLL, chat_server: ChatServer) -> None:
    with joined(lib, chat_server, b"Alice") as alice:
        assert lib.wsDeinitClient(alice) == 0
        assert lib.wsDeinitClient(alice) == 0
        assert lib.wsSendMessage(alice, b"too late") < 0
        assert lib.wsSendChat(alice, b"too late", 0) < 0
        assert lib.wsClientListen(alice) < 0
        assert lib.wsSetOnMessageCallback(alice, None, RAW) in {0, -3}


def test_an_open_client_is_not_opened_again(lib: ctypes.CDLL, chat_server: ChatServer) -> None:
    with joined(lib, chat_server, b"Alice") as alice:
        again = lib.wsInitClient(alice, b"127.0.0.1", str(chat_server.port).encode(), b"Alice")
        assert name_of(lib, again) == "STATE"
        assert lib.wsSendChat(alice, b"still here", 0) == 0


@pytest.mark.parametrize(
    ("host", "port", "name", "error", "said"),
    [
        (b"127.0.0.1", None, b"Alice", "CONNECT", "127.0.0.1"),
        (b"no-such-host.invalid", b"9999", b"Alice", "RESOLVE", "no-such-host.invalid"),
        (b"127.0.0.1", b"99999", b"Alice", None, "99999"),
        (b"127.0.0.1", b"http", b"Alice", None, "http"),
        (b"127.0.0.1", None, b"", "USERNAME", ""),
        (b"127.0.0.1", None, b"tab\there", "USERNAME", ""),
        (b"127.0.0.1", None, b"x" * 129, "USERNAME", ""),
        (b"127.0.0.1", None, b"\xff\xfe", "USERNAME", ""),
        (b"127.0.0.1", None, None, "USERNAME", ""),
        (None, b"9999", b"Alice", "ARGUMENT", "host"),
    ],
)
def test_what_fails_says_why(
    lib: ctypes.CDLL, host: bytes | None, port: bytes | None, name: bytes | None, error: str | None, said: str
) -> None:
    client = Client()
    code = lib.wsInitClient(client, host, port or refused_port(), name)
    assert code < 0
    assert error in {None, name_of(lib, code)}
    text = lib.wsLastError(client).decode()
    assert text
    assert said in text
    assert lib.wsSendMessage(client, b"never sent") < 0
    assert lib.wsDeinitClient(client) == 0
    assert lib.wsDeinitClient(client) == 0


def test_no_client_is_an_error(lib: ctypes.CDLL) -> None:
    assert name_of(lib, lib.wsInitClient(None, b"127.0.0.1", b"9999", b"Alice")) == "ARGUMENT"
    assert lib.wsSendMessage(None, b"x") < 0
    assert lib.wsClientListen(None) < 0
    assert lib.wsDeinitClient(None) in {0, -2}


def test_a_zeroed_client_is_no_connection(lib: ctypes.CDLL) -> None:
    client = Client()
    assert lib.wsSendMessage(client, b"x") < 0
    assert lib.wsClientListen(client) < 0
    assert lib.wsLastError(client) == b""
    assert lib.wsDeinitClient(client) == 0
