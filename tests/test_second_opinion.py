"""A second opinion: the same streams of frames, right and wrong, to our protocol and to that of ``websockets``.

Both must see the same events, fail at the same place with the same close code, and send the same control frames.
"""

import codecs
import ctypes
import os
import random
import struct
import subprocess
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode
from websockets.protocol import Protocol, Side, State

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
CONTROLS = (CLOSE, PING, PONG)
RSV1 = 4
MIB = 2**20

Opinion: TypeAlias = tuple[list[tuple[str, int, bytes]], list[tuple[int, bytes]]]
"""The events (name, close code, payload) and the frames sent in reply (opcode; payload, of a close frame the code)."""

opinions = settings(
    deadline=None,
    derandomize="CI" in os.environ,
    max_examples=int(os.environ.get("SECOND_OPINIONS", "40")),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@dataclass(frozen=True)
class Frame:
    """A frame, right or wrong."""

    opcode: int
    payload: bytes = b""
    fin: bool = True
    rsv: int = 0
    wrongly_masked: bool = False
    """Masked by a server, or not by a client."""
    long: bool = False
    """Its length takes more bytes than it needs."""

    def wire(self, masked: bool) -> bytes:
        """Its bytes; the mask is not zero."""
        size = len(self.payload)
        masked ^= self.wrongly_masked
        if size < 126 and not self.long:
            length = bytes([masked << 7 | size])
        elif size < 65536 and not (self.long and size > 125):
            length = struct.pack("!BH", masked << 7 | 126, size)
        else:
            length = struct.pack("!BQ", masked << 7 | 127, size)
        key = b"\x37\xfa\x21\x3d" if masked else b""
        body = bytes(a ^ key[i % 4] for i, a in enumerate(self.payload)) if masked else self.payload
        return bytes([self.fin << 7 | self.rsv << 4 | self.opcode]) + length + key + body


# ---------------------------------------------------------------------------------------------- streams


class Squeezer:
    """Compresses as RFC 7692 7.2.1 says, with or without context takeover."""

    def __init__(self, keeps_context: bool) -> None:
        self.keeps_context = keeps_context
        self.stream = zlib.compressobj(wbits=-15)

    def squeeze(self, data: bytes) -> bytes:
        """The payload of the next message."""
        if not self.keeps_context:
            self.stream = zlib.compressobj(wbits=-15)
        return (self.stream.compress(data) + self.stream.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


GOOD_CODES = st.sampled_from([1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999])
BAD_CODES = st.sampled_from([0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000])
REASONS = st.text(max_size=30).map(str.encode)
# A code and a reason that are both wrong may be failed for either, with 1002 or 1007 (RFC 6455 7.4): none is made.
CLOSES = st.one_of(
    st.sampled_from([b"", b"\x03"]),
    st.builds(
        lambda code, reason: struct.pack("!H", code) + reason, GOOD_CODES, st.one_of(REASONS, st.binary(max_size=8))
    ),
    st.builds(lambda code, reason: struct.pack("!H", code) + reason, BAD_CODES, REASONS),
).map(lambda payload: Frame(CLOSE, payload))
PINGS = st.builds(Frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
CONTROL_FRAMES = st.one_of(PINGS, PINGS, PINGS, CLOSES)
TEXTS = st.text(max_size=200).map(str.encode)
BYTES = st.binary(max_size=200)
REPEATS = st.sampled_from([1, 1, 1, 1, 3, 60, 400])


def wrong_frame(frame: Frame) -> Frame:
    """What claims to be compressed begins with a reserved block, which nobody can decompress (RFC 1951 3.2.3)."""
    claims = frame.rsv & RSV1 and frame.opcode in (TEXT, BINARY)
    return Frame(**{**vars(frame), "payload": b"\x06" + frame.payload}) if claims else frame


WRONG = st.one_of(
    st.builds(
        Frame, st.sampled_from([*range(8), *range(9, 16)]), st.binary(max_size=140), st.booleans(), st.integers(0, 7)
    ).map(wrong_frame),
    st.builds(Frame, st.sampled_from([TEXT, BINARY, PING]), BYTES, wrongly_masked=st.just(True)),
    st.builds(Frame, st.sampled_from([TEXT, BINARY, PING]), BYTES, long=st.just(True)),
    st.builds(Frame, st.sampled_from(CONTROLS), st.binary(min_size=126, max_size=130)),
    st.builds(Frame, st.sampled_from(CONTROLS), st.binary(max_size=5), fin=st.just(False)),
)


def fragments(
    draw: st.DrawFn, opcode: int, payload: bytes, rsv: int, between: st.SearchStrategy[Frame] = CONTROL_FRAMES
) -> list[Frame]:
    """One message in one frame or several, control frames between them."""
    ends = [*sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3))), len(payload)]
    frames: list[Frame] = []
    start = 0
    for i, end in enumerate(ends):
        frames += draw(st.lists(between, max_size=1)) if i else []
        frames.append(
            Frame(
                CONTINUATION if i else opcode,
                payload[start:end],
                end == ends[-1] and i == len(ends) - 1,
                0 if i else rsv,
            )
        )
        start = end
    return frames


