"""The values of the API: chat messages, what the handshake said, how a connection ended. All immutable."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from ._redact import shown_url

BytesLike: TypeAlias = bytes | bytearray | memoryview
"""What is sent as a binary message."""

Data: TypeAlias = str | BytesLike
"""One message: text or binary."""


def _check_type(what: str, value: object, wanted: type) -> None:
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise TypeError(f"{what} must be {wanted.__name__}, not {type(value).__name__}")


def _check_text(what: str, value: object) -> None:
    """What cannot travel in an envelope or a close frame is refused here, where it is made."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be str, not {type(value).__name__}")
    if "\0" in value:
        raise ValueError(f"{what} contains NUL")
    try:
        value.encode()
    except UnicodeEncodeError as exc:
        raise ValueError(f"{what} has a lone surrogate at index {exc.start}") from None


class MessageInfo(enum.IntFlag):
    """What the server does with a chat message. Bits that have no name here are kept."""

    BROADCAST = 0
    """Send it to every other client."""
    NO_BROADCAST = 1
    """Do not send it to the other clients."""
    SEND_BACK = 2
    """(Also) send it back to the sender."""
    CHANGE_USERNAME = 4
    """From now on the sender is called ``user.name``."""


@dataclass(frozen=True, slots=True)
class User:
    """Who speaks. The server replaces the name in a message by the one it knows the sender by."""

    name: str
    """Without NUL or lone surrogates, else ``ValueError``."""

    def __post_init__(self) -> None:
        _check_text("User.name", self.name)


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message. ``TypeError`` or ``ValueError`` for what cannot be one."""

    text: str
    """Without NUL or lone surrogates."""
    user: User = User("")
    info: MessageInfo = MessageInfo.BROADCAST
    """0 to 2**31 - 1; a plain ``int`` is converted."""

    def __post_init__(self) -> None:
        _check_text("Message.text", self.text)
        _check_type("Message.user", self.user, User)
        _check_type("Message.info", self.info, int)
        if not 0 <= self.info < 2**31:
            raise ValueError(f"Message.info must be 0 to 2**31 - 1, not {int(self.info)}")
        if type(self.info) is not MessageInfo:
            object.__setattr__(self, "info", MessageInfo(self.info))

    @property
    def text_len(self) -> int:
        """The length of ``text`` in bytes of UTF-8."""
        return len(self.text) if self.text.isascii() else len(self.text.encode())


class State(enum.IntEnum):
    """What a connection is doing (RFC 6455 4.1, 7.1)."""

    CONNECTING = 0
    """Resolving, connecting, upgrading."""
    OPEN = 1
    """Messages may be sent and received."""
    CLOSING = 2
    """A close frame was sent or received."""
    CLOSED = 3
    """It is over."""


_CLOSE_CODES = {
    1000: "OK",
    1001: "going away",
    1002: "protocol error",
    1003: "unsupported data",
    1005: "no status received [internal]",
    1006: "abnormal closure [internal]",
    1007: "invalid frame payload data",
    1008: "policy violation",
    1009: "message too big",
    1010: "mandatory extension",
    1011: "internal error",
    1012: "service restart",
    1013: "try again later",
    1014: "bad gateway",
    1015: "TLS failure [internal]",
}


@dataclass(frozen=True, slots=True)
class Close:
    """The code and reason of a close frame (RFC 6455 5.5.1, 7.4)."""

    code: int
    """1005 if the frame carried none."""
    reason: str

    def __post_init__(self) -> None:
        _check_type("Close.code", self.code, int)
        _check_text("Close.reason", self.reason)

    def __str__(self) -> str:
        meaning = _CLOSE_CODES.get(self.code, "unknown")
        if 3000 <= self.code < 5000:
            meaning = "registered" if self.code < 4000 else "private use"
        return f"{self.code} ({meaning}) {self.reason}".rstrip()


@dataclass(frozen=True, slots=True)
class CloseInfo:
    """How a connection ended."""

    by: Literal["local", "remote"] | None
    """Who sent the first close frame; ``None`` if nobody did."""
    code: int
    """The peer's close code (RFC 6455 7.1.5): 1005 if its close frame had none, 1006 if none came."""
    reason: str
    """The peer's reason, ``""`` without one."""
    clean: bool
    """Both close frames were exchanged."""
    lost: int = 0
    """With ``reconnect``: how many messages were accepted and given up, on the last connection and before."""


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """A message, and when it came."""

    data: str | bytes
    """Text or binary."""
    received: float
    """When its last byte was read from the socket, in seconds since the epoch."""


