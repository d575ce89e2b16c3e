"""What a client is asked to do, and what it answers: the one face of all adapters."""

from __future__ import annotations

import asyncio
import gc
import ssl
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeAlias

SMALL = b"x" * 64
"""What goes over each of many connections."""


@dataclass(frozen=True, slots=True)
class Order:
    """One measurement of one client."""

    work: str
    """Which of works.py."""
    url: str
    """Where the server does its part of it."""
    size: int
    """Bytes of a message, or how many connections or messages there are at once."""
    count: int
    """How many messages, or connections."""
    ca: str | None = None
    """The file of the CA to trust, with TLS."""
    latest: float = 30.0
    """Seconds after which waiting is in vain."""

    @property
    def compressed(self) -> bool:
        """Whether permessage-deflate is to be used (RFC 7692)."""
        return self.work in ("inflate", "deflate")

    @property
    def whole_handshake(self) -> bool:
        """Whether TLS begins each connection with a full handshake, though sessions could be resumed (RFC 8446 2.2)."""
        return self.work.endswith("_full")

    @property
    def message(self) -> bytes:
        """What to send."""
        return b"x" * self.size

    @property
    def text(self) -> str:
        """What to send where it is to be compressed: market data."""
        trade = '{{"e":"trade","s":"BTCUSDT","t":17000{:05},"p":"431{:02}.{:02}","q":"0.{:04}","m":true}},'
        trades = (
            trade.format(i * 7919 % 100000, i * 31 % 100, i * 17 % 100, i * 7907 % 10000) for i in range(self.size)
        )
        return "".join(trades)[: self.size]

    def context(self) -> ssl.SSLContext | None:
        """A context for clients that use Python's ssl, ``None`` without TLS."""
        return ssl.create_default_context(cafile=self.ca) if self.ca else None


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured: seconds of the clock and of the process's CPU (all threads), and what else the work has."""

    seconds: float = 0.0
    cpu: float = 0.0
    values: dict[str, float] = field(default_factory=dict[str, float])


class Meter:
    """Measures what runs inside it."""

    def __enter__(self) -> Meter:
        gc.collect()
        self._clock, self._cpu = time.perf_counter(), time.process_time()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        clock, cpu = time.perf_counter(), time.process_time()
        self.sample = Sample(clock - self._clock, cpu - self._cpu)


Work: TypeAlias = Callable[[Order], Sample]
AsyncWork: TypeAlias = Callable[[Order], Coroutine[Any, Any, Sample]]
Clients: TypeAlias = dict[str, dict[str, Work]]


def on_loops(name: str, works: dict[str, AsyncWork], suffix: str = "") -> Clients:
    """The same works as two clients: on asyncio's own loop, and on uvloop."""
    return {
        f"{name} asyncio{suffix}": {work: _on_asyncio(function) for work, function in works.items()},
        f"{name} uvloop{suffix}": {work: _on_uvloop(function) for work, function in works.items()},
    }


def _on_asyncio(work: AsyncWork) -> Work:
    return lambda order: asyncio.run(work(order))


def _on_uvloop(work: AsyncWork) -> Work:
    def run(order: Order) -> Sample:
        import uvloop

        sample: Sample = uvloop.run(work(order))
        return sample

    return run


def warm_up(order: Order) -> int:
    """How many trips before those that are measured."""
    return order.count // 10 + 1
