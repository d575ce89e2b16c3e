"""The works: what is measured."""

from __future__ import annotations

from dataclasses import dataclass

from .order import Order
from .players import Server

PATHS = {
    "echo": "/echo?",
    "flood": "/flood?count={count}&size={size}",
    "send": "/sink?count={count}",
    "inflate": "/flood?count={count}&size={size}&deflate=1&kind=json",
    "deflate": "/sink?count={count}&deflate=1",
    "typed": "/flood?count={count}&size={size}&kind=envelope&after=1",
    "idle": "/echo?",
    "idle_full": "/echo?",
    "connect": "/echo?",
    "connect_full": "/echo?",
    "beside": "/clock?count={count}&size={size}&every=11300",
    "connections": "/echo?",
    "messages": "/flood?count={count}&size=64",
    "sizes": "/echo?",
}
"""Where the server does its part; what it does there is said in c/peer.h."""

TITLES = {
    "echo": "Echo",
    "flood": "Receiving a flood",
    "send": "Sending",
    "inflate": "Receiving a compressed flood",
    "deflate": "Sending compressed",
    "typed": "Receiving envelopes as objects",
    "idle": "Memory of an idle connection",
    "idle_full": "Memory of an idle connection after a full handshake",
    "connect": "Opening",
    "connect_full": "Opening with a full handshake",
    "beside": "Callbacks beside a thread that computes",
    "connections": "A message on each of many connections",
    "messages": "Receiving more and more messages",
    "sizes": "Echo of bigger and bigger messages",
}

FIRST = {
    "echo": 50,
    "flood": 1000,
    "send": 200,
    "inflate": 500,
    "deflate": 100,
    "typed": 500,
    "connect": 20,
    "connect_full": 20,
    "sizes": 1,
}
"""How many messages the first measurement has, which tells how many fill the time."""


SIZES = {
    "idle": "of them",
    "idle_full": "of them",
    "beside": "at once",
    "connections": "of them",
    "messages": "of them",
}
"""What there are so many of, unless it is bytes."""

VALUES = {
    "kib": "KiB a connection",
    "alive": "alive",
    "p50": "p50, ms",
    "p99": "p99, ms",
    "intervals": "p50, switch intervals",
    "takes": "GIL takes a batch",
}
"""What else is measured, for a reader."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One work with one size: one table of figures."""

    work: str
    size: int = 0
    tls: bool = False
    count: int = 0
    """How many messages or connections; 0: as many as fill the time."""
    rounds: int = 0
    """At most so many, 0: as many as there are."""

    @property
    def key(self) -> str:
        """Its name in the bars and the results."""
        return self.work + f"-{self.size}" * (self.size > 0) + "-tls" * self.tls

    @property
    def title(self) -> str:
        """Its name for a reader."""
        return TITLES[self.work] + self._size * (self.size > 0) + ", TLS" * self.tls

    @property
    def _size(self) -> str:
        if self.work in SIZES:
            return f", {self.size:,} {SIZES[self.work]}"
        return f", {self.size} B" if self.size < 10_000 else f", {self.size // 1000} kB"

    def order(self, server: Server, count: int) -> Order:
        """What to ask a client for."""
        size = 1 if self.work in ("idle", "idle_full") else self.size
        return server.order(self.work, PATHS[self.work], size, count, tls=self.tls)


CELLS = (
    *(Cell("echo", size, tls) for tls in (False, True) for size in (256, 8192, 100_000, 1_000_000)),
    *(Cell("flood", size, tls) for tls in (False, True) for size in (64, 1024)),
    *(Cell("send", 64, tls) for tls in (False, True)),
    *(Cell(work, 1024) for work in ("inflate", "deflate")),
    Cell("typed", 64),
    Cell("idle", 1000, count=1000, rounds=5),
    *(Cell(work, 1000, tls=True, count=1000, rounds=3) for work in ("idle", "idle_full")),
    Cell("idle", 10_000, count=10_000, rounds=1),
    *(Cell("connect", tls=tls) for tls in (False, True)),
    Cell("connect_full", tls=True),
    *(Cell("beside", burst, count=200, rounds=3) for burst in (1, 64)),
)

CONNECTIONS = tuple(Cell("connections", n, count=max(n, 10_000), rounds=3) for n in (1, 10, 100, 1000, 10_000))
MESSAGES = tuple(Cell("messages", n, count=n) for n in (1, 100, 10_000, 1_000_000))
LENGTHS = tuple(Cell("sizes", 1 << n, rounds=5) for n in (10, 14, 18, 22, 26))


@dataclass(frozen=True, slots=True)
class Growth:
    """One work that becomes more and more: one chart."""

    title: str
    what: str
    """What there is more and more of."""
    unit: str
    """What its cost is divided by."""
    cells: tuple[Cell, ...]

    def units(self, cell: Cell) -> float:
        """How many there are in one message."""
        return cell.size / 1024 if self.unit == "KiB" else 1.0


GROWTHS = (
    Growth("More connections", "connections", "message", CONNECTIONS),
    Growth("More messages", "messages", "message", MESSAGES),
    Growth("Bigger messages", "bytes", "KiB", LENGTHS),
)
ALL = (*CELLS, *(cell for growth in GROWTHS for cell in growth.cells))

QUICK = ("echo-256", "echo-100000", "flood-64", "flood-1024-tls", "send-64")
"""The cells of a quick run."""
