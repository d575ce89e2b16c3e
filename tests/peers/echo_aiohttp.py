"""An echo server on aiohttp, doing what tests/peers/echo.md says."""

import asyncio
import sys

from aiohttp import WSMsgType, web


async def answer(socket: web.WebSocketResponse, text: str) -> None:
    verb, _, rest = text.partition(" ")
    if verb == "/close":
        code, _, reason = rest.partition(" ")
        await socket.close(code=int(code), message=reason.encode())
    elif verb == "/ping":
        await socket.ping(rest.encode())
    else:
        await socket.send_str(text)


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(
        max_msg_size=8 * 1024 * 1024,
        compress="deflate" in sys.argv,
        autoping=False,
        autoclose=False,
        protocols=["echo.v1"],
    )
    await socket.prepare(request)
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.TEXT:
            await answer(socket, message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
        elif message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is WSMsgType.PONG:
            print("pong", message.data.decode(), flush=True)
        else:
            break
    if message.type is WSMsgType.CLOSE:
        print("closed", message.data, message.extra, flush=True)
        await socket.close(code=message.data if message.data != 1005 else 1000)
    return socket


async def main() -> None:
    app = web.Application()
    app.add_routes([web.get("/{path:.*}", echo)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print("port", runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
