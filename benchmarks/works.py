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
}
"""Where the server does its part; what it does there is said in c/peer.h."""

TITLES = {
    "echo": "Echo",
    "flood": "Receiving a flood",
    "send": "Sending",
    "inflate": "Receiving a compressed flood",
    "deflate": "Sending compressed",
    "typed": "Receiving envelopes as objects",
}

FIRST = {"echo": 50, "flood": 1000, "send": 200, "inflate": 500, "deflate": 100, "typed": 500}
"""How many messages the first measurement has, which tells how many fill the time."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One work with one size: one table of figures."""

    work: str
    size: int
    tls: bool = False

    @property
    def key(self) -> str:
        """Its name in the bars and the results."""
        return f"{self.work}-{self.size}" + "-tls" * self.tls

    @property
    def title(self) -> str:
        """Its name for a reader."""
        size = f"{self.size} B" if self.size < 10_000 else f"{self.size // 1000} kB"
        return f"{TITLES[self.work]}, {size}" + ", TLS" * self.tls

    def order(self, server: Server, count: int) -> Order:
        """What to ask a client for."""
        return server.order(self.work, PATHS[self.work], self.size, count, tls=self.tls)


CELLS = (
    *(Cell("echo", size, tls) for tls in (False, True) for size in (256, 8192, 100_000, 1_000_000)),
    *(Cell("flood", size, tls) for tls in (False, True) for size in (64, 1024)),
    *(Cell("send", 64, tls) for tls in (False, True)),
    *(Cell(work, 1024) for work in ("inflate", "deflate")),
    Cell("typed", 64),
)

QUICK = ("echo-256", "echo-100000", "flood-64", "flood-1024-tls", "send-64")
"""The cells of a quick run."""
