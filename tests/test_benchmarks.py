"""The benchmarks work: one cell, one round, the floor and wsclient. What they measure is not looked at."""

from pathlib import Path

import pytest

from benchmarks import build
from benchmarks.bars import BARS, Bar, Verdict, judge
from benchmarks.players import MODULES
from benchmarks.report import Run, write
from benchmarks.rounds import Figure
from benchmarks.run import play
from benchmarks.works import CELLS, QUICK


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    build.build()
    build.certify()


@pytest.mark.parametrize(
    ("key", "client"),
    [("echo-256-tls", "wsclient on_message"), ("flood-64", "wsclient asyncio for"), ("inflate-1024", "wsclient many")],
)
def test_floor_and_wsclient_are_measured(key: str, client: str) -> None:
    results, notes = play([cell for cell in CELLS if cell.key == key], [client], 1, 0.001)
    assert not notes
    assert set(results) == {key}
    assert client in results[key]
    assert ("floor" in results[key]) == (key != "inflate-1024")
    assert all(figure.rate > 0 and figure.cpu > 0 and figure.count > 0 for figure in results[key].values())


def test_page_says_what_was_measured(tmp_path: Path) -> None:
    figures = {
        "floor": Figure(200, 1, 0, 0, 9),
        "wsclient": Figure(199, 2, 0, 0, 9),
        "picows uvloop": Figure(50, 3, 0, 0, 9),
    }
    write(Run({"echo-256": figures}, 1, 0.1, "today", ["aiohttp: no answer"]), tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert "| echo-256 | wsclient | CPU at most 2 µs above the floor | 1.00 µs | yes |" in page
    assert "| picows uvloop | 50 |" in page
    assert "- aiohttp: no answer" in page
    assert "wsclient" in (tmp_path / "echo-256.svg").read_text()


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


def test_names_in_the_bars_are_those_of_cells_and_clients() -> None:
    keys = {cell.key for cell in CELLS}
    clients = {name for names in MODULES.values() for name in names} | {"floor", "floor many", "best peer"}
    assert {bar.cell for bar in BARS} <= keys
    assert {bar.ours for bar in BARS} | {bar.other for bar in BARS} <= clients
    assert set(QUICK) <= keys
