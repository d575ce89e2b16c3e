"""The package in sub-interpreters with a GIL of their own, two at once, in a process that uses it itself."""

import subprocess
import sys

import pytest

from conftest import Echo
from wsclient.testing import ChatServer

pytestmark = pytest.mark.skipif(sys.version_info < (3, 13), reason="this Python gives them no module of their own")
DEADLINE = 60.0

PROGRAM = """
import _interpreters, sys, threading

def use(work, failures):
    interpreter = _interpreters.create()
    failure = _interpreters.exec(interpreter, work)
    _interpreters.destroy(interpreter)
    if failure is not None:
        failures.append(failure.formatted + getattr(failure, "errdisplay", ""))

work, *rest = sys.argv[1:]
work = f"rest = {rest!r}" + work
failures = []
threads = [threading.Thread(target=use, args=(work, failures)) for _ in range(2)]
for thread in threads:
    thread.start()
exec(work)
for thread in threads:
    thread.join()
assert not failures, failures[0]
print("used in three")
"""

# rest are a port and a URL.
CHAT = """
import queue, wsclient
heard = queue.Queue()
with wsclient.WSClient(port=rest[0], username="Alice") as client:
    client.set_message_callback(lambda _, message, received: heard.put(message.text), use_json=True)
    assert client.start()
    for i in range(300):
        assert client.send_message(str(i), wsclient.MessageInfo.SEND_BACK | wsclient.MessageInfo.NO_BROADCAST)
    assert [heard.get(timeout=20) for _ in range(300)] == [str(i) for i in range(300)]
"""

CONNECTION = """
import queue, wsclient
for background in (False, True):
    with wsclient.connect(rest[1], background=background) as connection:
        connection.send_many(str(i) for i in range(300))
        assert [connection.recv(20) for i in range(300)] == [str(i) for i in range(300)]
heard, closed = queue.Queue(), queue.Queue()
with wsclient.connect(
    rest[1], on_message=lambda _, message: heard.put(message), on_close=lambda _, info: closed.put(info)
) as connection:
    connection.send("text")
    assert heard.get(timeout=20) == "text"
assert closed.get(timeout=20).clean
try:
    connection.recv()
except wsclient.ConnectionClosedOK:
    pass
"""

LOOP = """
import asyncio, wsclient
async def main():
    async with wsclient.aio.connect(rest[1]) as connection:
        for i in range(100):
            await connection.send(str(i))
            assert await connection.recv(20) == str(i)
asyncio.run(main())
"""

FORGOTTEN = """
import wsclient
connection = wsclient.connect(rest[1], on_message=lambda connection, message: connection.send(message))
connection.send("round and round")
"""


@pytest.mark.parametrize(
    "work", [CHAT, CONNECTION, LOOP, FORGOTTEN], ids=["chat", "connection", "asyncio", "until the end"]
)
def test_two_use_it_at_once(chat_server: ChatServer, websockets_echo: Echo, work: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, work, str(chat_server.port), websockets_echo.url],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "used in three\n"


def test_the_standard_json_takes_the_place_of_msgspec() -> None:
    """Which does not load there."""
    work = """
import sys
from wsclient import Message, _codec
assert _codec.decode_any(_codec.encode(Message("text"))).text == "text"
import _interpreters
if _interpreters.get_current()[0] != _interpreters.get_main()[0]:
    assert "msgspec" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", PROGRAM, work], capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (0, "")
