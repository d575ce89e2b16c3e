"""Every phase of opening ends at once by Ctrl-C and by open_timeout, which names it.

Those of proxies and TLS are in test_proxies.py, test_tls_stream.py and test_bad_network.py.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from raw_server import Peer, RawServer

DEADLINE = 20.0

# A name that takes for ever: libc's own look-up, but for one name that waits for what never comes.
SLOW = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>
#include <unistd.h>
typedef int look_up(const char*, const char*, const struct addrinfo*, struct addrinfo**);
int getaddrinfo(const char* host, const char* port, const struct addrinfo* hints, struct addrinfo** out) {
    int literal = hints && hints->ai_flags & AI_NUMERICHOST;
    while (host && !literal && strcmp(host, "slow.test") == 0) {
        write(1, "waiting\n", 8);
        pause();
    }
    return ((look_up*)dlsym(RTLD_NEXT, "getaddrinfo"))(host, port, hints, out);
}
"""
CONNECT = """
import sys, wsclient
try:
    print("waiting", flush=True)
    wsclient.connect(sys.argv[1], proxy=None, open_timeout=float(sys.argv[2]) or None)
except KeyboardInterrupt:
    print("interrupted")
except wsclient.OpenTimeoutError as error:
    print(error)
"""


@pytest.fixture(scope="module")
def slow_names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("slow")
    (folder / "slow.c").write_text(SLOW)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "slow.so", folder / "slow.c"], check=True)
    return {**os.environ, "LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {folder / 'slow.so'}".strip()}


@contextmanager
def filtered() -> Iterator[str]:
    """The URL of a port that drops what comes: its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(listener.getsockname())
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            for sock in waiting:
                sock.close()


@contextmanager
def silent() -> Iterator[tuple[str, threading.Event]]:
    """The URL of a server that never answers, and when it has been asked."""
    asked = threading.Event()

    def serve(peer: Peer) -> None:
        peer.read_request()
        asked.set()
        peer.wait_gone()

    with RawServer(serve) as server:
        yield server.url, asked


def expect(child: subprocess.Popen[str], line: str) -> None:
    assert child.stdout
    while (got := child.stdout.readline()) != f"{line}\n":
        assert got, "the child has ended"


def interrupted(
    url: str, lines: int, environment: dict[str, str] | None = None, asked: threading.Event | None = None
) -> str:
    """Interrupt a child that connects, once it has said so often that it waits, and has asked: what it says then."""
    command = [sys.executable, "-c", CONNECT, url, "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        try:
            for _ in range(lines):
                expect(child, "waiting")
            assert asked is None or asked.wait(DEADLINE)
            child.send_signal(signal.SIGINT)
            said, _ = child.communicate(timeout=DEADLINE)
        finally:
            child.kill()
    return said


def timed_out(url: str, environment: dict[str, str] | None = None) -> str:
    """Let a child run out of open_timeout: what it says."""
    command = [sys.executable, "-c", CONNECT, url, "0.3"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=DEADLINE, check=True)
    return done.stdout.splitlines()[-1]


def test_while_resolving(slow_names: dict[str, str]) -> None:
    assert interrupted("ws://slow.test/", 2, slow_names) == "interrupted\n"
    assert "still resolving slow.test" in timed_out("ws://slow.test/", slow_names)


def test_while_connecting() -> None:
    with filtered() as url:
        assert interrupted(url, 1) == "interrupted\n"
        assert "still connecting to 127.0.0.1" in timed_out(url)


def test_while_upgrading() -> None:
    with silent() as (url, asked):
        assert interrupted(url, 1, asked=asked) == "interrupted\n"
    with silent() as (url, _):
        assert "still waiting for the server's answer to the upgrade" in timed_out(url)


def test_names_that_take_for_ever_stop_nobody_else(slow_names: dict[str, str], tmp_path: Path) -> None:
    program = """
import sys, wsclient
for _ in range(6):  # more than there are threads for names
    try:
        wsclient.connect("ws://slow.test/", proxy=None, open_timeout=0.05)
    except wsclient.OpenTimeoutError as error:
        assert "resolving slow.test" in str(error)
with wsclient.connect(sys.argv[1], proxy=None) as ws:
    print(ws.state.name)
"""

    def serve(peer: Peer) -> None:
        peer.upgrade()
        peer.read_close()

    with RawServer(serve) as server:
        done = subprocess.run(
            [sys.executable, "-c", program, server.url],
            capture_output=True,
            text=True,
            env=slow_names,
            timeout=DEADLINE,
        )
    assert done.stdout.splitlines()[-1:] == ["OPEN"], done.stderr
