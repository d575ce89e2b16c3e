"""The command line, as a program: in a pipe, and in a real terminal."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import IO

import pexpect
import pytest

import wsclient
from certificates import Certificates
from raw_server import DEADLINE, TEXT, Peer, RawServer, close_frame, frame, unused_port
from wsclient import MessageInfo, TLSOptions, WSClient, cli
from wsclient.testing import ChatServer

TO_ME = MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST
PLAIN = "import sys; sys.modules['prompt_toolkit'] = None; from wsclient.cli import main; sys.exit(main())"


def envelope(text: str, name: str = "Server") -> bytes:
    """A chat message in a frame."""
    return frame(TEXT, json.dumps({"user": {"name": name}, "message": {"text": text}}).encode())


def command(*arguments: object, port: int) -> list[str]:
    """The program and its arguments."""
    return [sys.executable, "-m", "wsclient", "-p", str(port), "-n", "Alice", *map(str, arguments)]


def run(
    *arguments: object, port: int, stdin: bytes = b"", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end."""
    return subprocess.run(
        command(*arguments, port=port),
        input=stdin,
        capture_output=True,
        timeout=30,
        env={**os.environ, **(env or {})},
    )


@pytest.fixture
def bob(chat_server: ChatServer) -> Iterator[WSClient]:
    """Another client in the same chat."""
    with WSClient(chat_server.host, chat_server.port, "Bob") as client:
        assert client.flush()
        yield client


# ---------------------------------------------------------------------------------------------- arguments


def test_help_and_version() -> None:
    said = run("--help", port=1)
    assert said.returncode == 0
    for option in (b"--host", b"-p", b"--port", b"-n", b"--name", b"-m", b"--message", b"--wait", b"serve"):
        assert option in said.stdout
    assert run("--version", port=1).stdout.decode() == f"wsclient {wsclient.__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        *(["--nonsense"], ["x"], ["-p", "x"], ["-p", "0"], ["-p", "65536"], ["--host", "a b"], ["--host", ""]),
        *(["-n", ""], ["-n", "a\nb"], ["-n", "x" * 129], ["-m", b"\xff"]),
        *(["--wait", "-1"], ["--wait", "soon"], ["--wait", "nan"]),
    ],
    ids=str,
)
def test_wrong_usage(arguments: list[str | bytes]) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "wsclient", *arguments], capture_output=True, timeout=30, stdin=subprocess.DEVNULL
    )
    assert said.returncode == 2
    assert said.stdout == b""
    assert said.stderr.startswith(b"usage: wsclient ")
    assert b"Traceback" not in said.stderr


# ---------------------------------------------------------------------------------------------- one message


@pytest.mark.parametrize("arguments", [["-m", "hi"], []])
def test_nobody_there(arguments: list[str]) -> None:
    port = unused_port()
    said = run(*arguments, port=port, stdin=b"hi\n")
    assert (said.returncode, said.stdout) == (1, b"")
    assert said.stderr.decode() == f"Failed to connect to 127.0.0.1:{port}: Connection refused\n"


def test_a_name_that_does_not_resolve() -> None:
    said = run("--host", "nosuch.invalid", "-m", "hi", port=9)
    assert said.returncode == 1
    assert said.stderr.startswith(b"Failed to connect to nosuch.invalid:9: ")
    assert said.stderr.count(b"\n") == 1


