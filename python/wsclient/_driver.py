"""Drives a native handle on an asyncio event loop: watches its descriptor, keeps its deadlines, wakes who waits."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import NoReturn, Protocol, TypeAlias, TypeVar

from . import _core
from ._waker import Waker, waker_of
from .exceptions import ConcurrencyError, ReceiveTimeoutError
from .models import State

A = TypeVar("A")
T = TypeVar("T")

# What a handle's serve calls.
Calls: TypeAlias = tuple[Callable[..., object] | None, Callable[..., object] | None, Callable[..., object], int]

_READ, _WRITE = 1, 2
_ARRIVED, _NEWS_OF_WAITS, _LEFT = 1, 2, 4  # of what a step finds
_TO_DO, _NEWS = 7, 56  # of what is due
_SOON = 1000  # milliseconds: what an open connection has to do later the keeper does, and no timer costs
_PROOF = 1000  # milliseconds after which the engine asks for a proof of what was sent


class Called(Protocol):
    """A connection with callbacks."""

    @property
    def _calls(self) -> Calls:
        """Those for its messages."""
        ...

    def _end(self) -> None:
        """Call those of the end."""


class LoopDriver:
    """Makes the connection of one native handle go on whenever its event loop has something for it.

    Of a loop it needs ``add_reader``, ``add_writer`` and timers. The loop refers to it and it to the handle, but to no
    connection object, so that a forgotten one is collected. Only for the loop's thread, but for :meth:`forget`.
    """

    def __init__(self, handle: _core.WSClient, loop: asyncio.AbstractEventLoop) -> None:
        handle.keep_socket()
        self._handle = handle
        self._loop = loop
        self._opening = True
        self._fd = -1  # what is watched, and its generation
        self._generation = 0
        self._wants = 0
        self._stale = True  # what was waited for has come to an end
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._again: asyncio.Handle | None = None
        self._called: weakref.ref[Called] | None = None
        self._takes = False  # the callbacks receive
        self._receiver: asyncio.Future[bool] | None = None
        self._waiters: dict[asyncio.Future[bool], Callable[[], bool]] = {}
        self.on_due: Callable[[], Awaitable[None]] | None = None  # if the connection reconnects
        self._tending: asyncio.Task[None] | None = None
        self._failure: Exception | None = None  # of the loop, not of the connection
        self._waker: Waker | None = None
        self._kept = 0  # its number there

    # -- driving

    async def open(self) -> None:
        """Connect and upgrade. Raises what it fails by; then, and when it is cancelled, everything is freed."""
        try:
            self.turn()
            await self.until(lambda: self._handle.state != State.CONNECTING)
            if not self._handle.opened:
                raise self._failure or self._handle.error or AssertionError("not open, and no reason")
            self._waker = waker_of(self._loop)
            self._kept = self._waker.keep(self._handle, self)
            self._disarm()
            self._wait_anew()  # with the keeper's help
        except BaseException:
            self.abort()
            raise

    def turn(self) -> None:
        """Let the engine do what can be done now, watch for what it waits for then, and wake whom that concerns.

        What the loop cannot do costs the connection, so that nobody waits for what will not come.
        """
        try:
            self._turn()
        except Exception as error:
            self._fail(error)

    def _turn(self, connection: Called | None = None) -> None:
        """A step; of a connection that is given with the calls of its callbacks."""
        if self._opening:  # whatever it watched may be closed by any step
            self._unwatch()
        if connection is None:
            found = self._handle.step(self._stale)
        else:
            calls = connection._calls  # pyright: ignore[reportPrivateUsage]
            found = self._handle.serve(connection, calls, self._stale)
        if found == _ARRIVED and not self._called:  # as most do
            self._wake_receiver()
        elif found:
            self._heed(found, connection)
        if self._waiters:
            self._wake_waiters()

    def _heed(self, found: int, connection: Called | None) -> None:
        if (
            connection is not None
            and found & _NEWS_OF_WAITS
            and not found & _LEFT
            and self._handle.state == State.CLOSED
        ):
            self._called = None
            connection._end()  # pyright: ignore[reportPrivateUsage]
        if found & _NEWS_OF_WAITS:
            self._wait_anew()
        if found & _LEFT or (self._called and self._concerns_callbacks(found)):
            self.go_on_soon()
        if found & _ARRIVED:
            self._wake_receiver()

    def _fail(self, error: Exception) -> None:
        opening, self._failure = self._opening, error
        self.abort()
        if not opening:  # else open() says so
            raise error

    def _wait_anew(self) -> None:
        fd, wants, generation, due, again, concerns = self._handle.waits
        if fd != self._fd or generation != self._generation:
            self._unwatch()
            self._handle.drop_socket()
            self._fd = fd
            self._generation = generation
        if wants != self._wants:
            self._watch(wants)
        if again:
            self.go_on_soon()
        if self._opening or self.on_due:
            self._opening = self._handle.state == State.CONNECTING
        self._stale = self._opening
        if fd >= 0 or self._opening:
            self._arm(due)
        else:
            self._end()
        if concerns:
            self._look_after(concerns)

    def _look_after(self, due: int) -> None:
        if due & _TO_DO and self.on_due and not self._tending:
            self._tending = self._loop.create_task(self._tend(self.on_due))
        if due & _NEWS:
            self._handle.tell()

    async def _tend(self, on_due: Callable[[], Awaitable[None]]) -> None:
        try:
            await on_due()
        finally:
            self._tending = None
            self.turn()

    def _watch(self, wants: int) -> None:
        loop, fd, changed = self._loop, self._fd, wants ^ self._wants
        self._wants = wants
        if changed & _READ:
            if wants & _READ:
                loop.add_reader(fd, self.serve)
            else:
                loop.remove_reader(fd)
        if changed & _WRITE:
            if wants & _WRITE:
                loop.add_writer(fd, self.serve)
            else:
                loop.remove_writer(fd)

    def _unwatch(self) -> None:
        if self._wants and not self._loop.is_closed():
            self._watch(0)
        self._fd = -1
        self._generation = self._wants = 0

    def _arm(self, due: int) -> None:
        """Have a turn in that many milliseconds at the latest, -1: none is needed.

        A timer that is armed already and not later stays: its turn will arm the next.
        """
        if due < 0 or (due > _SOON and self._waker and self._handle.state == State.OPEN):
            return
        when = self._loop.time() + due / 1000
        if self._timer:
            if self._timer_at <= when:
                return
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._due)

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer, self._timer_at = None, 0.0

    def prove_later(self) -> None:
        """Have a turn when a proof of what was sent is due."""
        self._arm(_PROOF)

    def go_on_soon(self) -> None:
        """Have a turn when the loop has its next."""
        if not self._again:
            self._again = self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._again = None
        self.serve()

    def _due(self) -> None:
        self._timer = None
        self._stale = True
        self.serve()

    def _end(self) -> None:
        """Nothing is watched any more: let go of the socket."""
        self._handle.drop_socket()
        self._leave()
        self._disarm()

    def _leave(self) -> None:
        """Have it kept no more."""
        waker, self._waker = self._waker, None
        if waker:
            self._handle.leave()
            waker.leave(self._kept)

    def abort(self) -> None:
        """Break off at once."""
        if self._opening:
            self._unwatch()
        self._opening = False
        self._handle.abort()
        self._turn()

    def forget(self) -> None:
        """Break off the connection that nobody has any more. From any thread, and within any code."""
        self._handle.leave()  # the loop may not run again
        try:
            self._loop.call_soon_threadsafe(self.abort)
        except RuntimeError:  # it is closed
            self._handle.abort()
            self._handle.drop_socket()
            self._leave()

    # -- calling back

    def call_for(self, connection: Called, takes: bool) -> None:
        """From now on have the loop itself call the connection's callbacks, in no task's time.

        That is when something has arrived, or only at the end if they do not take that.
        """
        self._called = weakref.ref(connection)
        self._takes = takes and self._handle.claim()
        self.go_on_soon()

    def serve(self) -> None:
        """A turn that the loop gives; with callbacks, at most one that calls them in a round of the loop."""
        connection = self._called() if self._called and not self._again else None
        try:
            self._turn(connection)
        except Exception as error:
            self._fail(error)
        except BaseException:  # what a callback raised to end more than itself
            self._stale = True
            self.go_on_soon()
            raise
        if connection is not None and self.on_due:
            self.prove_later()

    def _concerns_callbacks(self, found: int) -> bool:
        return found & _ARRIVED != 0 if self._takes else self._handle.state == State.CLOSED

    # -- waiting

    async def receive(self, take: Callable[[A], T | None], how: A, timeout: float | None) -> T:
        """Return what take(how) finds, waiting up to ``timeout`` seconds while that is nothing: None.

        It is only taken by a task that goes on with it: one that is cancelled leaves all to the next.
        """
        if not self._handle.claim():
            self._refuse()
        try:
            if self._handle.hogs():
                await breathe(self._handle)
            found = take(how)
        except BaseException:
            self._handle.unclaim()
            raise
        if found is None:
            return await self.receive_later(take, how, timeout)
        self._handle.unclaim()
        self._read_on()
        return found

    async def receive_later(self, take: Callable[[A], T | None], how: A, timeout: float | None) -> T:
        """The same for who has claimed already, and found nothing."""
        try:
            self._receiver = future = self._loop.create_future()
            if timeout is None:
                await future
            elif not await self._woken(future, self._deadline(timeout)):
                self._receiver = None
                self.turn()  # it may be there already, and the loop was busy
            found = take(how)
        finally:
            self._receiver = None
            self._handle.unclaim(True)
        if found is None:
            raise ReceiveTimeoutError("no message in time")
        self._read_on()
        return found

    def _read_on(self) -> None:
        if not self._wants & _READ:
            self.turn()  # what waited had stopped the engine from reading

    def _refuse(self) -> NoReturn:
        if not self._takes:
            raise ConcurrencyError("another task is receiving on this connection")
        if self._handle.state == State.CLOSED and self._handle.error:
            raise self._handle.error
        raise ConcurrencyError("the messages of this connection go to its callbacks")

    async def until(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait until done() says so, which is asked after every turn. False: not within ``timeout`` seconds.

        What done() raises is raised.
        """
        deadline = self._deadline(timeout)
        in_time = True
        while not done():
            if not in_time:
                return False
            future: asyncio.Future[bool] = self._loop.create_future()
            self._waiters[future] = done
            try:
                in_time = await self._woken(future, deadline)
            finally:
                del self._waiters[future]
                if not self._waiters:
                    self._waiters.clear()  # it has memory for the next still
            if not in_time:
                self.turn()
        return True

    def _deadline(self, timeout: float | None) -> float | None:
        if timeout is None:
            return None
        if timeout != timeout:
            raise ValueError("a timeout must not be NaN")
        return self._loop.time() + timeout

    async def _woken(self, future: asyncio.Future[bool], deadline: float | None) -> bool:
        """Wait for a future that is set to True, or to False at the deadline."""
        if deadline is None:
            return await future
        timer = self._loop.call_at(deadline, _expire, future)
        try:
            return await future
        finally:
            timer.cancel()

    def _wake_receiver(self) -> None:
        if self._receiver and not self._receiver.done():
            self._receiver.set_result(True)

    def _wake_waiters(self) -> None:
        for future, done in self._waiters.items():
            if not future.done() and _is_decided(done):
                future.set_result(True)


async def breathe(handle: _core.WSClient) -> None:
    """Let the loop's other work come first: what never has to wait must not keep it from that."""
    await asyncio.sleep(0)
    handle.rested()


class OpeningDriver(LoopDriver):
    """Drives a connection for ``on_open``, while others wait on it."""

    def __init__(self, driver: LoopDriver) -> None:
        self._driver = driver

    def turn(self) -> None:
        self._driver.turn()

    def go_on_soon(self) -> None:
        self._driver.go_on_soon()

    def abort(self) -> None:
        self._driver.abort()

    async def until(self, done: Callable[[], bool], timeout: float | None = None) -> bool:
        return await self._driver.until(done, timeout)

    async def receive(self, take: Callable[[A], T | None], how: A, timeout: float | None) -> T:
        found: list[T] = []

        def look() -> bool:
            message = None if found else take(how)
            if message is not None:
                found.append(message)
            return bool(found)

        self._driver.turn()
        if not await self._driver.until(look, timeout):
            raise ReceiveTimeoutError("no message in time")
        return found[0]


def _is_decided(done: Callable[[], bool]) -> bool:
    try:
        return done()
    except Exception:
        return True  # who waits will meet it


def _expire(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)
