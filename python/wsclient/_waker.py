"""Wakes an event loop that was busy where the engine's keeper did something for its connections meanwhile."""

from __future__ import annotations

import asyncio
import weakref
from typing import Protocol

from . import _core


class Driver(Protocol):
    """What drives a connection."""

    def serve(self) -> None:
        """A turn of the loop for it."""
        ...


class Waker:
    """Has a loop's connections looked at, whose sockets need not be readable any more. One for all of a loop.

    The loop refers to it while it has connections, and they do; :func:`waker_of` does not, so that a loop that nobody
    refers to is collected with all that waits on it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._native = _core.Waker()
        self._last = 0
        self._kept: dict[int, Driver] = {}
        loop.add_reader(self._native.fileno(), self._woken)

    def keep(self, handle: _core.WSClient, driver: Driver) -> int:
        """Have the connection kept from now on, and served when that has done something; its number here."""
        self._last += 1
        self._kept[self._last] = driver
        try:
            handle.keep(self._native, self._last)
        except BaseException:
            self.leave(self._last)
            raise
        return self._last

    def leave(self, number: int) -> None:
        """Have that one served no more. Again does nothing."""
        if self._kept.pop(number, None) and not self._kept:
            _wakers.pop(id(self._loop), None)
            if not self._loop.is_closed():
                self._loop.remove_reader(self._native.fileno())

    def _woken(self) -> None:
        while number := self._native.take():
            self._kept[number].serve()  # a handle that is left has taken its number back


_wakers: weakref.WeakValueDictionary[int, Waker] = weakref.WeakValueDictionary()  # by their loops' ids


def waker_of(loop: asyncio.AbstractEventLoop) -> Waker:
    """Return the one of this loop, for whom wants to keep a connection at once."""
    waker = _wakers.get(id(loop))
    if waker is None:
        waker = _wakers[id(loop)] = Waker(loop)
    return waker
