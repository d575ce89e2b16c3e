"""Checks of options, which name the option that is wrong."""

from __future__ import annotations

import inspect
import math


def check_timeout(name: str, value: object) -> None:
    """Check a time in seconds, ``None`` meaning no limit."""
    if value is None:
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds or None, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be finite and not negative, not {value}: None is no limit")


def check_instance(name: str, value: object, wanted: type) -> None:
    """Check that a value is of this type, or None."""
    if value is not None and not isinstance(value, wanted):
        raise TypeError(f"{name} must be {wanted.__name__} or None, not {type(value).__name__}")


def check_count(name: str, value: object, limit: int, least: int = 1) -> None:
    """Check a number that is at least ``least`` and below ``limit``."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be int, not {type(value).__name__}")
    if not least <= value < limit:
        raise ValueError(f"{name} must be {least} to {limit - 1}, not {value}")


def check_callable(name: str, value: object) -> None:
    """Check that a value can be called, or is None."""
    if value is not None and not callable(value):
        raise TypeError(f"{name} must be callable or None, not {type(value).__name__}")


def check_callback(name: str, callback: object, awaited: bool = False) -> None:
    """Raise ``TypeError`` for what cannot be called; for a coroutine function, too, unless that is ``awaited``."""
    check_callable(name, callback)
    if callback is None or awaited:
        return
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(type(callback).__call__):
        raise TypeError(f"{name} must be a plain function, not async: nothing here would await it")
