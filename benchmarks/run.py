"""Runs the benchmarks: python -m benchmarks.run [--quick] (make bench, make bench-quick)."""

from __future__ import annotations

import argparse
import datetime
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from . import build
from .bars import Results
from .players import BUILD, MODULES, ROOT, Floor, Player, PlayerError, Server, Worker
from .report import Run, read, write
from .rounds import Figure, measure
from .works import ALL, QUICK, Cell


@contextmanager
def table(clients: Sequence[str], say: Callable[[str], None]) -> Iterator[tuple[Server, list[Player]]]:
    """The server and the clients whose names begin so (all: no names), each on its CPU; ended at the end."""
    client_cpu, server_cpu = _cpus()
    with ExitStack() as stack:
        server = Server(server_cpu, BUILD / "cert.pem", BUILD / "key.pem", BUILD / "ca.pem")
        stack.callback(server.end)
        players: list[Player] = [Floor(client_cpu), Floor(client_cpu, "floor many", many=True)]
        for module, names in MODULES.items():
            for name in names:
                if clients and not name.startswith(tuple(clients)):
                    continue
                try:
                    player = Worker(module, name, client_cpu)
                except PlayerError as error:
                    say(str(error))
                else:
                    stack.callback(player.end)
                    players.append(player)
        yield server, players


def _cpus() -> tuple[int, int]:
    """One CPU for the clients and another for the server, if there are two."""
    cpus = sorted(os.sched_getaffinity(0))
    return cpus[0], cpus[-1]


def play(
    cells: Sequence[Cell],
    clients: Sequence[str],
    rounds: int,
    seconds: float,
    before: tuple[Results, Sequence[str]] = ({}, ()),
) -> Iterator[Run]:
    """Measure these cells; after each, all that was measured until then, and what was measured of others before."""
    results: dict[str, Mapping[str, Figure]] = dict(before[0])
    anew = tuple(f"{cell.key}: " for cell in cells)
    notes = [note for note in before[1] if not note.startswith(anew)]
    with table(clients, notes.append) as (server, players):
        for cell in cells:
            print(cell.title, file=sys.stderr, flush=True)
            results[cell.key] = measure(cell, players, server, rounds, seconds, notes.append)
            yield Run(results, rounds, seconds, f"{datetime.date.today()}", notes)


def main() -> None:
    """Read the command line, measure, write."""
    parser = argparse.ArgumentParser(description="How fast wsclient is beside others.")
    parser.add_argument("--quick", action="store_true", help="few cells and rounds: a look, no proof")
    parser.add_argument("--rounds", type=int, help="how often each client has its turn (9; quick: 3)")
    parser.add_argument("--seconds", type=float, help="how long one turn is (0.15; quick: 0.05)")
    parser.add_argument(
        "--cells",
        default="",
        help="only cells whose names begin so, separated by commas (flood,echo-256); the page keeps the others",
    )
    parser.add_argument("--clients", default="", help="only clients whose names begin so, besides the floor")
    parser.add_argument("--out", type=Path, help="where to write (docs/benchmarks; quick: build/bench/quick)")
    args = parser.parse_args()
    prefixes = tuple(args.cells.split(",")) if args.cells else QUICK if args.quick else ("",)
    cells = [cell for cell in ALL if (cell.key in prefixes if prefixes is QUICK else cell.key.startswith(prefixes))]
    rounds, seconds = args.rounds or (3 if args.quick else 9), args.seconds or (0.05 if args.quick else 0.15)
    out = args.out or (BUILD / "quick" if args.quick else ROOT / "docs" / "benchmarks")
    build.build()
    build.certify()
    clients = args.clients.split(",") if args.clients else []
    for run in play(cells, clients, rounds, seconds, read(out) if args.cells else ({}, ())):
        write(run, out)
    print(out / "README.md")


if __name__ == "__main__":
    main()
