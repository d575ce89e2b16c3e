"""Writes what was measured: tables, verdicts on the bars, charts."""

from __future__ import annotations

import json
import os
import platform
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .bars import BARS, Results, Verdict, is_peer, judge
from .charts import Row, bar_chart, line_chart
from .rounds import Figure
from .works import CELLS, GROWTHS, VALUES, Cell, Growth

PACKAGES = ("wsclient-sdk", "websockets", "aiohttp", "picows", "aiofastnet", "websocket-client", "wsaccel", "curl_cffi")
MORE_PACKAGES = ("websocket-rs", "uvloop", "msgspec")


@dataclass(frozen=True, slots=True)
class Run:
    """All of one run."""

    results: Results
    rounds: int
    seconds: float
    date: str
    notes: Sequence[str] = ()
    """What went wrong."""

    def cells(self) -> list[Cell]:
        """Those that were measured."""
        return [cell for cell in CELLS if self.results.get(cell.key)]

    def growths(self) -> list[Growth]:
        """Those of which anything was measured."""
        return [growth for growth in GROWTHS if any(self.results.get(cell.key) for cell in growth.cells)]


def read(folder: Path) -> tuple[dict[str, dict[str, Figure]], list[str]]:
    """The figures that were written into a folder, if any were, and what went wrong."""
    file = folder / "results.json"
    if not file.exists():
        return {}, []
    saved = json.loads(file.read_text(encoding="utf-8"))
    results = {
        cell: {name: Figure(**figure) for name, figure in figures.items()} for cell, figures in saved["cells"].items()
    }
    return results, saved["notes"]


def write(run: Run, folder: Path) -> None:
    """Write README.md, the charts and the figures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for cell in run.cells():
        (folder / f"{cell.key}.svg").write_text(_chart(cell, run.results[cell.key]), encoding="utf-8")
    for growth in run.growths():
        (folder / f"growing-{growth.what}.svg").write_text(_growth_chart(growth, run.results), encoding="utf-8")
    (folder / "README.md").write_text("\n".join(_page(run)) + "\n", encoding="utf-8")
    results = {
        cell: {name: asdict(figure) for name, figure in figures.items()} for cell, figures in run.results.items()
    }
    saved = {"cells": results, "notes": sorted(set(run.notes))}
    (folder / "results.json").write_text(json.dumps(saved, indent=1) + "\n", encoding="utf-8")


def _page(run: Run) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield "`make bench` writes this page; how it measures and by which rules: [benchmarks](../../benchmarks/README.md)."
    yield ""
    yield f"- {run.date}, {run.rounds} rounds of about {run.seconds:g} s each"
    yield "- figures are medians of the rounds, ± is half the distance between the quartiles"
    yield f"- {machine()}"
    yield f"- Python {platform.python_version()}, {_optimised()}; {', '.join(_versions())}"
    yield "- rates are messages a second; CPU is the client's, in microseconds a message, all its threads"
    yield ""
    yield from _verdicts([judge(bar, run.results) for bar in BARS if bar.cell in run.results])
    for cell in run.cells():
        yield from _table(cell, run.results[cell.key])
    for growth in run.growths():
        yield from _growth_table(growth, run.results)
    if run.notes:
        yield "## What could not be measured"
        yield ""
        yield from (f"- {note}" for note in sorted(set(run.notes)))


def machine() -> str:
    """The machine in a line."""
    model = ""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
    return f"{model or platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}"


def _optimised() -> str:
    """How the interpreter was configured, on which depends how long what is Python's takes."""
    option = "--enable-optimizations"
    return f"{'with' if option in (sysconfig.get_config_var('CONFIG_ARGS') or '') else 'without'} {option}"


def _versions() -> Iterator[str]:
    for name in PACKAGES + MORE_PACKAGES:
        try:
            yield f"{name} {version(name)}"
        except PackageNotFoundError:
            continue


def _verdicts(verdicts: list[Verdict]) -> Iterator[str]:
    met, missed = (sum(verdict.met is what for verdict in verdicts) for what in (True, False))
    yield "## The bars"
    yield ""
    yield f"Met: {met}. Not met: {missed}. Not measured: {len(verdicts) - met - missed}."
    section = ""
    for verdict in verdicts:
        bar = verdict.bar
        if bar.section != section:
            section = bar.section
            yield from ("", f"### {section}", "", "| cell | who | demand | found | met |", "|---|---|---|---:|---|")
        found = "" if verdict.value is None else f"{verdict.value:.2f}" + (" µs" if bar.kind == "over" else "")
        other = f" ({verdict.other})" if verdict.other not in ("", bar.other) else ""
        word = {True: "yes", False: "**no**", None: "not measured"}[verdict.met]
        yield f"| {bar.cell} | {bar.ours} | {bar.demand}{other} | {found} | {word} |"
    yield ""


