"""What a connection that reconnects asks of the program, and tells it."""

from __future__ import annotations

import inspect
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar, cast

from . import _core
from ._handle import keep_answer, request_headers
from ._log import ConnectionLogger
from .exceptions import MessagesLostError, PingTimeoutError
from .options import ClientOptions
from .reconnect import ReconnectPolicy

if TYPE_CHECKING:
    from collections.abc import Awaitable

C = TypeVar("C")
H = TypeVar("H", bound=Callable[..., object])

_ASKED, _DOWN, _LOST = 1, 2, 4  # what is due
_RETRY, _HEADERS, _OPEN = 1, 2, 4  # what is asked
_NO, _YES, _UNDECIDED = 0, 1, 2
_GIVEN_UP = "%d messages were given up that may not have arrived"


class Session:
    """Looks after a native handle that reconnects: who drives it calls :meth:`tend` when something is due."""

    def __init__(self, handle: _core.WSClient, url: str, options: ClientOptions, policy: ReconnectPolicy) -> None:
        self._handle = handle
        self._url = url
        self.options = options
        self._policy = policy
        self._logger = ConnectionLogger(options.logger, handle)
        self._lock = threading.RLock()  # of what was lost, which the dispatcher and callers take over
        self._lost: deque[str | bytes] = deque(maxlen=None if policy.on_lost else policy.outbox_messages)
        self.lost = 0
        """How many messages were given up."""

    def tend(self, connection: C, view: Callable[[], C]) -> None:
        """Tell and answer what is due. ``view`` makes the connection that ``on_open`` gets."""
        if self._tell(connection) & _OPEN:
            try:
                self._opened(view())
            except BaseException as error:
                self._refuse(_OPEN, error)
            else:
                self._handle.answer(_OPEN, _YES)

    def _opened(self, connection: object) -> None:
        result = self._on_open(connection)
        if inspect.iscoroutine(result):
            result.close()
            raise TypeError("on_open must be a plain function, not async: nothing here would await it")

    async def tend_later(self, connection: C, view: Callable[[], C]) -> None:
        """As :meth:`tend`, on an event loop."""
        if self._tell(connection) & _OPEN:
            try:
                result = self._on_open(view())
                if inspect.isawaitable(result):
                    await cast("Awaitable[object]", result)
            except BaseException as error:
                self._refuse(_OPEN, error)
            else:
                self._handle.answer(_OPEN, _YES)

    def collect(self) -> int:
        """Take over what the engine has given up; how many messages were lost in all."""
        with self._lock:
            messages = self._handle.take_lost()
            self.lost += len(messages)
            self._lost.extend(messages)
        if messages:
            self._logger.warning(_GIVEN_UP, len(messages))
        return self.lost

    def flush(self, timeout: float | None) -> None:
        """Wait until all that was sent is proved to have arrived, and raise if some of it was given up."""
        if not self._handle.await_proof(timeout):
            raise PingTimeoutError("what was sent was not proved to have arrived in time")
        self.raise_lost()

    def raise_lost(self) -> None:
        """Raise ``MessagesLostError`` if messages were given up that nobody is told of."""
        messages = [] if self._policy.on_lost else self._take_lost()
        if messages:
            raise MessagesLostError(messages)

    def _take_lost(self) -> list[str | bytes]:
        self.collect()
        with self._lock:
            messages = list(self._lost)
            self._lost.clear()
            return messages

    def _tell(self, connection: object) -> int:
        """Tell all but ``on_open``; what is asked still."""
        due = self._handle.take_due()
        if due & _DOWN:
            self._down(connection)
        if due & _LOST:
            self._lose(connection)
        asked = self._handle.asked if due & _ASKED else 0
        if asked == _RETRY:
            self._decide()
        elif asked == _HEADERS:
            self._ask_headers()
        return asked

    def _down(self, connection: object) -> None:
        error, pause = self._handle.down_error, self._handle.pause
        self._logger.info("connection lost, the next attempt is in %.3g s: %s", pause, error)
        on_down = cast("Callable[[object, Exception, float], object] | None", self._policy.on_down)
        if on_down:
            self._call(lambda: on_down(connection, error, pause))

    def _lose(self, connection: object) -> None:
        self.collect()
        on_lost = cast("Callable[[object, list[str | bytes]], object] | None", self._policy.on_lost)
        messages = self._take_lost() if on_lost else []
        if on_lost and messages:
            self._call(lambda: on_lost(connection, messages))

    def _decide(self) -> None:
        verdict: bool | None = None
        retry = cast("Callable[[Exception], bool | None]", self._policy.retry)
        try:
            verdict = retry(self._handle.down_error)
        except Exception:
            self._logger.exception("retry raised")
        self._handle.answer(_RETRY, _UNDECIDED if verdict is None else _YES if verdict else _NO)

    def _ask_headers(self) -> None:
        try:
            keep_answer(self._handle, self.options)
            self._handle.set_headers(request_headers(self._url, self.options))
        except BaseException as error:
            self._refuse(_HEADERS, error)
        else:
            self._handle.answer(_HEADERS, _YES)

    def _on_open(self, connection: object) -> object:
        on_open = cast("Callable[[object], object]", self._policy.on_open)
        return on_open(connection)

    def _refuse(self, asked: int, error: BaseException) -> None:
        self._handle.answer(asked, _NO, f"{type(error).__name__}: {error}")
        if not isinstance(error, Exception):
            raise error
        self._logger.warning("the attempt to connect has failed", exc_info=error)

    def _call(self, callback: Callable[[], object]) -> None:
        try:
            callback()
        except Exception:
            self._logger.exception("a callback raised")


def session_of(handle: _core.WSClient, url: str, options: ClientOptions) -> Session | None:
    """Return what looks after the handle if it reconnects."""
    return Session(handle, url, options, options.policy) if options.policy else None


def tell_nobody(handle: _core.WSClient, logger: ConnectionLogger) -> None:
    """Take what is due where nobody has the connection any more: only the log is told of what was given up."""
    handle.take_due()
    lost = len(handle.take_lost())
    if lost:
        logger.warning(_GIVEN_UP, lost)


def with_hook(
    reconnect: bool | ReconnectPolicy | None, on_open: H | None
) -> tuple[bool | ReconnectPolicy | None, H | None]:
    """With ``reconnect``, ``on_open`` is the policy's: return that policy, and the callback that is left."""
    if not reconnect or on_open is None:
        return reconnect, on_open
    policy = reconnect if isinstance(reconnect, ReconnectPolicy) else ReconnectPolicy()
    if policy.on_open:
        raise ValueError("on_open is there twice: in the policy and as an option")
    return replace(policy, on_open=on_open), None