class Opcode(enum.IntEnum):
    """What a frame is (RFC 6455 5.2)."""

    CONT = 0
    """Another part of a message."""
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that went over a connection (RFC 6455 5.2)."""

    connection: int
    """The ``id`` of the connection."""
    sent: bool
    """By us, or received."""
    opcode: Opcode
    fin: bool
    """It ends its message."""
    rsv1: bool
    """Of the first frame of a message: it is compressed (RFC 7692 6)."""
    length: int
    """Bytes of the payload, as they go over the wire."""
    payload: bytes
    """The payload of a close frame, ping or pong; ``b""`` of others."""
    time: float
    """When it was queued to be written, or read from the socket, in seconds since the epoch."""

    def __str__(self) -> str:
        flags = ("" if self.fin else ", to be continued") + (", compressed" if self.rsv1 else "")
        payload = f" {self.payload.hex()}" if self.payload else ""
        return f"{'>' if self.sent else '<'} {self.opcode.name}{flags}, {self.length} bytes{payload}"


@dataclass(frozen=True, slots=True)
class Timings:
    """How long each phase of opening a connection took, in seconds; 0 for those that there were not."""

    resolve: float
    """Looking up the host's name."""
    tcp: float
    """Connecting, to the proxy if there is one."""
    proxy: float
    """Until the proxy has made the tunnel, TLS to the proxy included."""
    tls: float
    """The TLS handshake with the server."""
    upgrade: float
    """From the request for WebSocket to its answer (RFC 6455 4)."""


@dataclass(frozen=True, slots=True)
class Stats:
    """What went over a connection so far, and what waits. With ``reconnect`` over all of its connections."""

    messages_sent: int
    """Accepted for sending."""
    messages_received: int
    messages_dropped: int
    """Of those received: nobody will get them. What still came while the connection was closing and nobody asked."""
    messages_waiting: int
    """Read and not asked for yet. Up to 64 KiB more may have been read that nobody has looked at."""
    bytes_waiting: int
    """Memory that those take in the engine."""
    frames_sent: int
    """Control frames included, and those not written yet (RFC 6455 5.2)."""
    frames_received: int
    """Control frames included."""
    bytes_sent: int
    """Written to the TCP stream, handshakes and frame headers included."""
    bytes_received: int
    """Likewise."""
    bytes_queued: int
    """Not written yet."""
    pings_received: int
    pongs_received: int
    latency: float
    """The last round trip of a ping in seconds, 0 before the first."""
    ping_p50: float
    """Seconds that half of the round trips did not exceed, to within an eighth; 0 before the first."""
    ping_p90: float
    """Likewise nine of ten."""
    ping_p99: float
    """Likewise 99 of 100."""
    timings: Timings
    """How long each phase of opening took."""
    frames_missed: int = 0
    """Those that ``on_frame`` or the log was not told of, because it was too slow."""
    reconnects: int = 0
    """How often the connection was lost and opened anew."""
    outbox_messages: int = 0
    """With ``reconnect``: messages that were accepted and are not proved to have arrived yet."""
    outbox_bytes: int = 0
    """Their bytes."""


class Headers(Mapping[str, str]):
    """The headers of an HTTP message, read-only. Names are compared without regard to case.

    ``headers[name]`` joins the values of a repeated header with ``", "`` (RFC 9110 5.3); :meth:`get_all` keeps them
    apart. The representation shows the names only: values may be secrets.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items = tuple(items)

    def __getitem__(self, name: str) -> str:
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        names: dict[str, str] = {}
        for name, _ in self._items:
            names.setdefault(name.lower(), name)
        return iter(names.values())

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self._items})

    def __repr__(self) -> str:
        return f"<Headers: {', '.join(name for name, _ in self._items)}>"

    def get_all(self, name: str) -> list[str]:
        """Return the values of every header of that name in the order they came, an empty list if there is none."""
        return [value for key, value in self._items if key.lower() == name.lower()]

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Iterate over all names and values as they came, repetitions included."""
        return iter(self._items)


@dataclass(frozen=True)
class Request:
    """The HTTP request of an opening handshake (RFC 6455 4.1)."""

    path: str
    """Path and query; the representation leaves the query out."""
    headers: Headers = field(default_factory=Headers)

    def __repr__(self) -> str:
        return f"Request({shown_url(self.path)!r}, {self.headers!r})"

    @classmethod
    def parse(cls, head: bytes) -> Request:
        """Make it from the head as it stood on the wire; ``ValueError`` if that is not a request."""
        line, headers = _split(head)
        _method, path, _version = line.split(" ", 2)
        return cls(path, headers)


@dataclass(frozen=True)
class Response:
    """The HTTP response of an opening handshake (RFC 6455 4.2.2)."""

    status_code: int
    reason_phrase: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = field(default=b"", repr=False)
    """Of one that refuses to upgrade: its first 8 KiB, or what of it came within a second."""

    @classmethod
    def parse(cls, head: bytes, body: bytes = b"") -> Response:
        """Make it from the head as it stood on the wire; ``ValueError`` if that is not a response."""
        line, headers = _split(head)
        _version, status, *reason = line.split(" ", 2)
        return cls(int(status), "".join(reason), headers, body)


def _split(head: bytes) -> tuple[str, Headers]:
    """Part a head into its first line and its headers. The native parser has accepted it before."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first, Headers((name, value.strip(" \t")) for name, _, value in pairs)
