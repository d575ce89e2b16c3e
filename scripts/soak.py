"""Runs connections for long, and fails if a message is lost or comes in another order, or if anything grows.

    scripts/soak.py messages   [--driver inline|background|asyncio] [--count N]
    scripts/soak.py reconnects [--driver ...] [--count N] [--delivery at_least_once|at_most_once]

messages: so many go to the chat server and back, over one connection.
reconnects: numbers are sent through a proxy that breaks every connection somewhere, until there were so many new ones.
Memory, descriptors and threads are looked at after a twentieth of it, and at the end.
"""

import argparse
import asyncio
import base64
import contextlib
import gc
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import wsclient
from wsclient.testing import ChatServer, Fault, FaultProxy

DEADLINE = 60
WINDOW = 1000
GROWTH = 4 << 20  # bytes of memory that are no growth: allocators and the interpreter breathe
FULL = {"messages": 10_000_000, "reconnects": 10_000}

# ---- what a process has


@dataclass(frozen=True)
class Holdings:
    """What this process has."""

    memory: int
    descriptors: int
    threads: int

    def __str__(self) -> str:
        return f"{self.memory / 2**20:.1f} MiB, {self.descriptors} descriptors, {self.threads} threads"


def look() -> Holdings:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    memory, threads = (int(re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0]) for name in ("VmRSS", "Threads"))
    return Holdings(memory * 1024, len(os.listdir("/proc/self/fd")), threads)


def check_flat(before: Holdings) -> Holdings:
    """What there is now, which is no more than before; a thread that has just ended may be listed a moment longer."""
    until = time.monotonic() + DEADLINE
    while (now := look()).descriptors != before.descriptors or now.threads != before.threads:
        assert time.monotonic() < until, f"before: {before}; now: {now}"
        time.sleep(0.01)
    assert now.memory <= before.memory + GROWTH, f"before: {before}; now: {now}"
    return now


# ---- drivers


class OnLoop:
    """An asyncio connection with the verbs of the blocking one."""

    def __init__(self, url: str, **options: object) -> None:
        self.loop = asyncio.new_event_loop()
        self.connection = self.loop.run_until_complete(self._open(url, options))

    @staticmethod
    async def _open(url: str, options: dict[str, object]) -> wsclient.AsyncConnection:
        return await wsclient.aio.connect(url, **options)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Callable[..., object]:
        attribute = getattr(self.connection, name)
        if not asyncio.iscoroutinefunction(attribute):
            return attribute  # type: ignore[no-any-return]
        return lambda *args, **more: self.loop.run_until_complete(attribute(*args, **more))


def connect(driver: str, url: str, **options: object) -> wsclient.Connection:
    if driver == "asyncio":
        return OnLoop(url, proxy=None, **options)  # type: ignore[return-value]
    return wsclient.connect(url, proxy=None, background=driver == "background", **options)  # type: ignore[arg-type]


# ---- messages


def envelope(number: int) -> str:
    """It comes back to the sender alone."""
    return f'{{"user": {{"name": "soak"}}, "message": {{"text": "{number:08d}", "text_len": 8, "info": 3}}}}'


def check_order(texts: Sequence[str | bytes], number: int, at: int) -> int:
    """The number after the last of these."""
    for text in texts:
        assert int(text[at : at + 8]) == number, f"not number {number}: {text!r}"
        number += 1
    return number


def messages(driver: str, count: int) -> str:
    before = None
    with ChatServer() as server:
        connection = connect(driver, f"ws://{server.host}:{server.port}/")
        connection.send(envelope(0))
        at = str(connection.recv(DEADLINE)).index("00000000")
        sent = received = 1
        began = time.monotonic()
        while received < count:
            if sent < count and sent - received <= WINDOW:
                some = range(sent, min(sent + WINDOW, count))
                connection.send_many([envelope(number) for number in some])
                sent += len(some)
            received = check_order(connection.recv_many(timeout=DEADLINE), received, at)
            if not before and received >= count // 20:
                before = look()
        took = time.monotonic() - began
        assert before
        now = check_flat(before)
        connection.close()
        assert connection.close_code == 1000
    return f"{count} there and back in {took:.0f} s ({count / took:,.0f} a second); {before}, then {now}"


# ---- reconnects


