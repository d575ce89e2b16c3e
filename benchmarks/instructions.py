"""Counts the instructions that a message costs in two revisions of wsclient, both built here and run under callgrind.

python -m benchmarks.instructions BASE [OTHER]     revisions; without OTHER, this tree as it is

What is counted is the whole process, Python and all threads; the difference between a run with many messages and one
with few is that of the messages. The server is a process of its own, and ahead wherever it can be.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .build import build, certify
from .order import Order, warm_up
from .players import BUILD, ROOT, Server
from .works import Cell

TREES = ROOT / "build" / "instructions"
LATEST = 600.0
HERE = "this tree"


@dataclass(frozen=True, slots=True)
class HotPath:
    """One hot path: what a client of an adapter does with so many messages more than in another run."""

    title: str
    module: str
    client: str
    work: str
    size: int
    few: int
    many: int


SYNC, ASYNC = "wsclient_sync", "wsclient_asyncio"
PATHS = (
    HotPath("inline, send and recv, echo 256 B", SYNC, "wsclient", "echo", 256, 300, 2300),
    HotPath("inline, recv, flood 64 B", SYNC, "wsclient", "flood", 64, 20_000, 120_000),
    HotPath("inline, recv_many, flood 64 B", SYNC, "wsclient many", "flood", 64, 50_000, 350_000),
    HotPath("inline, send, 64 B", SYNC, "wsclient", "send", 64, 1000, 9000),
    HotPath("I/O thread, on_messages, flood 64 B", SYNC, "wsclient on_messages", "flood", 64, 50_000, 350_000),
    HotPath("I/O thread, on_message, flood 64 B", SYNC, "wsclient on_message", "flood", 64, 20_000, 120_000),
    HotPath("I/O thread, send, 64 B", SYNC, "wsclient thread", "send", 64, 10_000, 60_000),
    HotPath("asyncio, send and recv, echo 256 B", ASYNC, "wsclient asyncio", "echo", 256, 300, 2300),
    HotPath("asyncio, on_message, echo 256 B", ASYNC, "wsclient asyncio on_message", "echo", 256, 300, 2300),
    HotPath("asyncio, recv, flood 64 B", ASYNC, "wsclient asyncio", "flood", 64, 20_000, 120_000),
    HotPath("asyncio, on_message, flood 64 B", ASYNC, "wsclient asyncio on_message", "flood", 64, 20_000, 120_000),
    HotPath("asyncio, send_nowait, 64 B", ASYNC, "wsclient asyncio", "send", 64, 1000, 9000),
)


def run(*command: object, **more: str) -> str:
    """Its standard output and error; what it says ends this program if it fails."""
    done = subprocess.run(
        [str(part) for part in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        cwd=ROOT,
        **more,  # type: ignore[call-overload]
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stdout}")
    return str(done.stdout)


# ---- built


def check_out(revision: str) -> Path:
    """The sources of a revision."""
    tree = TREES / run("git", "rev-parse", "--verify", f"{revision}^{{commit}}").strip()
    if not tree.exists():
        run("git", "clone", "--quiet", "--shared", "--no-checkout", ROOT, tree)
        run("git", "-C", tree, "checkout", "--quiet", "--detach", tree.name)
    return tree


def make_package(name: str) -> Path:
    """A folder to import wsclient from: of a revision, or of this tree."""
    source = ROOT if name == HERE else check_out(name)
    tree = TREES / ("here" if name == HERE else f"{source.name}-build")
    pybind11 = run(sys.executable, "-m", "pybind11", "--cmakedir").strip()
    options = (
        "-DWS_PYTHON=ON",
        "-DWS_SERVER=OFF",
        f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dpybind11_DIR={pybind11}",
    )
    run("cmake", "-S", source, "-B", tree, *options)
    run("cmake", "--build", tree, "--target", "_core")
    shutil.rmtree(tree / "package", ignore_errors=True)
    run("cmake", "--install", tree, "--component", "python", "--prefix", tree / "package")
    shutil.copytree(source / "python" / "wsclient", tree / "package" / "wsclient", dirs_exist_ok=True)
    return tree / "package"


# ---- counted


def play(package: Path, path: HotPath, order: Order, *under: str) -> str:
    """Have a worker do it, and return what it and the program that it runs under say."""
    env = {**os.environ, "PYTHONPATH": str(package), "PYTHONHASHSEED": "0"}
    command = [
        *under,
        sys.executable,
        "-m",
        "benchmarks.worker",
        path.module,
        path.client,
        str(max(os.sched_getaffinity(0))),
    ]
    line = json.dumps(asdict(replace(order, latest=LATEST)))
    done = subprocess.run(command, input=line, capture_output=True, encoding="utf-8", cwd=ROOT, env=env)
    if done.returncode or '"error"' in done.stdout:
        raise SystemExit(f"{path.title}, {package}:\n{done.stdout}{done.stderr}")
    return done.stderr


def instructions(package: Path, path: HotPath, order: Order) -> int:
    """All of them, in a process that does it."""
    said = play(package, path, order, "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    (collected,) = re.findall(r"Collected : (\d+)", said)
    return int(collected)


def messages(order: Order) -> int:
    """How many there are, the trips before an echo is measured included."""
    return order.count + (warm_up(order) if order.work == "echo" else 0)


def per_message(package: Path, path: HotPath, server: Server) -> float:
    """The instructions of one."""
    few, many = (Cell(path.work, path.size).order(server, count) for count in (path.few, path.many))
    play(package, path, few)  # what is imported is compiled now
    more = instructions(package, path, many) - instructions(package, path, few)
    return more / (messages(many) - messages(few))


def main() -> None:
    """Build, count, and print a table."""
    parser = argparse.ArgumentParser(description="instructions per message of two revisions")
    parser.add_argument("base")
    parser.add_argument("other", nargs="?", default=HERE)
    parser.add_argument("--paths", default="", help="only those with this in their titles")
    given = parser.parse_args()
    packages = [make_package(name) for name in (given.base, given.other)]
    build()
    certify()
    server = Server(min(os.sched_getaffinity(0)), BUILD / "cert.pem", BUILD / "key.pem", BUILD / "ca.pem")
    print(f"| instructions per message | {given.base} | {given.other} | ratio |\n|---|---|---|---|")
    try:
        for path in (path for path in PATHS if given.paths in path.title):
            base, other = (per_message(package, path, server) for package in packages)
            print(f"| {path.title} | {base:,.0f} | {other:,.0f} | {other / base:.3f} |", flush=True)
    finally:
        server.end()


if __name__ == "__main__":
    main()
