"""What connections cost that do nothing, and to open: memory, and the time of each opening."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from .order import Order, Sample

C = TypeVar("C")
WARM_UP = 20
"""Connections before those that count: what is there once, however many there are, is none of them's."""
REST = 1.5
"""Seconds in which a client may tidy up."""


def resident() -> float:
    """KiB that this process takes: its proportional share (PSS)."""
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return float(line.split()[1])
    raise OSError("no Pss in smaps_rollup")


class Stopwatch:
    """Sums up what runs inside it, each time."""

    def __init__(self) -> None:
        self.sample = Sample()

    def __enter__(self) -> None:
        self._clock, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        clock, cpu = time.perf_counter() - self._clock, time.process_time() - self._cpu
        self.sample = Sample(self.sample.seconds + clock, self.sample.cpu + cpu)


def idle(order: Order, open_one: Callable[[], C], trip: Callable[[C], object]) -> Sample:
    """Open order.count connections and leave them alone; how many are alive then is told by a round trip on each."""
    kept = [open_one() for _ in range(WARM_UP)]
    time.sleep(REST)
    gc.collect()
    before, watch = resident(), Stopwatch()
    with watch:
        kept += [open_one() for _ in range(order.count)]
    time.sleep(REST)
    gc.collect()
    grown = resident() - before
    for connection in kept:
        trip(connection)
    return _of_idle(order, watch, grown, len(kept))


async def idle_async(
    order: Order, open_one: Callable[[], Awaitable[C]], trip: Callable[[C], Awaitable[object]]
) -> Sample:
    """As idle, on an event loop."""
    kept = [await open_one() for _ in range(WARM_UP)]
    await asyncio.sleep(REST)
    gc.collect()
    before, watch = resident(), Stopwatch()
    with watch:
        kept += [await open_one() for _ in range(order.count)]
    await asyncio.sleep(REST)
    gc.collect()
    grown = resident() - before
    for connection in kept:
        await trip(connection)
    return _of_idle(order, watch, grown, len(kept))


def _of_idle(order: Order, watch: Stopwatch, grown: float, answered: int) -> Sample:
    values = {"kib": grown / order.count, "alive": float(answered - WARM_UP)}
    return Sample(watch.sample.seconds, watch.sample.cpu, values)


def opening(order: Order, open_one: Callable[[], C], close: Callable[[C], object]) -> Sample:
    """Open order.count connections, one after another; closing them is not counted."""
    close(open_one())
    watch = Stopwatch()
    for _ in range(order.count):
        with watch:
            connection = open_one()
        close(connection)
    return watch.sample


async def opening_async(
    order: Order, open_one: Callable[[], Awaitable[C]], close: Callable[[C], Awaitable[object]]
) -> Sample:
    """As opening, on an event loop."""
    await close(await open_one())
    watch = Stopwatch()
    for _ in range(order.count):
        with watch:
            connection = await open_one()
        await close(connection)
    return watch.sample
