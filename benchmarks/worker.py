"""The process of one client: it does the orders that come as lines of JSON, one at a time.

python -m benchmarks.worker MODULE CLIENT CPU
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import sys
from dataclasses import asdict

from .order import Clients, Order


def main(module: str, client: str, cpu: str) -> None:
    """Say which works there are, then do what is asked."""
    os.sched_setaffinity(0, {int(cpu)})
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    clients: Clients = importlib.import_module(f"benchmarks.adapters.{module}").CLIENTS
    works = clients[client]
    print(json.dumps(sorted(works)), flush=True)
    for line in sys.stdin:
        order = Order(**json.loads(line))
        try:
            answer = asdict(works[order.work](order))
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        gc.collect()  # connections in cycles would stay open at the server
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
