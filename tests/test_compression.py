"""permessage-deflate: against servers of other makes that compress, and against a server that counts every byte."""

import random
import sys
import zlib
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

import wsclient
from conftest import PEERS, Echo
from raw_server import BINARY, DEADLINE, TEXT, Peer, RawServer, frame
from wsclient import DeflateOptions, PayloadTooBig

RSV1 = 0x40
WORDS = "the same words again and again, " * 1000
OFFER = "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"


@pytest.fixture(scope="module", params=["echo_websockets.py", "echo_aiohttp.py"])
def echo(request: pytest.FixtureRequest) -> Iterator[Echo]:
    """Each of the echo servers, agreeing to compression."""
    with Echo(sys.executable, PEERS / request.param, "deflate") as server:
        yield server


def squeeze(data: bytes) -> bytes:
    """A message's payload as RFC 7692 7.2.1 makes it."""
    squeezer = zlib.compressobj(wbits=-12)
    return (squeezer.compress(data) + squeezer.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def unsqueeze(payload: bytes) -> bytes:
    """The message."""
    return zlib.decompressobj(wbits=-15).decompress(payload + b"\0\0\xff\xff")


def exchange(connection: wsclient.Connection, message: str | bytes, **how: bool) -> tuple[int, int]:
    """Let it be echoed: the bytes that went there and came back."""
    before = connection.stats()
    connection.send(message, **how)
    assert connection.recv(DEADLINE) == message
    after = connection.stats()
    return after.bytes_sent - before.bytes_sent, after.bytes_received - before.bytes_received


# ---------------------------------------------------------------------------------------------- other makes


@pytest.mark.parametrize("message", [WORDS, WORDS.encode(), "é" * 5000], ids=["text", "bytes", "non-ascii"])
def test_fewer_bytes_go_both_ways(echo: Echo, message: str | bytes) -> None:
    with wsclient.connect(echo.url) as connection:
        there, back = exchange(connection, message)
        assert there < len(message) / 10
        assert back < len(message) / 10


@pytest.mark.parametrize(
    "message",
    ["", "x", "x" * 255, "x" * 256, "grüße 🌍" * 300, b"", b"\0\xff" * 200, random.Random(1).randbytes(100_000)],
    ids=lambda message: f"{type(message).__name__}-{len(message)}",
)
@pytest.mark.parametrize("compress", [True, False, None])
def test_every_message_comes_back(echo: Echo, message: str | bytes, compress: bool | None) -> None:
    with wsclient.connect(echo.url) as connection:
        for _ in range(3):
            connection.send(message, compress=compress)
            assert connection.recv(DEADLINE) == message


@pytest.mark.parametrize(
    "options",
    [
        DeflateOptions(server_max_window_bits=server, client_max_window_bits=client, **no_context)
        for server, client in [(9, 15), (15, 9), (15, 15), (10, 11)]
        for no_context in [
            {},
            {"server_no_context_takeover": True},
            {"client_no_context_takeover": True},
            {"server_no_context_takeover": True, "client_no_context_takeover": True},
        ]
    ],
    ids=str,
)
def test_all_terms_work(echo: Echo, options: DeflateOptions) -> None:
    chance = random.Random(2)
    with wsclient.connect(echo.url, compression=options) as connection:
        assert connection.extensions
        for _ in range(20):
            message = chance.randbytes(3).hex() * chance.randrange(20_000)
            connection.send(message)
            assert connection.recv(DEADLINE) == message


def test_fragments_are_compressed(echo: Echo) -> None:
    with wsclient.connect(echo.url) as connection:
        before = connection.stats().bytes_sent
        connection.send([WORDS, "", WORDS, "end"])
        assert connection.recv(DEADLINE) == WORDS + WORDS + "end"
        assert connection.stats().bytes_sent - before < len(WORDS) / 5


def test_context_takeover_makes_the_second_message_shorter(echo: Echo) -> None:
    message = random.Random(3).randbytes(1000)
    with wsclient.connect(echo.url, compression=DeflateOptions(client_max_window_bits=15)) as connection:
        first, _ = exchange(connection, message)
        second, _ = exchange(connection, message)
        assert second < first / 10
    alone = DeflateOptions(client_max_window_bits=15, client_no_context_takeover=True)
    with wsclient.connect(echo.url, compression=alone) as connection:
        assert exchange(connection, message)[0] == exchange(connection, message)[0] > 1000


def test_no_compression_is_no_compression(echo: Echo) -> None:
    with wsclient.connect(echo.url, compression=None) as connection:
        assert connection.extensions == ()
        there, back = exchange(connection, WORDS, compress=True)
        assert there > len(WORDS)
        assert back > len(WORDS)


def test_a_bomb_names_both_sizes(echo: Echo) -> None:
    with wsclient.connect(echo.url, max_size=1000) as connection:
        connection.send(bytes(2**20))
        with pytest.raises(wsclient.ConnectionClosedError, match="1000") as caught:
            connection.recv(DEADLINE)
        cause = caught.value.__cause__
        assert isinstance(cause, PayloadTooBig)
        assert (cause.size, cause.max_size) == (1001, 1000)
        assert caught.value.sent is not None
        assert caught.value.sent.code == 1009


# ---------------------------------------------------------------------------------------------- on the wire


def read_data(peer: Peer) -> tuple[int, bytes]:
    """The next frame: its opcode with RSV1, its payload."""
    final, opcode, payload = peer.read_frame()
    assert final
    return opcode, payload


def frames_of(*sends: tuple[str | bytes, bool | None], answer: str = OFFER, **options: Any) -> list[tuple[int, bytes]]:
    """What stands on the wire for each message."""
    seen: list[tuple[int, bytes]] = []

    def serve(peer: Peer) -> None:
        peer.upgrade(*([f"Sec-WebSocket-Extensions: {answer}"] if answer else []))
        seen.extend(read_data(peer) for _ in sends)
        peer.sock.sendall(frame(TEXT, b"done"))
        peer.wait_gone()

    with RawServer(serve) as server, wsclient.connect(server.url, close_timeout=0, **options) as connection:
        for message, compress in sends:
            connection.send(message, compress=compress)
        assert connection.recv(DEADLINE) == "done"
    return seen


def test_from_the_threshold_on_messages_are_compressed() -> None:
    below, above, large = frames_of(("x" * 255, None), ("x" * 256, None), (b"x" * 5000, None))
    assert below == (TEXT, b"x" * 255)
    assert above[0] == TEXT | RSV1
    assert unsqueeze(above[1]) == b"x" * 256
    assert large[0] == BINARY | RSV1
    assert len(large[1]) < 100


@pytest.mark.parametrize(("threshold", "opcodes"), [(0, [0x41, 0x41, 0x41]), (2, [1, 1, 0x41]), (5000, [1, 1, 1])])
def test_the_threshold_is_an_option(threshold: int, opcodes: list[int]) -> None:
    frames = frames_of(("", None), ("x", None), ("xx", None), compression=DeflateOptions(threshold=threshold))
    assert [opcode for opcode, _ in frames] == opcodes


def test_a_message_may_say_itself() -> None:
    short, long, again = frames_of(("Hello", True), (WORDS, False), ("Hello", True))
    assert short == (TEXT | RSV1, b"\xf2\x48\xcd\xc9\xc9\x07\x00")  # RFC 7692 7.2.3.1
    assert long == (TEXT, WORDS.encode())
    assert again == (TEXT | RSV1, b"\xf2\x00\x11\x00\x00")  # 7.2.3.2


@pytest.mark.parametrize("answer", ["", "permessage-deflate; client_max_window_bits=8"])
def test_where_it_cannot_compress_it_sends_plain(answer: str) -> None:
    assert frames_of((WORDS, None), (WORDS, True), answer=answer) == [(TEXT, WORDS.encode())] * 2


@pytest.mark.parametrize(
    ("compression", "offer"),
    [
        (None, None),
        ("deflate", OFFER),
        (DeflateOptions(), OFFER),
        (
            DeflateOptions(server_max_window_bits=15, client_max_window_bits=15),
            "permessage-deflate; client_max_window_bits",
        ),
        (
            DeflateOptions(
                server_max_window_bits=9,
                client_max_window_bits=10,
                server_no_context_takeover=True,
                client_no_context_takeover=True,
            ),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
            "server_max_window_bits=9; client_max_window_bits=10",
        ),
    ],
)
def test_what_is_offered(compression: Any, offer: str | None) -> None:
    offers: list[str | None] = []

    def serve(peer: Peer) -> None:
        offers.append(peer.header("Sec-WebSocket-Extensions"))
        peer.upgrade()
        peer.wait_gone()

    with (
        RawServer(serve) as server,
        wsclient.connect(server.url, compression=compression, close_timeout=0) as connection,
    ):
        assert connection.extensions == ()
    assert offers == [offer]


def test_what_was_agreed_can_be_read() -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade(f"Sec-WebSocket-Extensions: {OFFER}")
        peer.wait_gone()

    with RawServer(serve) as server, wsclient.connect(server.url, close_timeout=0) as connection:
        assert connection.extensions == (OFFER,)


@pytest.mark.parametrize(
    ("answer", "compression"),
    [
        ("permessage-deflate", None),
        ("permessage-bzip2", "deflate"),
        ("permessage-deflate; unknown", "deflate"),
        ("permessage-deflate; server_max_window_bits=13", "deflate"),
        ("permessage-deflate; client_max_window_bits=13", "deflate"),
        ("permessage-deflate, permessage-deflate", "deflate"),
    ],
)
def test_an_answer_that_was_not_offered_is_refused(answer: str, compression: Any) -> None:
    def serve(peer: Peer) -> None:
        peer.upgrade(f"Sec-WebSocket-Extensions: {answer}")
        peer.wait_gone()

    with RawServer(serve) as server, pytest.raises(wsclient.InvalidHandshake, match="Sec-WebSocket-Extensions"):
        wsclient.connect(server.url, compression=compression)


def receive(data: bytes, **options: Any) -> str | bytes:
    """What a client makes of these bytes behind the handshake."""

    def serve(peer: Peer) -> None:
        peer.upgrade(f"Sec-WebSocket-Extensions: {OFFER}")
        peer.sock.sendall(data)
        peer.wait_gone()

    with RawServer(serve) as server, wsclient.connect(server.url, close_timeout=0, **options) as connection:
        return connection.recv(DEADLINE)


def test_compressed_fragments_are_one_message() -> None:
    payload = squeeze("grüße".encode())
    parts = [frame(TEXT, payload[:1], fin=False, rsv=4), frame(0, payload[1:-2], fin=False), frame(0, payload[-2:])]
    assert receive(b"".join(parts)) == "grüße"


@pytest.mark.parametrize("size", [999, 1000])
def test_max_size_counts_what_comes_out(size: int) -> None:
    assert receive(frame(BINARY, squeeze(bytes(size)), rsv=4), max_size=1000) == bytes(size)


@pytest.mark.parametrize(
    ("data", "code", "cause"),
    [
        (frame(BINARY, squeeze(bytes(1001)), rsv=4), 1009, PayloadTooBig),
        (frame(BINARY, b"\x06", rsv=4), 1002, wsclient.ProtocolError),
        (frame(TEXT, squeeze(b"\xff"), rsv=4), 1007, wsclient.InvalidData),
        (frame(TEXT, b"plain", rsv=2), 1002, wsclient.ProtocolError),
        (frame(9, b"", rsv=4), 1002, wsclient.ProtocolError),
    ],
)
def test_what_is_wrong_closes_with_its_code(data: bytes, code: int, cause: type[Exception]) -> None:
    with pytest.raises(wsclient.ConnectionClosedError) as caught:
        receive(data, max_size=1000)
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.sent is not None
    assert caught.value.sent.code == code


# ---------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("option", "value", "error"),
    [
        ("server_max_window_bits", 8, ValueError),
        ("server_max_window_bits", 16, ValueError),
        ("server_max_window_bits", "12", TypeError),
        ("server_max_window_bits", None, TypeError),
        ("client_max_window_bits", 8, ValueError),
        ("client_max_window_bits", 16, ValueError),
        ("client_max_window_bits", True, TypeError),
        ("server_no_context_takeover", 1, TypeError),
        ("client_no_context_takeover", "yes", TypeError),
        ("threshold", -1, ValueError),
        ("threshold", 2**31, ValueError),
        ("threshold", 1.5, TypeError),
    ],
)
def test_a_wrong_option_is_named(option: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=option):
        DeflateOptions(**{option: value})


@pytest.mark.parametrize("compression", ["gzip", True, 12, {"threshold": 1}])
def test_compression_is_one_of_three(compression: Any) -> None:
    with pytest.raises(TypeError, match="compression"):
        wsclient.connect("ws://127.0.0.1:1/", compression=compression)


def test_the_options_are_frozen() -> None:
    options = DeflateOptions()
    with pytest.raises(FrozenInstanceError):
        options.threshold = 1  # type: ignore[misc]
