"""Runs asynchronous tests on each kind of event loop, and looks at what they leave behind."""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

try:
    import uvloop
except ImportError:  # there is none for this Python
    uvloop = None

DEADLINE = 60.0
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    **({"uvloop": uvloop.new_event_loop} if uvloop else {}),
}


async def _watched(work: Awaitable[Any]) -> Any:
    """Its result, within the deadline; what went wrong beside it, or is left of it, is an error."""
    wrong: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: wrong.append(context))
    result = await asyncio.wait_for(work, DEADLINE)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left, f"tasks left: {left}"
    assert not wrong, wrong
    return result


def run(new_loop: Callable[[], asyncio.AbstractEventLoop], work: Awaitable[Any]) -> Any:
    """Its result, on a loop of its own."""
    loop = new_loop()
    try:
        return loop.run_until_complete(_watched(work))
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def on_each_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a test of an asynchronous function: one on each kind of loop."""

    @pytest.mark.parametrize("new_loop", LOOPS.values(), ids=LOOPS)
    @functools.wraps(test)
    def on_loop(new_loop: Callable[[], asyncio.AbstractEventLoop], **arguments: Any) -> None:
        run(new_loop, test(**arguments))

    signature = inspect.signature(test)
    new_loop = inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY)
    on_loop.__signature__ = signature.replace(parameters=[*signature.parameters.values(), new_loop])  # type: ignore[attr-defined]
    return on_loop
