"""Run the Autobahn testsuite against our client and our server.

The client has three drivers: inline, the I/O thread and asyncio. The latter two are run with the sample always.

usage: run.py [all | sample] [--suite FOLDER] [--server WS_SERVER] [--out FOLDER]

"all" are the suite's 517 cases. "sample" leaves most of groups 12 and 13 out: these send 1000 messages with each of 18
sizes through each of 12 terms of compression; of every term one size is run, another for each. The results and the logs
of all programs go to FOLDER; the status is 1 if a case is not fine or did not run.
"""

import argparse
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import check

ROOT = Path(__file__).resolve().parents[2]
TERMS = [f"12.{i}" for i in range(1, 6)] + [f"13.{i}" for i in range(1, 8)]
CASES = {
    "all": ["*"],
    "sample": [f"{i}.*" for i in range(1, 11)] + [f"{term}.{size}" for size, term in enumerate(TERMS, 1)],
}
COUNT = {"all": 517, "sample": 313}
LIMIT = {"all": 3600.0, "sample": 600.0}  # seconds for one direction
DEADLINE = 30.0  # seconds for a program to start or to end
MAX_SIZE = 32 * 1024 * 1024  # the longest message of a case has 16 MiB


@contextmanager
def program(log: Path, *command: str | Path) -> "Iterator[subprocess.Popen[bytes]]":
    """A program that writes to `log`, ended with the block."""
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_until(what: str, done: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE
    while not done():
        if time.monotonic() > until:
            sys.exit(f"compliance: {what}: not within {DEADLINE:.0f} s")
        time.sleep(0.05)


def write_spec(out: Path, cases: list[str], **more: object) -> Path:
    """What to run, as the suite wants it."""
    out.mkdir(parents=True, exist_ok=True)
    spec = out / "spec.json"
    (out / "index.json").unlink(missing_ok=True)
    spec.write_text(
        json.dumps({"outdir": str(out), "cases": cases, "exclude-cases": [], "exclude-agent-cases": {}, **more})
    )
    return spec


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def answers(port: int) -> bool:
    """Is it the suite that listens there?"""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=DEADLINE) as response:
            return str(response.headers["Server"]).startswith("AutobahnTestSuite/")
    except OSError:
        return False


@contextmanager
def fuzzing_server(wstest: Path, out: Path, cases: list[str]) -> Iterator[str]:
    """The suite in the role of a server; its URL. The port may be taken before it listens: then on another one."""
    log = out / "fuzzingserver.log"
    for _ in range(10):
        port = free_port()
        spec = write_spec(out, cases, url=f"ws://127.0.0.1:{port}")
        with program(log, wstest, "-m", "fuzzingserver", "-s", spec, "-u", "0") as process:
            wait_until("the suite listens", lambda: process.poll() is not None or answers(port))  # noqa: B023
            if process.poll() is None:
                yield f"ws://127.0.0.1:{port}"
                return
    sys.exit(f"compliance: the fuzzing server did not start, see {log}")


def run(log: Path, limit: float, *command: str | Path) -> None:
    """Run a program to its end, within so many seconds."""
    with program(log, *command) as process:
        try:
            status: int | str = process.wait(limit)
        except subprocess.TimeoutExpired:
            status = f"it did not end within {limit:.0f} s"
    if status:
        sys.exit(
            f"compliance: {Path(command[0]).name}: {status}, see {log}:\n{log.read_text(errors='replace')[-2000:]}"
        )


def try_client(wstest: Path, out: Path, cases: list[str], limit: float, agent: str) -> None:
    with fuzzing_server(wstest, out, cases) as url:
        run(out / "client.log", limit, sys.executable, Path(__file__).with_name("client.py"), url, agent)


def try_server(wstest: Path, out: Path, cases: list[str], limit: float, ws_server: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    log = out / "ws_server.log"
    with program(log, ws_server, "--port", "0", "--echo", "--max-size", str(MAX_SIZE)) as process:
        wait_until("ws_server starts", lambda: process.poll() is not None or b"\n" in log.read_bytes())
        if not (line := re.match(r"ws_server listening on (ws://\S+)/\n", log.read_text())):
            sys.exit(f"compliance: ws_server did not start, see {log}")
        spec = write_spec(out, cases, servers=[{"url": line[1], "agent": "ws_server"}])
        run(out / "fuzzingclient.log", limit, wstest, "-m", "fuzzingclient", "-s", spec)


def judge(index: Path, count: int) -> bool:
    if not index.is_file():
        sys.exit(f"compliance: no results at {index}")
    wrong = check.complaints(index, count)
    print("\n".join(["compliance: " + check.summary(index), *wrong]), flush=True)
    return not wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=CASES, nargs="?", default="sample")
    parser.add_argument("--suite", type=Path, default=ROOT / ".venv/autobahn")
    parser.add_argument("--server", type=Path, default=ROOT / "bin/ws_server")
    parser.add_argument("--out", type=Path, default=ROOT / "build/compliance")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("compliance: terminated"))
    wstest, cases, limit = given.suite / "bin/wstest", CASES[given.which], LIMIT[given.which]
    fine = True
    for driver, which in (("inline", given.which), ("thread", "sample"), ("asyncio", "sample")):
        out = given.out / f"client-{driver}"
        try_client(wstest, out, CASES[which], LIMIT[which], f"wsclient-{driver}")
        fine &= judge(out / "index.json", COUNT[which])
    try_server(wstest, given.out / "server", cases, limit, given.server)
    fine &= judge(given.out / "server/index.json", COUNT[given.which])
    sys.exit(0 if fine else 1)


main()
