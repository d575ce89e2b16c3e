"""How a connection outlives its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from ._checks import check_callable, check_count, check_timeout

if TYPE_CHECKING:  # they are what is called back, and import this
    from .aio import AsyncConnection
    from .connection import Connection

    OnOpen: TypeAlias = Callable[[Connection], object] | Callable[[AsyncConnection], object]
    OnDown: TypeAlias = (
        Callable[[Connection, Exception, float], object] | Callable[[AsyncConnection, Exception, float], object]
    )
    OnLost: TypeAlias = (
        Callable[[Connection, list[str | bytes]], object] | Callable[[AsyncConnection, list[str | bytes]], object]
    )

_MOST = 2**31


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconnectPolicy:
    """How to reconnect, for the option ``reconnect``; docs/reconnecting.md tells the whole of it.

    A connection that is lost is opened anew, after a pause: a random part of ``initial_delay``, which doubles with each
    failure up to ``max_delay`` (exponential backoff with full jitter), and no less than the server's ``Retry-After``.
    The first opening is retried by the same rules. What may be right the next time is retried, what would only fail
    again is not. Times are in seconds. Raises ``TypeError`` or ``ValueError``.
    """

    initial_delay: float = 0.5
    """The first pause at most."""
    max_delay: float = 30
    """A pause at most."""
    max_time: float | None = 900
    """Give up when there was no steady connection for so long; ``None``: never."""
    max_attempts: int | None = None
    """Give up after so many failures without a steady connection; ``None``: never."""
    steady_after: float = 10
    """A connection that has lasted so long is a steady one: pauses and limits begin anew."""
    delivery: Literal["at_least_once", "at_most_once"] = "at_least_once"
    """What may have arrived when a connection is lost: sent again, or given up and named to ``on_lost``."""
    outbox_messages: int = 16384
    """Messages kept until they have provably arrived, at most: then sending waits."""
    outbox_bytes: int = 2**24
    """Bytes of them, at most; a single message may be larger."""
    on_open_send: Sequence[str | bytes] = field(default=(), repr=False)
    """Messages to send first on every connection, before anything else."""
    on_open: OnOpen | None = None
    """Called with a connection on every opening, before anything queued is sent: to authenticate and subscribe.

    What it sends goes out at once and is not kept, and what it receives came after that opening. Use the connection it
    is called with, and only in there. When it raises, the attempt has failed. On asyncio it may be ``async``.
    """
    on_open_timeout: float | None = 10
    """How long ``on_open`` may take; ``None``: for ever. Then the attempt has failed."""
    retry: Callable[[Exception], bool | None] | None = None
    """Asked with what went wrong whether to try again; ``None``: as docs/reconnecting.md says."""
    on_down: OnDown | None = None
    """Called with the connection, with what it was lost by, and with how long the pause is."""
    on_lost: OnLost | None = None
    """Called with the connection and with messages that were accepted and are given up."""

    def __post_init__(self) -> None:
        for name in ("initial_delay", "max_delay", "max_time", "steady_after", "on_open_timeout"):
            check_timeout(name, getattr(self, name))
        for name in ("initial_delay", "max_delay", "steady_after"):
            if getattr(self, name) is None:
                raise TypeError(f"{name} must be a number of seconds")
        for name in ("outbox_messages", "outbox_bytes"):
            check_count(name, getattr(self, name), _MOST)
        if self.max_attempts is not None:
            check_count("max_attempts", self.max_attempts, _MOST)
        if self.delivery not in ("at_least_once", "at_most_once"):
            raise ValueError(f'delivery must be "at_least_once" or "at_most_once", not {self.delivery!r}')
        for name in ("on_open", "retry", "on_down", "on_lost"):
            check_callable(name, getattr(self, name))
        _check_messages(self.on_open_send)


def _check_messages(messages: object) -> None:
    if isinstance(messages, str | bytes) or not isinstance(messages, Sequence):
        raise TypeError("on_open_send must be a sequence of str or bytes")
    if not all(isinstance(message, str | bytes) for message in cast("Sequence[object]", messages)):
        raise TypeError("on_open_send must be a sequence of str or bytes")
