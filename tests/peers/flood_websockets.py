"""A server on the websockets package that floods its clients: flood_websockets.py CHAIN KEY.

It listens on 127.0.0.1 and prints `port N`, `tls N` (with that certificate) and `patient N`. A client gets numbered
messages, 100 every 50 ms, until it says something, then `end COUNT`. Every 0.5 s it is pinged, and it is given up when
no pong has come after 1 s; at `patient`, never.
"""

import asyncio
import ssl
import sys

from websockets.asyncio.server import Server, ServerConnection, serve

BURST, PAUSE, SIZE = 100, 0.05, 200


async def flood(connection: ServerConnection) -> None:
    count = 0
    enough = asyncio.create_task(connection.recv())
    while not enough.done():
        for _ in range(BURST):
            await connection.send(f"{count:<{SIZE}}")
            count += 1
        await asyncio.sleep(PAUSE)
    await enough
    await connection.send(f"end {count}")
    await connection.wait_closed()


async def listen(name: str, timeout: float | None, context: ssl.SSLContext | None) -> Server:
    options = {"ping_interval": 0.5, "ping_timeout": timeout, "compression": None, "ssl": context}
    server = await serve(flood, "127.0.0.1", 0, **options)
    print(name, next(iter(server.sockets)).getsockname()[1], flush=True)
    return server


async def main(chain: str, key: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    await listen("port", 1, None)
    await listen("tls", 1, context)
    patient = await listen("patient", None, None)
    await patient.serve_forever()


asyncio.run(main(*sys.argv[1:]))
