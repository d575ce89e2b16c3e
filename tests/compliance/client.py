"""Echo what a fuzzing server of the Autobahn testsuite sends, case after case: python client.py URL AGENT.

The agent is one of AGENTS: who drives the connection.
"""

import asyncio
import contextlib
import json
import sys
from typing import Any

import wsclient
from wsclient import aio

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


def echo_in_background(url: str) -> None:
    def on_message(connection: wsclient.Connection, message: str | bytes) -> None:
        with contextlib.suppress(wsclient.ConnectionClosed):
            connection.send(message)

    connection = wsclient.connect(url, max_size=None, compression=COMPRESSION, on_message=on_message)
    assert connection.wait_closed(DEADLINE), "the case did not end"


async def echo_async(url: str) -> None:
    try:
        async with aio.connect(url, max_size=None, compression=COMPRESSION) as connection:
            async for message in connection:
                await connection.send(message)
    except wsclient.ConnectionClosed:
        pass


AGENTS = {
    "wsclient-inline": echo,
    "wsclient-thread": echo_in_background,
    "wsclient-asyncio": lambda url: asyncio.run(echo_async(url)),
}


def main() -> None:
    url, agent = sys.argv[1:]
    for case in range(1, ask(f"{url}/getCaseCount") + 1):
        AGENTS[agent](f"{url}/runCase?case={case}&agent={agent}")
    assert wsclient.connect(f"{url}/updateReports?agent={agent}").wait_closed(DEADLINE), "no reports were written"


main()
