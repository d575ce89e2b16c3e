"""Measures: every client in turn, round by round, so that what disturbs the machine disturbs all."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .order import Sample
from .players import Player, PlayerError, Server
from .works import FIRST, Cell

MOST = 2_000_000


@dataclass(frozen=True, slots=True)
class Figure:
    """What one client had in one cell: medians over the rounds, per message."""

    rate: float
    """Messages a second."""
    cpu: float
    """Microseconds of CPU a message."""
    rate_spread: float
    """Half of the distance between the quartiles of the rate, as a part of the median."""
    cpu_spread: float
    count: int
    """Messages in a round."""
    values: dict[str, float] = field(default_factory=dict[str, float])
    """What else the work has."""


def figure(samples: Sequence[Sample], count: int) -> Figure:
    """The medians and the spread of what was measured with that many messages."""
    rates = [count / sample.seconds for sample in samples]
    cpus = [sample.cpu / count * 1e6 for sample in samples]
    values = {name: statistics.median(sample.values[name] for sample in samples) for name in samples[0].values}
    return Figure(statistics.median(rates), statistics.median(cpus), _spread(rates), _spread(cpus), count, values)


def _spread(values: Sequence[float]) -> float:
    if len(values) < 2:
        return 0.0
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / 2 / middle if middle else 0.0


def measure(
    cell: Cell, players: Iterable[Player], server: Server, rounds: int, seconds: float, say: Callable[[str], None]
) -> dict[str, Figure]:
    """Have all that can do this work do it in turn, each for about so many seconds a round; who fails is out."""
    able = {player.name: player for player in players if cell.work in player.works}
    counts: dict[str, int] = {}
    samples: dict[str, list[Sample]] = {name: [] for name in able}
    for name, player in able.items():
        try:
            counts[name] = _fitting(cell, player, server, seconds)
        except PlayerError as error:
            say(f"{cell.key}: {error}")
    for turn in range(min(rounds, cell.rounds or rounds)):
        names = list(counts)
        first = turn % max(1, len(names))
        for name in names[first:] + names[:first]:
            try:
                samples[name].append(able[name].play(cell.order(server, counts[name])))
            except PlayerError as error:
                say(f"{cell.key}: {error}")
                del counts[name]
    return {name: figure(samples[name], count) for name, count in counts.items()}


def _fitting(cell: Cell, player: Player, server: Server, seconds: float) -> int:
    """How many messages fill the time: more and more are tried, each number twice, until it can be told."""
    if cell.count:
        return cell.count
    count = FIRST[cell.work]
    while True:
        took = min(player.play(cell.order(server, count)).seconds for _ in range(2))
        if took > seconds / 8 or count >= MOST:
            return max(1, min(MOST, int(count * seconds / took)))
        count = min(MOST, count * 8)
