"""One connection by each of the drivers, with calls that all wait: what holds for one is tried with the others."""

import asyncio
import inspect
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import wsclient
from wsclient import aio

DRIVERS = ["inline", "thread", "asyncio"]


class Driven:
    """A connection of :func:`wsclient.connect` or :class:`wsclient.aio.connect`.

    On asyncio the event loop runs only during calls: between them the program is busy with something else.
    """

    def __init__(self, driver: str, url: str, **options: Any) -> None:
        self.loop = asyncio.new_event_loop() if driver == "asyncio" else None
        self.connection: Any = None
        try:
            if self.loop:
                self.connection = self.loop.run_until_complete(_connected(url, options))
            else:
                self.connection = wsclient.connect(url, background=driver == "thread" or None, **options)
        finally:
            if self.connection is None:
                self._end_loop()

    def __enter__(self) -> "Driven":
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.abort()
        self.connection = None
        self._end_loop()

    def call(self, verb: str, *arguments: Any, **keywords: Any) -> Any:
        """What a method of the connection returns, awaited if need be."""
        result = getattr(self.connection, verb)(*arguments, **keywords)
        return self.loop.run_until_complete(result) if self.loop and inspect.isawaitable(result) else result

    def outcomes(self, verbs: Sequence[str]) -> list[Any]:
        """What several methods, called at once, return or raise."""
        if self.loop:
            return self.loop.run_until_complete(self._gathered(verbs))
        with ThreadPoolExecutor(len(verbs)) as threads:
            calls = [threads.submit(getattr(self.connection, verb)) for verb in verbs]
            return [call.exception() or call.result() for call in calls]

    async def _gathered(self, verbs: Sequence[str]) -> list[Any]:
        return await asyncio.gather(*(getattr(self.connection, verb)() for verb in verbs), return_exceptions=True)

    def _end_loop(self) -> None:
        if self.loop:
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()


async def _connected(url: str, options: dict[str, Any]) -> aio.AsyncConnection:
    return await aio.connect(url, **options)