class Recorder:
    """A server that echoes numbers and notes which it has seen, and what was wrong with their order."""

    def __init__(self, delivery: str) -> None:
        self.again = delivery == "at_least_once"
        self.seen: set[int] = set()
        self.highest = -1
        self.received = 0
        self.wrong: list[str] = []

    def note(self, number: int, before: int | None) -> None:
        """A connection's next number, after that one of the same connection."""
        if self.again and not (number <= self.highest + 1 if before is None else number == before + 1):
            self.wrong.append(f"{number} after {before}, highest {self.highest}")
        if not self.again and (number in self.seen or (before is not None and number <= before)):
            self.wrong.append(f"{number} again, or after {before}")
        self.seen.add(number)
        self.highest = max(self.highest, number)
        self.received += 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError), contextlib.closing(writer):
            await self.converse(reader, writer)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        writer.write("\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode())
        before: int | None = None
        while True:
            first, second, *mask = await reader.readexactly(6)
            payload = await reader.readexactly(second & 0x7F)
            payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
            if first & 0xF == 1:
                self.note(int(payload), before)
                before = int(payload)
            answer = {9: 10}.get(first & 0xF, first & 0xF)  # a ping by a pong, all else by the same
            writer.write(bytes([0x80 | answer, len(payload)]) + payload)
            await writer.drain()
            if first & 0xF == 8:
                return


def faults() -> Iterator[Fault]:
    chance = random.Random(6455)
    while True:
        yield Fault(
            direction=chance.choice(["both", "to_server", "to_client"]),
            split=chance.choice([1, 7, 65536]),
            after=chance.randrange(4000),
            then=chance.choice(["reset", "reset", "drop"]),
        )


async def record(delivery: str) -> None:
    """The other process: says the proxy's port, and at the end of its input what was seen."""
    recorder = Recorder(delivery)
    server = await asyncio.start_server(recorder.serve, "127.0.0.1", 0)
    with FaultProxy(*server.sockets[0].getsockname(), faults()) as proxy:
        print(proxy.port, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    said = {"seen": sorted(recorder.seen), "received": recorder.received, "wrong": recorder.wrong[:10]}
    print(json.dumps(said), flush=True)


def send_until(connection: wsclient.Connection, reconnects: int) -> tuple[int, Holdings]:
    """Send numbers, and receive; how many, and what there was after a twentieth of the reconnects."""
    before = None
    sent = 0
    while (done := connection.stats().reconnects) < reconnects:
        connection.send(str(sent))
        sent += 1
        with contextlib.suppress(TimeoutError):
            connection.recv_many(timeout=0)
        if not before and done >= max(reconnects // 20, 1):
            before = look()
    assert before
    return sent, before


def wait_until_told(lost: Sequence[str | bytes], count: int) -> None:
    """In the background on_lost is called by another thread."""
    until = time.monotonic() + DEADLINE
    while len(lost) != count:
        assert time.monotonic() < until, f"{len(lost)} of {count} lost messages were named"
        time.sleep(0.01)


def reconnects(driver: str, count: int, delivery: str) -> str:
    command = [sys.executable, __file__, "record", "--delivery", delivery]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as other:
        assert other.stdout and other.stdin
        port = int(other.stdout.readline())
        lost: list[str | bytes] = []
        policy = wsclient.ReconnectPolicy(
            initial_delay=0.001,
            max_delay=0.002,
            max_time=None,
            outbox_messages=32,
            delivery=delivery,  # type: ignore[arg-type]
            on_lost=lambda _, messages: lost.extend(messages),
        )
        began = time.monotonic()
        connection = connect(driver, f"ws://127.0.0.1:{port}/", reconnect=policy)
        sent, before = send_until(connection, count)
        connection.flush(DEADLINE)
        took = time.monotonic() - began
        now = check_flat(before)
        made = connection.stats().reconnects
        connection.close()
        assert connection.close_info
        wait_until_told(lost, connection.close_info.lost)
        said = json.loads(other.communicate(timeout=DEADLINE)[0])
    assert not said["wrong"], said["wrong"]
    missing = set(range(sent)) - set(said["seen"])
    named = {int(message) for message in lost}
    unnamed = sorted(missing - named)
    assert not unnamed, f"{unnamed} neither arrived nor were named as lost"
    assert delivery == "at_most_once" or not named, f"{sorted(named)} were named as lost"
    assert len(lost) == len(named), f"{sorted(lost)}: some were named twice"
    return (
        f"{made} in {took:.0f} s, {sent} messages, {said['received'] - len(said['seen'])} of them twice, "
        f"{len(missing)} not arrived and {len(named)} named as lost; {before}, then {now}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["messages", "reconnects", "record"])
    parser.add_argument("--driver", choices=["inline", "background", "asyncio"], default="inline")
    parser.add_argument("--count", type=int, help="how many messages or reconnects")
    parser.add_argument("--delivery", choices=["at_least_once", "at_most_once"], default="at_least_once")
    given = parser.parse_args()
    if given.what == "record":
        asyncio.run(record(given.delivery))
    elif given.what == "messages":
        print(f"messages, {given.driver}:", messages(given.driver, given.count or FULL["messages"]), flush=True)
    else:
        told = reconnects(given.driver, given.count or FULL["reconnects"], given.delivery)
        print(f"reconnects, {given.driver}, {given.delivery}:", told, flush=True)


if __name__ == "__main__":
    main()
