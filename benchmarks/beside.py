"""How long messages wait for a callback while another Python thread computes."""

from __future__ import annotations

import statistics
import sys
import threading
import time
from types import TracebackType

from .order import Order, Sample


class Busy:
    """A thread that does nothing but run Python code, as long as the block lasts."""

    def __enter__(self) -> None:
        self._over = False
        self._thread = threading.Thread(target=self._compute)
        self._thread.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over = True
        self._thread.join()

    def _compute(self) -> None:
        while not self._over:
            pass


class Ages:
    """How old each message was that holds when it was sent; order.count times order.size come at once."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._left = order.count * order.size
        self._ages: list[int] = []
        self._arrivals: list[int] = []
        self._all_here = threading.Event()

    def add(self, message: str | bytes | bytearray | memoryview) -> bool:
        """A message is here. True: it was the last."""
        now = time.monotonic_ns()
        assert not isinstance(message, str)
        self._ages.append(now - int.from_bytes(message, sys.byteorder))
        self._arrivals.append(now)
        self._left -= 1
        if not self._left:
            self._all_here.set()
        return not self._left

    def sample(self) -> Sample:
        """Wait for all of them. Times are in milliseconds; for `takes` see :meth:`_takes`."""
        began = time.perf_counter()
        if not self._all_here.wait(self._order.latest):
            raise TimeoutError(f"{self._left} messages are missing")
        interval = sys.getswitchinterval() * 1e9
        p50, p99 = statistics.median(self._ages), statistics.quantiles(self._ages, n=100, method="inclusive")[98]
        values = {"p50": p50 / 1e6, "p99": p99 / 1e6, "intervals": p50 / interval, "takes": self._takes(interval)}
        return Sample(time.perf_counter() - began, 0.0, values)

    def _takes(self, interval: float) -> float:
        """How often the GIL was taken for all that came at once, on the average.

        Who has let go of it waits for most of a switch interval until it comes back: such a gap is a take.
        """
        size, arrivals = self._order.size, self._arrivals
        gaps = sum(
            arrivals[i] - arrivals[i - 1] > interval / 2
            for first in range(0, len(arrivals), size)
            for i in range(first + 1, first + size)
        )
        return 1 + gaps / self._order.count
