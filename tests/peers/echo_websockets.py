"""An echo server on the websockets package, doing what tests/peers/echo.md says."""

import asyncio
import sys
from collections.abc import Awaitable, Sequence

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol


async def print_pong(pong: Awaitable[float], data: str) -> None:
    await pong
    print("pong", data, flush=True)


async def answer(connection: ServerConnection, message: str | bytes, tasks: set[asyncio.Task[None]]) -> None:
    verb, _, rest = message.partition(" ") if isinstance(message, str) else ("", "", "")
    if verb == "/close":
        code, _, reason = rest.partition(" ")
        await connection.close(int(code), reason)
    elif verb == "/ping":
        tasks.add(asyncio.create_task(print_pong(await connection.ping(rest), rest)))
    elif verb == "/fragments":
        await connection.send(rest.split(" "))
    else:
        await connection.send(message)


async def echo(connection: ServerConnection) -> None:
    tasks: set[asyncio.Task[None]] = set()
    try:
        async for message in connection:
            await answer(connection, message, tasks)
    except ConnectionClosed:
        pass  # printed below, clean or not
    print("closed", connection.close_code, connection.close_reason, flush=True)


def choose(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol("echo.v1") if "echo.v1" in offered else None


async def main() -> None:
    compression = "deflate" if "deflate" in sys.argv else None
    options = {"max_size": 8 * 1024 * 1024, "compression": compression, "select_subprotocol": choose}
    async with serve(echo, "127.0.0.1", 0, **options) as server:
        print("port", next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()


asyncio.run(main())
