"""The bars: what wsclient has to reach, as data, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .rounds import Figure

Results: TypeAlias = Mapping[str, Mapping[str, Figure]]
"""The figures by cell and client."""

PEER = "best peer"
LOOPS = ("asyncio", "uvloop")
Kind: TypeAlias = Literal["rate", "over", "excess"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One demand on one client of ours in one cell.

    ``rate``: its messages a second, divided by the other's, are at least the limit. ``over``: its CPU a message is at
    most so many microseconds above the floor's. ``excess``: what its CPU a message has above the floor's, divided by
    what the other's has, is at most the limit.
    """

    section: str
    cell: str
    ours: str
    kind: Kind
    limit: float
    other: str = "floor"

    @property
    def demand(self) -> str:
        """What is demanded, in words."""
        if self.kind == "over":
            return f"CPU at most {self.limit:g} µs above the floor"
        if self.kind == "rate":
            return f"rate at least {self.limit:g} times that of {self.other}"
        return f"CPU above the floor at most {self.limit:g} times that of {self.other}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a bar."""

    bar: Bar
    value: float | None = None
    """The ratio, or the microseconds; ``None``: it was not measured."""
    other: str = ""
    """Who the other was."""

    @property
    def met(self) -> bool | None:
        """Whether the bar is met, ``None`` if that was not measured."""
        if self.value is None:
            return None
        return self.value >= self.bar.limit if self.bar.kind == "rate" else self.value <= self.bar.limit


def is_peer(name: str) -> bool:
    """Whether a client is neither ours nor the floor."""
    return not name.startswith(("wsclient", "floor"))


def judge(bar: Bar, results: Results) -> Verdict:
    """Look whether a bar is met."""
    figures = results.get(bar.cell, {})
    ours, floor = figures.get(bar.ours), figures.get("floor")
    others = [name for name in figures if (is_peer(name) if bar.other == PEER else name == bar.other)]
    if not ours or not others:
        return Verdict(bar)
    if bar.kind == "rate":
        other = max(others, key=lambda name: figures[name].rate)
        return Verdict(bar, ours.rate / figures[other].rate, other)
    if not floor:
        return Verdict(bar)
    excess = ours.cpu - floor.cpu
    if bar.kind == "over":
        return Verdict(bar, excess, "floor")
    other = min(others, key=lambda name: figures[name].cpu)
    beyond = figures[other].cpu - floor.cpu
    return Verdict(bar, excess / beyond if beyond > 0 else None, other)


def _echo() -> Iterator[Bar]:
    section = "1 Echo, inline"
    for tls, limit in (("", 2.0), ("-tls", 2.5)):
        for size in (256, 8192):
            cell = f"echo-{size}{tls}"
            yield Bar(section, cell, "wsclient", "over", limit)
            yield Bar(section, cell, "wsclient", "rate", 0.97)
            yield Bar(section, cell, "wsclient", "rate", 0.97, PEER)
        for size in (100_000, 1_000_000):
            cell = f"echo-{size}{tls}"
            yield Bar(section, cell, "wsclient", "excess", 0.5, PEER)
            yield Bar(section, cell, "wsclient", "rate", 0.95)


def _echo_asyncio() -> Iterator[Bar]:
    section = "2 Echo, asyncio"
    for cell in ("echo-256", "echo-8192", "echo-256-tls", "echo-8192-tls"):
        for loop in LOOPS:
            yield Bar(section, cell, f"wsclient {loop} on_message", "excess", 0.8, f"picows {loop}")
            yield Bar(section, cell, f"wsclient {loop}", "excess", 1.5, f"picows {loop}")
            yield Bar(section, cell, f"wsclient {loop}", "excess", 0.5, f"aiohttp {loop}")


def _flood() -> Iterator[Bar]:
    section = "3 Flood"
    for cell in ("flood-64", "flood-64-tls"):
        yield Bar(section, cell, "wsclient", "rate", 1.3, PEER)
        yield Bar(section, cell, "wsclient on_message", "rate", 2.0, PEER)
        for ours in ("wsclient many", "wsclient on_messages"):
            yield Bar(section, cell, ours, "rate", 3.5, PEER)
        for loop in LOOPS:
            yield Bar(section, cell, f"wsclient {loop} on_message", "rate", 2.5, PEER)
            yield Bar(section, cell, f"wsclient {loop}", "rate", 4.0, f"aiohttp {loop}")
            yield Bar(section, cell, f"wsclient {loop} for", "rate", 4.0, f"aiohttp {loop}")
    for cell, limit in (("flood-1024", 1.5), ("flood-1024-tls", 1.15)):
        for ours in ("wsclient many", "wsclient on_message"):
            yield Bar(section, cell, ours, "rate", limit, PEER)
        yield Bar(section, cell, "wsclient", "rate", 1.0, PEER)


def _send() -> Iterator[Bar]:
    section = "4 Sending"
    for cell in ("send-64", "send-64-tls"):
        yield Bar(section, cell, "wsclient many", "rate", 0.3, "floor many")
        yield Bar(section, cell, "wsclient thread", "rate", 8.0, PEER)
        for loop in LOOPS:
            yield Bar(section, cell, f"wsclient {loop}", "rate", 5.0, PEER)
        yield Bar(section, cell, "wsclient", "rate", 0.97, PEER)


def _more() -> Iterator[Bar]:
    for cell in ("inflate-1024", "deflate-1024"):
        yield Bar("5 Compression", cell, "wsclient", "rate", 2.0, PEER)
    for loop in LOOPS:
        yield Bar("6 Typed", "typed-64", "wsclient", "rate", 1.1, f"picows {loop}")
    yield Bar("6 Typed", "typed-64", "wsclient", "rate", 8.0, "websockets")


BARS = (*_echo(), *_echo_asyncio(), *_flood(), *_send(), *_more())