@st.composite
def messages(draw: st.DrawFn, squeezer: Squeezer | None, payloads: st.SearchStrategy[bytes]) -> list[Frame]:
    """The frames of a message, compressed or not, sometimes with bad text."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    payload = draw(payloads)
    if squeezer and draw(st.booleans()):
        return fragments(draw, opcode, squeezer.squeeze(payload), RSV1)
    frames = fragments(draw, opcode, payload, 0)
    return frames if draw(st.integers(0, 15)) else frames[:-1]  # sometimes it lacks its end


@st.composite
def streams(draw: st.DrawFn, deflate: int) -> list[Frame]:
    """Frames of a peer that is mostly right."""
    squeezer = Squeezer(deflate == 1) if deflate else None
    payloads = st.builds(bytes.__mul__, st.one_of(TEXTS, TEXTS, TEXTS, BYTES), REPEATS)
    frames: list[Frame] = []
    for kind in draw(st.lists(st.sampled_from("mmmmmmcccw"), min_size=1, max_size=8)):
        if kind == "m":
            frames += draw(messages(squeezer, payloads))
        else:
            frames.append(draw(PINGS if kind == "c" else st.one_of(WRONG, CLOSES)))
    return frames


@st.composite
def big_messages(draw: st.DrawFn, deflate: int, limit: int) -> list[Frame]:
    """Right ones, around a limit. Not too near: before decompression ``websockets`` compares the compressed size.

    No close frame between fragments: the decompressors may see the limit exceeded at the one before it or behind it.
    """
    squeezer = Squeezer(deflate == 1) if deflate else None
    sizes = st.one_of(st.integers(0, limit * 9 // 10), st.integers(limit * 11 // 10, limit * 3))
    chance = random.Random(draw(st.integers(0, 1000)))
    frames: list[Frame] = []
    for size in draw(st.lists(sizes, min_size=1, max_size=4)):
        payload = bytes(size) if draw(st.booleans()) else bytes(chance.choices(range(128), k=size))
        compressed = squeezer is not None and draw(st.booleans())
        opcode = draw(st.sampled_from([TEXT, BINARY]))
        sent = squeezer.squeeze(payload) if squeezer and compressed else payload
        frames += fragments(draw, opcode, sent, compressed * RSV1, between=PINGS)
    return frames


def pieces(data: bytes, seed: int) -> list[bytes]:
    """Cut at random places."""
    chance = random.Random(seed)
    most = chance.choice([1, 3, 20, 500, 10_000, len(data)])
    found: list[bytes] = []
    while data:
        size = chance.randint(1, max(most, len(data) // 200))
        found.append(data[:size])
        data = data[size:]
    return found


# ---------------------------------------------------------------------------------------------- ours


@pytest.fixture(scope="session")
def core(root: Path, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The core with its ``replay``, as a library."""
    library = tmp_path_factory.mktemp("second_opinion") / "second_opinion.so"
    sources = [*sorted((root / "csrc/core").glob("*.c")), root / "tests/second_opinion.c"]
    includes = [f"-I{root / 'csrc'}", f"-I{root / 'csrc/include'}"]
    command = ["cc", "-O1", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", *includes, "-o", library, *sources]
    subprocess.run([*command, "-lcrypto", "-lz"], check=True, timeout=120)
    core = ctypes.CDLL(str(library))
    core.replay.restype = ctypes.c_void_p
    core.replay.argtypes = [
        ctypes.c_int32,
        ctypes.c_int32,
        ctypes.c_uint64,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
    ]
    core.release.argtypes = [ctypes.c_void_p]
    return core


def our_opinion(core: ctypes.CDLL, server: bool, deflate: int, max_size: int, parts: list[bytes]) -> Opinion:
    """What the core makes of it."""
    sizes = (ctypes.c_size_t * len(parts))(*map(len, parts))
    transcript = core.replay(server, deflate, max_size, b"".join(parts), sizes, len(parts))
    lines = ctypes.string_at(transcript).decode().splitlines()
    core.release(transcript)
    events: list[tuple[str, int, bytes]] = []
    sent = b""
    for line in lines:
        name, code, data = line.split(" ")
        if name == "SENT":
            sent += bytes.fromhex(data)
        else:
            events.append((name, int(code), bytes.fromhex(data)))
    return events, replies(sent, masked=not server)


def replies(sent: bytes, masked: bool) -> list[tuple[int, bytes]]:
    """The control frames sent; of a close frame only the code: the reason is everybody's own."""
    frames: list[tuple[int, bytes]] = []
    header = 6 if masked else 2
    while sent:
        size = sent[1] & 0x7F
        payload = sent[header : header + size]
        if masked:
            payload = bytes(a ^ sent[2 + i % 4] for i, a in enumerate(payload))
        assert sent[0] & 0xF0 == 0x80
        opcode = sent[0] & 0xF
        frames.append((opcode, payload[:2] if opcode == CLOSE else payload))
        sent = sent[header + size :]
    return frames


# ---------------------------------------------------------------------------------------------- theirs


def as_they_see_it(frame: Frame) -> Frame:
    """A length in more bytes than it needs: RFC 6455 5.2 says MUST NOT, they take it. Let them see a wrong opcode."""
    return Frame(3, frame.payload) if frame.long else frame


class Theirs:
    """``websockets``, read as RFC 6455 says where it differs from it. All such differences are here and just above."""

    def __init__(self, server: bool, deflate: int, max_size: int) -> None:
        self.server = server
        self.protocol = Protocol(Side.SERVER if server else Side.CLIENT, state=State.OPEN, max_size=max_size)
        if deflate:
            self.protocol.extensions = [PerMessageDeflate(deflate == 2, False, 15, 15)]
        self.events: list[tuple[str, int, bytes]] = []
        self.opcode = 0
        self.message = b""
        self.text = codecs.getincrementaldecoder("utf-8")()
        self.failed = False

    def receive(self, data: bytes) -> None:
        """Take a piece."""
        self.protocol.receive_data(data)
        for frame in self.protocol.events_received():
            assert isinstance(frame, TheirFrame)
            if not self.failed:
                self.take(frame)
        error = self.protocol.parser_exc
        if error and not self.failed:
            self.fail(error)

    def take(self, frame: TheirFrame) -> None:
        """One of their events is a frame, ours is a message."""
        data = bytes(frame.data)
        if frame.opcode is Opcode.CLOSE:
            self.closed()
        elif frame.opcode in (Opcode.PING, Opcode.PONG):
            self.events.append((frame.opcode.name, 0, data))
        else:
            self.opcode = self.opcode or int(frame.opcode)
            self.message += data
            self.check_text(data, frame.fin)
            if frame.fin and not self.failed:
                self.events.append(("TEXT" if self.opcode == TEXT else "BINARY", 0, self.message))
            if frame.fin:
                self.opcode, self.message = 0, b""

    def check_text(self, data: bytes, final: bool) -> None:
        """Text is decoded above their Protocol, as RFC 6455 8.1 asks for; it fails the connection with 1007 (7.4.1)."""
        if self.opcode != TEXT:
            return
        try:
            self.text.decode(data, final)
        except UnicodeDecodeError:
            self.failed = True
            self.events.append(("FAILED", 1007, b""))

    def closed(self) -> None:
        """A close frame."""
        close = self.protocol.close_rcvd
        assert close is not None
        self.events.append(("CLOSE", close.code, close.reason.encode()))

    def fail(self, error: Exception) -> None:
        """An error, except for a close frame between fragments.

        They call that one a protocol error; RFC 6455 5.4 lets control frames, of which close is one (5.5), stand there.
        """
        self.failed = True
        if isinstance(error, ProtocolError) and self.protocol.close_rcvd:
            self.closed()
        else:
            code = 1009 if isinstance(error, PayloadTooBig) else 1007 if isinstance(error, UnicodeDecodeError) else 1002
            assert self.protocol.close_sent is not None
            assert self.protocol.close_sent.code == code
            self.events.append(("FAILED", code, b""))

    def sent(self) -> list[tuple[int, bytes]]:
        """Their replies; those to what stands behind bad text, which they had not looked at, left away."""
        sent = replies(b"".join(self.protocol.data_to_send()), masked=not self.server)
        name, code, _ = self.events[-1] if self.events else ("", 0, b"")
        if name not in ("CLOSE", "FAILED"):
            return sent
        pings = sum(name == "PING" for name, *_ in self.events)
        return [*sent[:pings], (CLOSE, b"" if code == 1005 else struct.pack("!H", code))]


def their_opinion(server: bool, deflate: int, max_size: int, parts: list[bytes]) -> Opinion:
    """What ``websockets`` makes of it."""
    theirs = Theirs(server, deflate, max_size)
    for part in parts:
        theirs.receive(part)
    return theirs.events, theirs.sent()


# ---------------------------------------------------------------------------------------------- both


def compare(core: ctypes.CDLL, server: bool, deflate: int, max_size: int, frames: list[Frame], seed: int) -> None:
    """Ask both."""
    wire = b"".join(frame.wire(server) for frame in frames)
    seen = b"".join(as_they_see_it(frame).wire(server) for frame in frames)
    ours = our_opinion(core, server, deflate, max_size, pieces(wire, seed))
    theirs = their_opinion(server, deflate, max_size, pieces(seen, seed))
    event(f"ends with {ours[0][-1][:2] if ours[0] else 'nothing'}")
    assert comparable(ours) == comparable(theirs)


def comparable(opinion: Opinion) -> Opinion:
    """Leave away the control frames that stand last before a message over the limit, and the replies to them.

    At which of its fragments a compressed message is seen to be over the limit depends on how much the decompressor
    holds back (RFC 7692 7.2.2 does not say): pings between the fragments come before or after that.
    """
    events, replies = opinion
    if not events or events[-1][:2] != ("FAILED", 1009):
        return opinion
    kept = events[:-1]
    while kept and kept[-1][0] in ("PING", "PONG"):
        kept.pop()
    pings = sum(name == "PING" for name, *_ in kept)
    return [*kept, events[-1]], [*replies[:pings], replies[-1]]


ROLES = pytest.mark.parametrize("server", [False, True], ids=["client", "server"])
DEFLATES = pytest.mark.parametrize("deflate", [0, 1, 2], ids=["plain", "deflate", "deflate-no-context"])


@ROLES
@DEFLATES
@given(data=st.data(), seed=st.integers(0, 2**32))
@opinions
def test_both_see_the_same(core: ctypes.CDLL, server: bool, deflate: int, data: st.DataObject, seed: int) -> None:
    compare(core, server, deflate, 16 * MIB, data.draw(streams(deflate)), seed)


@ROLES
@DEFLATES
@given(data=st.data(), seed=st.integers(0, 2**32))
@opinions
def test_both_keep_the_same_limit(
    core: ctypes.CDLL, server: bool, deflate: int, data: st.DataObject, seed: int
) -> None:
    compare(core, server, deflate, 1000, data.draw(big_messages(deflate, 1000)), seed)
