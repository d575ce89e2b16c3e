"""What this process has: descriptors, and threads of the engine."""

import os
from collections import Counter
from pathlib import Path

from conftest import wait_until


def threads() -> Counter[str]:
    """The names of the engine's threads in this process."""
    names = Counter[str]()
    for task in Path("/proc/self/task").iterdir():
        try:
            names[(task / "comm").read_text().strip()] += 1
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
    return Counter({name: count for name, count in names.items() if name.startswith("wsclient-")})


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))


def descriptors_at_rest() -> int:
    """The same, once the engine's threads have ended with theirs: for when there is no connection."""
    wait_until(lambda: not threads())
    return open_descriptors()
