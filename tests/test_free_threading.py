"""Many threads at once, with the GIL or without it: each message counts once, and those of one sender are in order."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest

import wsclient
from conftest import Echo, wait_until
from raw_server import DEADLINE, TEXT, Peer, RawServer, close_frame, frame
from test_background import Options
from wsclient import (
    CloseInfo,
    ConcurrencyError,
    Connection,
    ConnectionClosed,
    ConnectionClosedOK,
    Message,
    MessageInfo,
    State,
    WSClient,
    aio,
)
from wsclient.testing import ChatServer

T = TypeVar("T")
SENDERS, EACH = 6, 300
TO_ME = MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST


def at_once(*works: Callable[[], T]) -> list[T]:
    """Do that in threads that begin together; what they returned. What one raised is raised here."""
    together = threading.Barrier(len(works))

    def begin(work: Callable[[], T]) -> T:
        together.wait(DEADLINE)
        return work()

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(begin, works))


def numbered(sender: int) -> list[str]:
    """What a sender has to say."""
    return [f"{sender} {i}" for i in range(EACH)]


def sends(connection: Connection, sender: int) -> Callable[[], None]:
    """Say it, every second sender with many messages at once."""

    def one_by_one() -> None:
        for text in numbered(sender):
            connection.send(text)

    def together() -> None:
        texts = iter(numbered(sender))
        while some := list(itertools.islice(texts, 7)):
            connection.send_many(some)

    return together if sender % 2 else one_by_one


def assert_all_in_order(messages: Iterable[Any]) -> None:
    """Each message of each sender is there once, in the order of sending."""
    heard: dict[int, list[str]] = {sender: [] for sender in range(SENDERS)}
    for message in messages:
        heard[int(message.split()[0])].append(message)
    assert heard == {sender: numbered(sender) for sender in range(SENDERS)}


@pytest.mark.parametrize("background", [False, True], ids=["inline", "background"])
def test_one_receives_while_many_send(websockets_echo: Echo, background: bool) -> None:
    with wsclient.connect(websockets_echo.url, background=background) as connection:
        received: list[str | bytes] = []

        def receive() -> None:
            while len(received) < SENDERS * EACH:
                received.append(connection.recv(DEADLINE))

        at_once(receive, *(sends(connection, sender) for sender in range(SENDERS)))
        assert_all_in_order(received)
        stats = connection.stats()
        assert (stats.messages_sent, stats.messages_received) == (SENDERS * EACH, SENDERS * EACH)


@pytest.mark.parametrize("lists", [False, True], ids=["on_message", "on_messages"])
def test_a_callback_is_called_while_many_send(websockets_echo: Echo, lists: bool) -> None:
    heard: list[str | bytes] = []
    options: Options = (
        {"on_messages": lambda _, many: heard.extend(many)}
        if lists
        else {"on_message": lambda _, message: heard.append(message)}
    )
    with wsclient.connect(websockets_echo.url, **options) as connection:
        at_once(*(sends(connection, sender) for sender in range(SENDERS)))
        wait_until(lambda: len(heard) >= SENDERS * EACH)
        assert_all_in_order(heard)


def test_threads_that_receive_at_once_are_refused_and_take_nothing_twice() -> None:
    count = 3000

    def serve(peer: Peer) -> None:
        peer.upgrade()
        for i in range(0, count, 10):
            peer.sock.sendall(b"".join(frame(TEXT, b"%d" % n) for n in range(i, i + 10)))
        peer.sock.sendall(close_frame(1000))
        peer.wait_gone()

    for background in (False, True):
        refused: list[ConcurrencyError] = []

        def receive(connection: Connection, refused: list[ConcurrencyError] = refused) -> list[int]:
            taken: list[int] = []
            while True:
                try:
                    taken.append(int(connection.recv(DEADLINE)))
                except ConcurrencyError as error:
                    refused.append(error)
                except ConnectionClosedOK:
                    return taken

        with RawServer(serve) as server, wsclient.connect(server.url, background=background) as connection:
            parts = at_once(*[lambda: receive(connection)] * 4)
        assert sorted(itertools.chain(*parts)) == list(range(count))
        assert all(part == sorted(part) for part in parts)
        assert refused


def test_callbacks_are_set_and_cleared_while_messages_come(chat_server: ChatServer) -> None:
    """What comes while there is none waits for the next."""
    heard: list[str] = []
    done = threading.Event()

    def hear(client: WSClient, message: Message, timestamp: float) -> None:
        heard.append(message.text)

    def change() -> None:
        while not done.is_set():
            client.set_message_callback(hear, use_json=True)
            client.set_message_callback(None)

    def send() -> None:
        for i in range(1500):
            assert client.send_message(str(i), TO_ME)
        assert client.flush()
        done.set()

    with WSClient(chat_server.host, chat_server.port, "Alice") as client:
        assert client.start()
        at_once(send, change, change)
        client.set_message_callback(hear, use_json=True)
        wait_until(lambda: len(heard) >= 1500)
        assert heard == [str(i) for i in range(1500)]


def test_one_runs_while_others_send_and_change_the_callback(chat_server: ChatServer) -> None:
    """In the threads of start() and run(), whichever is there, and by either of two callbacks."""
    heard: list[str] = []
    client = WSClient(chat_server.host, chat_server.port, "Alice")

    def first(client: WSClient, message: Message, timestamp: float) -> None:
        heard.append(message.text)

    def second(client: WSClient, message: Message, timestamp: float) -> None:
        heard.append(message.text)

    def send(sender: int) -> Callable[[], object]:
        def send() -> None:
            for text in numbered(sender):
                assert client.send_message(text, TO_ME)

        return send

    def change() -> None:
        callbacks = itertools.cycle((first, second))
        while len(heard) < SENDERS * EACH:
            client.set_message_callback(next(callbacks), use_json=True)
        client.disconnect()

    client.set_message_callback(first, use_json=True)
    assert client.connect()
    assert client.start()
    at_once(client.run, change, *(send(sender) for sender in range(SENDERS)))
    client.stop()
    assert_all_in_order(heard)
    assert client.last_error is None


def test_many_threads_open_and_close_connections(websockets_echo: Echo) -> None:
    """Each driven in its way; the threads of the engine come and go with them."""

    def use(number: int, options: Options) -> None:
        with wsclient.connect(websockets_echo.url, **options) as connection:
            connection.send_many([str(number)] * 10)
            assert [connection.recv(DEADLINE) for _ in range(10)] == [str(number)] * 10
        assert connection.close_info == CloseInfo("local", 1000, "", True)

    def use_callbacks(number: int) -> None:
        heard: list[str | bytes] = []
        ended = threading.Event()
        with wsclient.connect(
            websockets_echo.url, on_message=lambda _, message: heard.append(message), on_close=lambda *_: ended.set()
        ) as connection:
            connection.send_many([str(number)] * 10)
            wait_until(lambda: len(heard) >= 10)
        assert ended.wait(DEADLINE)
        assert heard == [str(number)] * 10

    def come_and_go(thread: int) -> None:
        for number in range(thread * 100, thread * 100 + 8):
            use(number, {})
            use(number, {"background": True})
            use_callbacks(number)

    at_once(*(lambda thread=thread: come_and_go(thread) for thread in range(SENDERS)))  # type: ignore[misc]


@pytest.mark.parametrize("how", ["inline", "background", "callback"])
def test_anybody_may_look_and_close(websockets_echo: Echo, how: str) -> None:
    """While messages come and go; all who close agree on how it ended, and nobody's figures run backwards."""
    looks: list[list[int]] = []
    options: Options = {"on_message": lambda c, _: c.stats()} if how == "callback" else {"background": how != "inline"}
    connection = wsclient.connect(websockets_echo.url, **options)

    def look() -> None:
        seen: list[int] = []
        looks.append(seen)
        while connection.state is not State.CLOSED:
            seen.append(connection.stats().messages_sent)
            assert "Connection" in repr(connection)
            assert connection.latency >= 0
            assert connection.close_info is None or connection.close_info.by == "local"

    def talk() -> None:
        with pytest.raises(ConnectionClosed):
            while True:
                connection.send("word")
                if how != "callback":
                    connection.recv(DEADLINE)

    def close() -> CloseInfo | None:
        wait_until(lambda: connection.stats().messages_received > 100)
        connection.close()
        return connection.close_info

    ended = at_once(look, look, talk, close, close, close)
    assert ended[3:] == [CloseInfo("local", 1000, "", True)] * 3
    assert all(seen == sorted(seen) for seen in looks)


def test_each_thread_may_have_a_loop_of_its_own(websockets_echo: Echo) -> None:
    async def talk(number: int) -> None:
        async with aio.connect(websockets_echo.url) as connection:
            for i in range(100):
                await connection.send(f"{number} {i}")
            assert [await connection.recv(DEADLINE) for i in range(100)] == [f"{number} {i}" for i in range(100)]

    async def converse(thread: int) -> None:
        await asyncio.gather(*(talk(thread * 10 + i) for i in range(4)))

    at_once(*(lambda thread=thread: asyncio.run(converse(thread)) for thread in range(4)))  # type: ignore[misc]
