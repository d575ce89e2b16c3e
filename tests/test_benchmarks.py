"""The benchmarks work: one cell, one round, the floor and wsclient. What they measure is not looked at."""

from pathlib import Path

import pytest

from benchmarks import build
from benchmarks.bars import BARS, Bar, Verdict, judge
from benchmarks.players import MODULES
from benchmarks.report import Run, read, write
from benchmarks.rounds import Figure
from benchmarks.run import play
from benchmarks.works import ALL, CELLS, QUICK, Cell


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build.build()
    build.certify()


@pytest.mark.parametrize(
    ("key", "client"),
    [("echo-256-tls", "wsclient on_message"), ("flood-64", "wsclient asyncio for"), ("inflate-1024", "wsclient many")],
)
def test_floor_and_wsclient_are_measured(key: str, client: str) -> None:
    *_, run = play([cell for cell in CELLS if cell.key == key], [client], 1, 0.001)
    results = run.results
    assert not run.notes
    assert set(results) == {key}
    assert client in results[key]
    assert ("floor" in results[key]) == (key != "inflate-1024")
    assert all(figure.rate > 0 and figure.cpu > 0 and figure.count > 0 for figure in results[key].values())


@pytest.mark.parametrize(
    ("cell", "client", "values"),
    [
        (Cell("idle", 10, count=10), "wsclient thread", {"kib", "alive"}),
        (Cell("connect", tls=True, count=3), "wsclient asyncio", set[str]()),
        (Cell("beside", 2, count=3), "wsclient on_message", {"p50", "p99", "intervals", "takes"}),
        (Cell("connections", 3, count=6), "wsclient on_message", set[str]()),
        (Cell("messages", 5, count=5), "wsclient", set[str]()),
        (Cell("sizes", 1024, count=3), "wsclient", set[str]()),
    ],
)
def test_other_works_are_measured(cell: Cell, client: str, values: set[str]) -> None:
    *_, run = play([cell], [client], 1, 0.001)
    assert not run.notes
    assert set(run.results[cell.key][client].values) == values
    if cell.work == "idle":
        assert run.results[cell.key][client].values["alive"] == cell.count


def test_page_says_what_was_measured(tmp_path: Path) -> None:
    figures = {
        "floor": Figure(200, 1, 0, 0, 9),
        "wsclient": Figure(199, 2, 0, 0, 9),
        "picows uvloop": Figure(50, 3, 0, 0, 9),
    }
    assert read(tmp_path) == ({}, [])
    write(Run({"echo-256": figures}, 1, 0.1, "today", ["aiohttp: no answer"]), tmp_path)
    assert read(tmp_path) == ({"echo-256": figures}, ["aiohttp: no answer"])
    page = (tmp_path / "README.md").read_text()
    assert "| echo-256 | wsclient | CPU at most 2 µs above the floor | 1.00 µs | yes |" in page
    assert "| picows uvloop | 50 |" in page
    assert "- aiohttp: no answer" in page
    assert "wsclient" in (tmp_path / "echo-256.svg").read_text()


def test_page_shows_growth_and_values(tmp_path: Path) -> None:
    results = {
        "connections-1": {"floor": Figure(1, 1, 0, 0, 9), "wsclient": Figure(1, 3, 0, 0, 9)},
        "connections-10": {"floor": Figure(1, 2, 0, 0, 9), "wsclient": Figure(1, 6, 0, 0, 9)},
        "idle-1000": {"wsclient thread": Figure(1, 1, 0, 0, 9, {"kib": 1.25, "alive": 1000})},
    }
    write(Run(results, 1, 0.1, "today"), tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert (
        "| connections-10 | wsclient | CPU above the floor at most 1.5 times that in connections-1, a message | 2.00 "
        "| **no** |" in page
    )
    assert "| idle-1000 | wsclient thread | KiB a connection at most 1.7 | 1.25 | yes |" in page
    assert "| 10 | 2 (0) | 6 (4) |" in page
    assert "| wsclient thread | 1.25 | 1,000 |" in page
    assert "wsclient" in (tmp_path / "growing-connections.svg").read_text()


def test_bars_of_memory_latency_and_growth_are_judged() -> None:
    def with_values(**values: float) -> Figure:
        return Figure(1, 1, 0, 0, 9, values)

    results = {
        "beside-1": {"wsclient": with_values(p50=5.1), "a": with_values(p50=10.2), "b": with_values(p50=50)},
        "sizes-1024": {"floor": Figure(1, 1, 0, 0, 9), "wsclient": Figure(1, 2, 0, 0, 9)},
        "sizes-4096": {"floor": Figure(1, 2, 0, 0, 9), "wsclient": Figure(1, 8, 0, 0, 9)},
    }
    assert judge(Bar("", "beside-1", "wsclient", "beside", 1.0, "best peer", what="p50"), results).value == 0.5
    assert judge(Bar("", "beside-1", "wsclient", "most", 5.0, what="p50"), results).met is False
    assert judge(Bar("", "beside-1", "wsclient", "least", 5.0, what="p50"), results).met is True
    grown = Bar("", "sizes-4096", "wsclient", "growth", 1.5, first="sizes-1024", unit="KiB", units=4)
    assert judge(grown, results).value == 1.5
    assert judge(grown, {}).met is None


def test_bars_are_judged_by_the_best_other() -> None:
    results = {
        "flood-64": {
            "floor": Figure(900, 1, 0, 0, 9),
            "wsclient": Figure(130, 2, 0, 0, 9),
            "a": Figure(100, 5, 0, 0, 9),
            "b": Figure(90, 3, 0, 0, 9),
        }
    }
    assert judge(Bar("", "flood-64", "wsclient", "rate", 1.4, "best peer"), results).met is False
    assert judge(Bar("", "flood-64", "wsclient", "excess", 0.5, "best peer"), results).value == 0.5
    assert judge(Bar("", "flood-64", "wsclient", "over", 1.0), results).met is True
    assert judge(Bar("", "echo-256", "wsclient", "rate", 1.0), results) == Verdict(
        Bar("", "echo-256", "wsclient", "rate", 1.0)
    )


def test_who_is_not_above_the_floor_is_not_above_a_part_of_anybodys_excess() -> None:
    bar = Bar("", "echo-1000000", "wsclient", "excess", 0.5, "best peer")
    others = {"floor": Figure(1, 5, 0, 0, 9), "a": Figure(1, 5, 0, 0, 9)}
    assert judge(bar, {bar.cell: {**others, "wsclient": Figure(1, 4, 0, 0, 9)}}).met is True
    assert judge(bar, {bar.cell: {**others, "wsclient": Figure(1, 6, 0, 0, 9)}}).met is None


def test_names_in_the_bars_are_those_of_cells_and_clients() -> None:
    keys = {cell.key for cell in ALL}
    assert len(keys) == len(ALL)
    clients = {name for names in MODULES.values() for name in names} | {"floor", "floor many", "best peer"}
    assert {bar.cell for bar in BARS} <= keys
    assert {bar.ours for bar in BARS} | {bar.other for bar in BARS} <= clients
    assert set(QUICK) <= keys