def _by_rate(figures: Mapping[str, Figure]) -> list[tuple[str, Figure]]:
    return sorted(figures.items(), key=lambda item: -item[1].rate)


def _table(cell: Cell, figures: Mapping[str, Figure]) -> Iterator[str]:
    yield from (f"## {cell.title}", "", f"![{cell.title}]({cell.key}.svg)", "")
    yield from _values(figures) if _ordering(figures) else _rates(figures)
    yield ""


def _ordering(figures: Mapping[str, Figure]) -> str:
    """By which value a cell is ordered, the least first; "": by the rate."""
    return next((name for name in ("kib", "p50") if any(name in figure.values for figure in figures.values())), "")


def _by_value(figures: Mapping[str, Figure]) -> list[tuple[str, Figure]]:
    return sorted(figures.items(), key=lambda item: item[1].values[_ordering(figures)])


def _values(figures: Mapping[str, Figure]) -> Iterator[str]:
    names = [name for name in VALUES if any(name in figure.values for figure in figures.values())]
    yield f"| client | {' | '.join(VALUES[name] for name in names)} |"
    yield "|---" + "|---:" * len(names) + "|"
    for client, figure in _by_value(figures):
        yield f"| {client} | {' | '.join(_number(figure.values[name]) for name in names)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def _rates(figures: Mapping[str, Figure]) -> Iterator[str]:
    floor = figures.get("floor")
    best = max((figure.rate for name, figure in figures.items() if is_peer(name)), default=0.0)
    yield from (
        "| client | rate | ± | of the best peer | CPU | ± | above the floor |",
        "|---|---:|---:|---:|---:|---:|---:|",
    )
    for name, figure in _by_rate(figures):
        ratio = f"{figure.rate / best:.0%}" if best else ""
        above = f"{figure.cpu - floor.cpu:.2f}" if floor else ""
        yield (
            f"| {name} | {figure.rate:,.0f} | {figure.rate_spread:.0%} | {ratio} "
            f"| {figure.cpu:.2f} | {figure.cpu_spread:.0%} | {above} |"
        )


def _growth_table(growth: Growth, results: Results) -> Iterator[str]:
    """The CPU of a unit, and in brackets what of it is above the floor's."""
    cells = [cell for cell in growth.cells if results.get(cell.key)]
    clients = dict.fromkeys(client for cell in cells for client in results[cell.key])
    yield from (f"## {growth.title}: µs of CPU a {growth.unit}, and how much of that is above the floor", "")
    yield from (f"![{growth.title}](growing-{growth.what}.svg)", "")
    yield f"| {growth.what} | {' | '.join(clients)} |"
    yield "|---:" * (len(clients) + 1) + "|"
    for cell in cells:
        figures, units = results[cell.key], growth.units(cell)
        floor = figures["floor"].cpu if "floor" in figures else 0.0
        found = [
            f"{figures[client].cpu / units:.3g} ({(figures[client].cpu - floor) / units:.3g})"
            if client in figures
            else ""
            for client in clients
        ]
        yield f"| {cell.size:,} | {' | '.join(found)} |"
    yield ""


def _growth_chart(growth: Growth, results: Results) -> str:
    lines: dict[str, list[tuple[float, float]]] = {}
    for cell in growth.cells:
        for client, figure in results.get(cell.key, {}).items():
            lines.setdefault(client, []).append((cell.size, figure.cpu / growth.units(cell)))
    return line_chart(f"{growth.title}: µs of CPU a {growth.unit}", lines)


def _chart(cell: Cell, figures: Mapping[str, Figure]) -> str:
    if name := _ordering(figures):
        values = [(client, figure.values[name]) for client, figure in _by_value(figures)]
        return bar_chart(
            f"{cell.title}: {VALUES[name]}", [Row(client, value, f"{value:.2f}") for client, value in values]
        )
    rows = [Row(name, figure.rate, f"{figure.rate:,.0f}/s, {figure.cpu:.2f} µs") for name, figure in _by_rate(figures)]
    return bar_chart(f"{cell.title}: messages a second, CPU a message", rows)