def test_a_server_of_another_kind() -> None:
    def serve(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(b"HTTP/1.1 404 Not Found\r\n\r\n")
        peer.wait_gone()

    with RawServer(serve) as server:
        said = run("-m", "hi", port=server.port)
    assert said.returncode == 1
    assert said.stderr.decode().startswith(f"Failed to connect to 127.0.0.1:{server.port}: ")
    assert b"404" in said.stderr


def test_one_message_and_what_comes_back() -> None:
    seen = []

    def serve(peer: Peer) -> None:
        peer.upgrade()
        seen.extend(json.loads(peer.read_frame()[2]) for _ in range(2))
        peer.sock.sendall(envelope("one") + frame(TEXT, b"no chat message") + envelope("two") + close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server:
        said = run("-m", "grüße", "--wait", 60, port=server.port)  # the server closes: that is the end
    assert seen[0] == {"user": {"name": "Alice"}, "message": {"text": "", "text_len": 0, "info": 5}}
    assert seen[1] == {"user": {"name": "Alice"}, "message": {"text": "grüße", "text_len": 7, "info": 0}}
    assert (said.returncode, said.stdout, said.stderr) == (0, b"Server: one\nServer: two\n", b"")


def test_one_message_arrives(chat_server: ChatServer, bob: WSClient) -> None:
    said = run("-m", "hello", "--wait", 0, port=chat_server.port)
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")
    message = next(bob.messages())
    assert (message.user.name, message.text) == ("Alice", "hello")


def test_a_server_that_vanishes_is_said_once() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        peer.read_frame()
        peer.reset()

    with RawServer(serve) as server:
        said = run("-m", "hi", "--wait", 60, port=server.port)
    assert (said.returncode, said.stdout) == (1, b"")
    assert said.stderr.startswith(b"The server has gone: ")
    assert said.stderr.count(b"\n") == 1


def test_a_message_that_cannot_be_sent(capsys: pytest.CaptureFixture[str]) -> None:
    # No server can be made to vanish just between the opening and the message: a client that is not connected stands
    # for one.
    client = WSClient("127.0.0.1", unused_port(), "Alice")
    assert cli._one_shot(client, "hi", 1) == 1
    assert capsys.readouterr().err.startswith("The server has gone: ")


def test_what_would_steer_the_terminal_is_escaped() -> None:
    evil = "\x1b[2J\x1b]0;title\x07\r\n\t\x7f\x9b1m\u2028\u202e\x00 grüße 世界 👨\u200d👩"
    shown = r"\x1b[2J\x1b]0;title\x07\r\n\t\x7f\x9b1m\u2028\u202e grüße 世界 👨" + "\u200d👩"

    def serve(peer: Peer) -> None:
        peer.upgrade()
        assert [peer.read_frame()[1] for _ in range(2)] == [TEXT, TEXT]
        peer.sock.sendall(envelope(evil.replace("\0", ""), "a\x1b[31m") + close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server:
        said = run("-m", "hi", "--wait", 60, port=server.port, env={"PYTHONIOENCODING": "utf-8"})
    assert said.stdout.decode() == rf"a\x1b[31m: {shown}" + "\n"
    with RawServer(serve) as server:
        said = run("-m", "hi", "--wait", 60, port=server.port, env={"PYTHONIOENCODING": "ascii"})
    assert said.stdout.decode("ascii").endswith(" gr\\xfc\\xdfe \\u4e16\\u754c \\U0001f468\\u200d\\U0001f469\n")


@pytest.mark.parametrize("arguments", [["-m", "hi", "--wait", "60"], []])
def test_ctrl_c(arguments: list[str]) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(envelope("ready"))
        peer.sock.sendall(close_frame(peer.read_close()[0]))
        peer.wait_gone()

    with RawServer(serve) as server, start(*arguments, port=server.port) as program:
        assert program.stdout
        assert program.stdout.readline() == b"Server: ready\n"
        program.send_signal(signal.SIGINT)
        assert program.wait(DEADLINE) == 130
        assert program.stderr
        assert program.stderr.read() == b""


def test_ctrl_c_while_connecting() -> None:
    asked = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read_request()
        asked.set()
        peer.wait_gone()

    with RawServer(serve) as server, start("-m", "hi", port=server.port) as program:
        assert asked.wait(DEADLINE)
        program.send_signal(signal.SIGINT)
        assert program.wait(DEADLINE) == 130
        assert program.stderr
        assert program.stderr.read() == b""


def start(*arguments: object, port: int) -> subprocess.Popen[bytes]:
    """Start it with pipes."""
    return subprocess.Popen(
        command(*arguments, port=port), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


# ---------------------------------------------------------------------------------------------- a pipe


@pytest.mark.parametrize("end", ["", "\n"])
def test_every_line_of_a_pipe_arrives(chat_server: ChatServer, bob: WSClient, end: str) -> None:
    lines = [f"line {i} {'x' * (i % 500)}" for i in range(1000)] + ["", "grüße", "the last"]
    said = run(port=chat_server.port, stdin=("\r\n".join(lines) + end).encode())
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")
    heard = bob.messages()
    assert [next(heard).text for _ in lines] == lines


def test_an_empty_pipe_is_fine(chat_server: ChatServer) -> None:
    said = run(port=chat_server.port)
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_what_no_message_may_have_is_replaced(chat_server: ChatServer, bob: WSClient) -> None:
    assert run(port=chat_server.port, stdin=b"a\0b\xffc\n").returncode == 0
    assert next(bob.messages()).text == "a\ufffdb\ufffdc"


def test_a_pipe_talks_both_ways(chat_server: ChatServer, bob: WSClient) -> None:
    heard = bob.messages()
    with start(port=chat_server.port) as program:
        assert program.stdin
        assert program.stdout
        for i in range(3):
            write_line(program.stdin, f"question {i}")
            assert next(heard).text == f"question {i}"
            bob.send_message(f"answer {i}")
            assert program.stdout.readline() == f"Bob: answer {i}\n".encode()
        program.stdin.close()
        assert program.wait(DEADLINE) == 0


def write_line(stdin: IO[bytes], line: str) -> None:
    stdin.write(line.encode() + b"\n")
    stdin.flush()


@pytest.mark.parametrize("clean", [True, False])
def test_a_server_that_goes_ends_a_pipe(clean: bool) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        if clean:
            peer.sock.sendall(close_frame(1001, "\x1b[2J"))
            peer.wait_gone()
        else:
            peer.reset()

    with RawServer(serve) as server, start(port=server.port) as program:
        assert program.wait(DEADLINE) == 1
        assert program.stderr
        (line,) = program.stderr.readlines()
        assert line.startswith(b"The server has gone: ")
        assert b"\x1b" not in line


def test_a_server_that_goes_within_a_line_ends_a_pipe() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        peer.read(10)  # of the line, which is more than the system takes without us
        peer.reset()

    with RawServer(serve) as server:
        said = run(port=server.port, stdin=b"x" * 30_000_000 + b"\n")
    assert said.returncode == 1
    assert said.stderr.startswith(b"The server has gone: ")
    assert said.stderr.count(b"\n") == 1


def test_a_reader_that_goes_is_no_disaster() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.sock.sendall(envelope("one"))
        peer.read_frame()
        assert json.loads(peer.read_frame()[2])["message"]["text"] == "go on"
        peer.sock.sendall(envelope("two") + envelope("three") + close_frame(1000))
        peer.wait_gone()

    with RawServer(serve) as server, start(port=server.port) as program:
        assert program.stdin
        assert program.stdout
        assert program.stderr
        assert program.stdout.readline() == b"Server: one\n"
        program.stdout.close()
        write_line(program.stdin, "go on")
        assert program.wait(DEADLINE) == 1
        assert b"Traceback" not in program.stderr.read()


# ---------------------------------------------------------------------------------------------- a terminal


def terminal(*arguments: str) -> pexpect.spawn:
    """A program in a terminal of its own."""
    return pexpect.spawn(
        sys.executable,
        list(arguments),
        timeout=DEADLINE,
        encoding="utf-8",
        dimensions=(24, 80),
        env={**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", "COLUMNS": "80", "LINES": "24"},
    )


@pytest.fixture
def typing(chat_server: ChatServer) -> Iterator[pexpect.spawn]:
    """The interactive command line, at its prompt."""
    child = terminal(*command(port=chat_server.port)[1:])
    child.expect("Alice>")
    yield child
    child.close(force=True)


def status(child: pexpect.spawn) -> int | None:
    """How it ended."""
    child.expect(pexpect.EOF)
    child.close()
    found: int | None = child.exitstatus
    return found


def test_typing_is_not_torn(typing: pexpect.spawn, bob: WSClient) -> None:
    heard = bob.messages()
    typing.send("half a li")
    typing.expect("half a li")
    for text in ("interrupting", "and again \x1b[31m"):
        bob.send_message(text)
        typing.expect_exact("Bob: " + text.replace("\x1b", "\\x1b"))
        typing.expect(r"\n[^\n]*Alice>[^\n]*half a li")  # drawn again, on a line of its own
    typing.send("ne\r")
    message = next(heard)
    assert (message.user.name, message.text) == ("Alice", "half a line")
    typing.send("another\r")
    assert next(heard).text == "another"


def test_ctrl_d_leaves(typing: pexpect.spawn) -> None:
    typing.send("\x04")
    assert status(typing) == 0
    assert "Traceback" not in typing.before


@pytest.mark.parametrize("typed", ["", "half a line"])
def test_ctrl_c_leaves(typing: pexpect.spawn, typed: str) -> None:
    typing.send(typed + "\x03")
    assert status(typing) == 130
    assert "Traceback" not in typing.before


def test_an_interrupt_from_outside_leaves(typing: pexpect.spawn) -> None:
    typing.kill(signal.SIGINT)
    assert status(typing) == 130
    assert "Traceback" not in typing.before


def test_a_server_that_goes_is_said(typing: pexpect.spawn, chat_server: ChatServer) -> None:
    typing.send("half a line")
    typing.expect("half a line")
    chat_server.stop()
    typing.expect("The server has gone: [^\r\n]*1001[^\r\n]*\r\n")
    assert status(typing) == 1
    assert "Traceback" not in typing.before


def test_a_line_typed_while_the_server_closes() -> None:
    closing, typed = threading.Event(), threading.Event()

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_frame()
        peer.sock.sendall(close_frame(1001))
        assert peer.read_close() == (1001, "")
        closing.set()
        assert typed.wait(DEADLINE)

    with RawServer(serve) as server:
        child = terminal(*command(port=server.port)[1:])
        child.expect("Alice>")
        assert closing.wait(DEADLINE)
        child.send("hello\r")
        child.expect("The server has gone: [^\r\n]*1001[^\r\n]*\r\n")
        typed.set()
        assert status(child) == 1


def test_a_terminal_without_prompt_toolkit(chat_server: ChatServer, bob: WSClient) -> None:
    heard = bob.messages()
    child = terminal("-c", PLAIN, *command(port=chat_server.port)[3:])
    child.sendline("hello")
    assert next(heard).text == "hello"
    bob.send_message("hello Alice")
    child.expect("Bob: hello Alice\r\n")
    child.send("\x04")
    assert status(child) == 0
    child = terminal("-c", PLAIN, *command(port=chat_server.port)[3:])
    child.sendline("still there")
    assert next(heard).text == "still there"
    child.sendintr()
    assert status(child) == 130


# ---------------------------------------------------------------------------------------------- serve


@pytest.mark.parametrize(("arguments", "host"), [([], "127.0.0.1"), (["--host", "0.0.0.0"], "0.0.0.0")])
def test_serve(arguments: list[str], host: str) -> None:
    program = subprocess.Popen([sys.executable, "-m", "wsclient", "serve", "0", *arguments], stdout=subprocess.PIPE)
    with program:
        assert program.stdout
        line = program.stdout.readline().decode()
        assert line.startswith(f"ws_server listening on ws://{host}:")
        port = int(line.rstrip("/\n").rpartition(":")[2])
        assert run("-m", "hi", "--wait", 0, port=port).returncode == 0
        program.terminate()
        assert program.wait(DEADLINE) == 0


def test_serve_with_tls(certificates: Certificates) -> None:
    own = certificates.server
    arguments = ["-m", "wsclient", "serve", "0", "--tls-cert", own.chain, "--tls-key", own.key]
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout
        url = program.stdout.readline().split()[-1]
        assert url.startswith("wss://127.0.0.1:")
        with wsclient.connect(url, tls=TLSOptions(ca_file=certificates.ca)) as ws:
            ws.ping()
        program.terminate()
        assert program.wait(DEADLINE) == 0


def test_serve_on_a_taken_port(chat_server: ChatServer) -> None:
    said = subprocess.run(
        [sys.executable, "-m", "wsclient", "serve", str(chat_server.port)], capture_output=True, timeout=30
    )
    assert said.returncode == 1
    assert str(chat_server.port).encode() in said.stderr


def test_serve_without_the_program() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "wsclient", "serve"],
        capture_output=True,
        timeout=30,
        env={**os.environ, "WS_SERVER_BIN": "/nowhere"},
    )
    assert (said.returncode, said.stdout) == (1, b"")
    assert said.stderr.startswith(b"wsclient: no ws_server at /nowhere")
    assert said.stderr.count(b"\n") == 1
