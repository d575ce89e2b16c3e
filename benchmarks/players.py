"""The clients that are measured, each a process of its own, and the server."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from .order import Order, Sample

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bench"
LATEST = 60.0

MODULES = {
    "wsclient_sync": ("wsclient", "wsclient many", "wsclient thread", "wsclient on_message", "wsclient on_messages"),
    "wsclient_asyncio": tuple(
        f"wsclient {loop}{how}" for how in ("", " for", " many", " on_message") for loop in ("asyncio", "uvloop")
    ),
    "websockets_client": ("websockets", "websockets asyncio", "websockets uvloop"),
    "aiohttp_client": ("aiohttp asyncio", "aiohttp uvloop"),
    "picows_client": (
        "picows asyncio",
        "picows uvloop",
        "picows asyncio await",
        "picows uvloop await",
        "picows asyncio structs",
        "picows uvloop structs",
    ),
    "websocket_client": ("websocket-client",),
    "curl_cffi_client": ("curl_cffi",),
    "websocket_rs_client": (
        "websocket-rs",
        "websocket-rs asyncio",
        "websocket-rs uvloop",
        "websocket-rs asyncio await",
        "websocket-rs uvloop await",
    ),
}
"""Which module of adapters/ has which clients."""

FLOOR_WORKS = {
    "echo": "echo",
    "flood": "flood",
    "send": "send",
    "connect": "connect_resumed",
    "connect_full": "connect",
    "connections": "echo_on_all",
    "messages": "flood",
    "sizes": "echo",
}
"""What the floor can do, and by which name."""

ALONE = ("idle", "idle_full")
"""Works that need a process in which nothing was done before."""


class PlayerError(Exception):
    """A client could not do what it was asked for."""


class Player(Protocol):
    """One client."""

    name: str

    @property
    def works(self) -> tuple[str, ...]:
        """Which works it can do."""

    def play(self, order: Order) -> Sample:
        """Do it. Raises :exc:`PlayerError`."""

    def end(self) -> None:
        """End what was started."""


@dataclass
class Floor:
    """The least C that can do it: started anew for each measurement."""

    cpu: int
    name: str = "floor"
    many: bool = False

    @property
    def works(self) -> tuple[str, ...]:
        return ("send",) if self.many else tuple(FLOOR_WORKS)

    def play(self, order: Order) -> Sample:
        url = urlsplit(order.url)
        path = f"{url.path}?{url.query}"
        work = "send_many" if self.many else FLOOR_WORKS[order.work]
        command = [BUILD / "c" / "floor", work, url.hostname, url.port, order.ca or "-", path, order.size, order.count]
        try:
            done = subprocess.run(
                [str(part) for part in command],
                capture_output=True,
                encoding="utf-8",
                timeout=LATEST,
                preexec_fn=lambda: os.sched_setaffinity(0, {self.cpu}),
            )
        except subprocess.TimeoutExpired as error:
            raise PlayerError(f"floor: not done in {LATEST:g} s") from error
        if done.returncode:
            raise PlayerError(f"floor: {done.stderr.strip()}")
        return Sample(**json.loads(done.stdout))

    def end(self) -> None:
        pass


class Program:
    """A program that is spoken with by lines."""

    def __init__(self, *command: object, cpu: int) -> None:
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
            cwd=ROOT,
            preexec_fn=lambda: os.sched_setaffinity(0, {cpu}),
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, line: str = "") -> str:
        """Write a line, if there is one, and return the next that comes; "" if none does."""
        assert self._process.stdin
        try:
            if line:
                print(line, file=self._process.stdin, flush=True)
            return self._lines.get(timeout=LATEST)
        except (queue.Empty, OSError):
            return ""

    def end(self, *, at_once: bool = False) -> None:
        """End it, and wait for that."""
        assert self._process.stdin and self._process.stdout
        if at_once:
            self._process.kill()
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()


class Worker:
    """A client of an adapter."""

    def __init__(self, module: str, name: str, cpu: int) -> None:
        self.name = name
        self._command = (sys.executable, "-m", "benchmarks.worker", module, name, cpu)
        self._cpu = cpu
        self._program, self.works = self._start()

    def _start(self) -> tuple[Program, tuple[str, ...]]:
        program = Program(*self._command, cpu=self._cpu)
        hello = program.ask()
        if not hello:
            program.end()
            raise PlayerError(f"{self.name}: did not start")
        return program, tuple(json.loads(hello))

    def play(self, order: Order) -> Sample:
        if order.work not in ALONE:
            return self._ask(self._program, order)
        program, _ = self._start()
        try:
            return self._ask(program, order)
        finally:
            program.end(at_once=True)

    def _ask(self, program: Program, order: Order) -> Sample:
        answer = json.loads(program.ask(json.dumps(asdict(order))) or '{"error": "no answer"}')
        if "error" in answer:
            raise PlayerError(f"{self.name}: {answer['error']}")
        return Sample(**answer)

    def end(self) -> None:
        self._program.end()


class Server:
    """The neutral server."""

    def __init__(self, cpu: int, certificate: Path, key: Path, ca: Path) -> None:
        self._program = Program(BUILD / "c" / "server", certificate, key, cpu=cpu)
        self._ports = self._program.ask().split()
        self._ca = str(ca)
        if len(self._ports) != 2:
            self.end()
            raise PlayerError("the server did not start")

    def order(self, work: str, path: str, size: int, count: int, *, tls: bool = False) -> Order:
        """What to ask a client for, of a path with "{count}" and "{size}" in it."""
        scheme, port = ("wss", self._ports[1]) if tls else ("ws", self._ports[0])
        url = f"{scheme}://127.0.0.1:{port}{path.format(count=count, size=size)}"
        return Order(work, url, size, count, self._ca if tls else None)

    def end(self) -> None:
        self._program.end()
