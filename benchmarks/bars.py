"""The bars: what wsclient has to reach, as data, and whether it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from .rounds import Figure
from .works import GROWTHS, VALUES

Results: TypeAlias = Mapping[str, Mapping[str, Figure]]
"""The figures by cell and client."""

PEER = "best peer"
LOOPS = ("asyncio", "uvloop")
Kind: TypeAlias = Literal["rate", "over", "excess", "growth", "most", "least", "beside"]


@dataclass(frozen=True, slots=True)
class Bar:
    """One demand on one client of ours in one cell.

    ``rate``: its messages a second, divided by the other's, are at least the limit. ``over``: its CPU a message is at
    most so many microseconds above the floor's. ``excess``: what its CPU a message has above the floor's, divided by
    what the other's has, is at most the limit. ``growth``: that excess, divided by its own in the cell ``first``, is at
    most the limit; both a ``unit``, of which a message has so many ``units`` more. ``most``, ``least``: its value
    ``what`` is at most, or at least, the limit. ``beside``: that value, divided by the least of the others', is at most
    the limit.
    """

    section: str
    cell: str
    ours: str
    kind: Kind
    limit: float
    other: str = "floor"
    what: str = ""
    first: str = ""
    unit: str = ""
    units: float = 1.0

    @property
    def demand(self) -> str:
        """What is demanded, in words."""
        if self.kind == "over":
            return f"CPU at most {self.limit:g} µs above the floor"
        if self.kind == "growth":
            return f"CPU above the floor at most {self.limit:g} times that in {self.first}, a {self.unit}"
        if self.kind in ("most", "least"):
            return f"{VALUES[self.what]} at {self.kind} {self.limit:g}"
        if self.kind == "beside":
            return f"{VALUES[self.what]} at most {self.limit:g} times that of {self.other}"
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
        rises = self.bar.kind in ("rate", "least")
        return self.value >= self.bar.limit if rises else self.value <= self.bar.limit


def is_peer(name: str) -> bool:
    """Whether a client is neither ours nor the floor."""
    return not name.startswith(("wsclient", "floor"))


def judge(bar: Bar, results: Results) -> Verdict:
    """Look whether a bar is met."""
    figures = results.get(bar.cell, {})
    ours = figures.get(bar.ours)
    if not ours:
        return Verdict(bar)
    if bar.kind in ("most", "least"):
        return Verdict(bar, ours.values.get(bar.what))
    if bar.kind == "growth":
        return _judge_growth(bar, results)
    others = [name for name in figures if (is_peer(name) if bar.other == PEER else name == bar.other)]
    return _judge_against(bar, ours, {name: figures[name] for name in others}, figures.get("floor"))


def _judge_against(bar: Bar, ours: Figure, others: Mapping[str, Figure], floor: Figure | None) -> Verdict:
    if not others:
        return Verdict(bar)
    if bar.kind == "rate":
        other = max(others, key=lambda name: others[name].rate)
        return Verdict(bar, ours.rate / others[other].rate, other)
    if bar.kind == "beside":
        other = min(others, key=lambda name: others[name].values[bar.what])
        return Verdict(bar, ours.values[bar.what] / others[other].values[bar.what], other)
    if not floor:
        return Verdict(bar)
    excess = ours.cpu - floor.cpu
    if bar.kind == "over":
        return Verdict(bar, excess, "floor")
    other = min(others, key=lambda name: others[name].cpu)
    beyond = others[other].cpu - floor.cpu
    if beyond > 0:
        return Verdict(bar, excess / beyond, other)
    return Verdict(bar, 0.0 if excess <= 0 else None, other)  # neither is above the floor, or only we are


def _judge_growth(bar: Bar, results: Results) -> Verdict:
    excess: list[float] = []
    for cell in (bar.first, bar.cell):
        figures = results.get(cell, {})
        if bar.ours not in figures or "floor" not in figures:
            return Verdict(bar)
        excess.append(figures[bar.ours].cpu - figures["floor"].cpu)
    return Verdict(bar, excess[1] / bar.units / excess[0] if excess[0] > 0 else None)


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
        for ours in ("wsclient", "wsclient many"):
            yield Bar("5 Compression", cell, ours, "rate", 2.0, PEER)
    for loop in LOOPS:
        for peer in (f"picows {loop}", f"picows {loop} structs"):
            yield Bar("6 Typed", "typed-64", "wsclient", "rate", 1.1, peer)
    yield Bar("6 Typed", "typed-64", "wsclient", "rate", 8.0, "websockets")


def _memory() -> Iterator[Bar]:
    section = "7 Memory and opening"
    loops = tuple(f"wsclient {loop}" for loop in LOOPS)
    for ours in ("wsclient thread", "wsclient", *loops):
        yield Bar(section, "idle-1000", ours, "most", 2.4 if ours in loops else 1.7, what="kib")
        yield Bar(section, "idle-1000-tls", ours, "most", 17, what="kib")
        yield Bar(section, "idle_full-1000-tls", ours, "most", 21, what="kib")
        yield Bar(section, "idle-10000", ours, "least", 10_000, what="alive")
    for cell in ("connect", "connect-tls"):
        yield Bar(section, cell, "wsclient", "rate", 1.0, PEER)


def _beside() -> Iterator[Bar]:
    section = "8 Beside a thread that computes"
    ours = "wsclient on_message"
    yield Bar(section, "beside-1", ours, "most", 1.1, what="intervals")
    for what in ("p50", "p99"):
        yield Bar(section, "beside-1", ours, "beside", 1.0, PEER, what=what)
    yield Bar(section, "beside-64", ours, "most", 1.05, what="takes")


def _growth() -> Iterator[Bar]:
    for growth in GROWTHS:
        first, *others = growth.cells
        for ours in GROWING[growth.what]:
            for cell in others:
                units = growth.units(cell) / growth.units(first)
                yield Bar(
                    "9 As work grows", cell.key, ours, "growth", 1.5, first=first.key, unit=growth.unit, units=units
                )


GROWING = {
    "connections": ("wsclient", "wsclient on_message", *(f"wsclient {loop} on_message" for loop in LOOPS)),
    "messages": ("wsclient", "wsclient on_message", *(f"wsclient {loop}" for loop in LOOPS)),
    "bytes": ("wsclient", "wsclient thread", *(f"wsclient {loop}" for loop in LOOPS)),
}
"""Who is held to the bars of growth."""

BARS = (
    *_echo(),
    *_echo_asyncio(),
    *_flood(),
    *_send(),
    *_more(),
    *_memory(),
    *_beside(),
    *_growth(),
)
