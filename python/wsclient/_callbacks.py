"""The callbacks of a connection."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

from ._checks import check_callback


@dataclass(frozen=True, kw_only=True, slots=True)
class Callbacks:
    """What is called, if anything. Raises ``TypeError`` for what cannot be, ``ValueError`` for two that do the same."""

    on_message: Callable[..., object] | None = None
    on_messages: Callable[..., object] | None = None
    on_open: Callable[..., object] | None = None
    on_close: Callable[..., object] | None = None
    on_error: Callable[..., object] | None = None

    def __post_init__(self) -> None:
        if not self.any():
            return
        for field in fields(self):
            check_callback(field.name, getattr(self, field.name))
        if self.on_message and self.on_messages:
            raise ValueError("on_message and on_messages exclude each other")

    def any(self) -> bool:
        """Whether there is one."""
        on = (self.on_message, self.on_messages, self.on_open, self.on_close, self.on_error)
        return on != _NONE

    def shared(self) -> Callbacks:
        """Itself, or what all share that have none."""
        return self if self.any() else NO_CALLBACKS

    def receive(self) -> bool:
        """Whether messages go to one."""
        return self.on_message is not None or self.on_messages is not None


_NONE: Final = (None, None, None, None, None)
NO_CALLBACKS: Final = Callbacks()
"""What all connections without any have."""


def in_background(background: object, callbacks: Callbacks) -> bool:
    """Whether the I/O thread drives the connection: if it is asked for, or if there are callbacks."""
    if background is not None and not isinstance(background, bool):
        raise TypeError(f"background must be bool or None, not {type(background).__name__}")
    if background is False and callbacks.any():
        raise ValueError("background=False and callbacks exclude each other: callbacks are called in the background")
    return bool(background) or callbacks.any()
