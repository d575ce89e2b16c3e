"""Echo what a fuzzing server of the Autobahn testsuite sends, case after case: python client.py URL AGENT."""

import json
import sys
from typing import Any

import wsclient

COMPRESSION = wsclient.DeflateOptions(threshold=0, server_max_window_bits=15, client_max_window_bits=15)
DEADLINE = 60.0


def ask(url: str) -> Any:
    with wsclient.connect(url, max_size=None) as connection:
        return json.loads(connection.recv(timeout=DEADLINE))


def echo(url: str) -> None:
    try:
        with wsclient.connect(url, max_size=None, compression=COMPRESSION) as connection:
            for message in connection:
                connection.send(message)
    except wsclient.ConnectionClosed:
        pass  # which is what many cases are about


def main() -> None:
    url, agent = sys.argv[1:]
    for case in range(1, ask(f"{url}/getCaseCount") + 1):
        echo(f"{url}/runCase?case={case}&agent={agent}")
    assert wsclient.connect(f"{url}/updateReports?agent={agent}").wait_closed(DEADLINE), "no reports were written"


main()
