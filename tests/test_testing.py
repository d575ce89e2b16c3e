"""The chat server as a fixture: it starts, it stops, and nothing of it stays behind."""

import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import websockets.sync.client

from wsclient.testing import ChatServer, server_program

DEADLINE = 10.0


def listens(port: int) -> bool:
    """Does anybody listen there?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until_free(port: int) -> None:
    """Wait until nobody does."""
    until = time.monotonic() + DEADLINE
    while listens(port):
        assert time.monotonic() < until, f"somebody still listens on port {port}"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Is there such a process, other than a dead one nobody has looked after?"""
    try:
        return not re.search(r"^State:\s+[ZX]", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except FileNotFoundError:
        return False


def program(folder: Path, script: str) -> Path:
    """A program that stands in for the server."""
    path = folder / "ws_server"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_it_runs_for_the_block() -> None:
    with ChatServer() as server:
        assert server.host == "127.0.0.1"
        assert server.url == f"ws://127.0.0.1:{server.port}/"
        with websockets.sync.client.connect(server.url) as client:
            assert client.ping().wait(DEADLINE)
    wait_until_free(server.port)


def test_two_have_two_ports() -> None:
    with ChatServer() as one, ChatServer() as other:
        assert one.port != other.port


def test_a_port_can_be_asked_for() -> None:
    with ChatServer() as server:
        pass
    with ChatServer(server.port) as again:
        assert again.port == server.port


def test_stopping_closes_the_connections_and_may_be_repeated() -> None:
    server = ChatServer()
    with websockets.sync.client.connect(server.url) as client:
        server.stop()
        with pytest.raises(websockets.ConnectionClosedOK) as closed:
            client.recv(DEADLINE)
        assert closed.value.rcvd
        assert closed.value.rcvd.code == 1001
    server.stop()


def test_a_taken_port_is_said() -> None:
    with ChatServer() as server, pytest.raises(RuntimeError, match=f"port {server.port}"):
        ChatServer(server.port)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_dies_with_its_parent(how: int) -> None:
    code = "import time; from wsclient.testing import ChatServer; print(ChatServer().port, flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        port = int(parent.stdout.readline())
        assert listens(port)
        parent.send_signal(how)
    wait_until_free(port)


def test_it_ends_with_a_program_that_forgets_it() -> None:
    code = "from wsclient.testing import ChatServer; print(ChatServer().port)"
    port = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True, timeout=DEADLINE).stdout
    wait_until_free(int(port))


def test_what_it_prints_never_blocks_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = program(
        tmp_path,
        f'{server_program()} "$@" & trap "kill $!; wait; exit" TERM\n'
        'i=0; while [ $i -lt 20000 ]; do echo "line $i of the log" >&2; i=$((i + 1)); done; : >"$0.done"; wait',
    )
    monkeypatch.setenv("WS_SERVER_BIN", str(noisy))
    with ChatServer():
        until = time.monotonic() + DEADLINE
        while not Path(f"{noisy}.done").exists():
            assert time.monotonic() < until, "it waits for somebody to read its log"
            time.sleep(0.01)


def test_a_server_that_does_not_start_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS_SERVER_BIN", str(program(tmp_path, "echo no such luck >&2; exit 3")))
    with pytest.raises(RuntimeError, match="no such luck"):
        ChatServer()


def test_a_server_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wsclient.testing.chat_server._DEADLINE", 0.2)
    pid = tmp_path / "pid"
    deaf = program(tmp_path, f'trap "" TERM; echo $$ >{pid}; while :; do sleep 1; done')
    monkeypatch.setenv("WS_SERVER_BIN", str(deaf))
    with pytest.raises(RuntimeError, match="printed nothing"):
        ChatServer()
    until = time.monotonic() + DEADLINE
    while runs(int(pid.read_text())):
        assert time.monotonic() < until, "it still runs"
        time.sleep(0.01)


def test_a_missing_program_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WS_SERVER_BIN", "/nowhere/ws_server")
    with pytest.raises(FileNotFoundError, match=r'no ws_server at /nowhere/ws_server: run "pip install \."'):
        ChatServer()
