"""The native half of wsclient: one WebSocket connection, driven by the thread that calls it or in the background.

Use :func:`wsclient.connect` or :class:`wsclient.WSClient`; this is what they stand on.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Literal, TypeVar, overload

from typing_extensions import Unpack

from ._handle import CoreCounters, CoreOptions
from .models import Message, MessageInfo, User

_BytesLike = bytes | bytearray | memoryview
_Data = str | _BytesLike
_Connection = TypeVar("_Connection")
_Method = TypeVar("_Method", bound=Callable[..., object])

version: Final[str]
"""The version of the native library, the same as the package's."""

errors: Final[tuple[tuple[str, int, int, str], ...]]
"""The table of errors: name, code, fault (1 caller, 2 peer, 3 system, 4 memory), text."""

def envelope_reader(
    message: type[Message], user: type[User], info: type[MessageInfo]
) -> Callable[[str], Message | None]:
    """Make the function that reads chat envelopes written plainly, which nearly all are.

    It makes a ``Message`` of such a text. Of another one it returns ``None``: that may be an envelope all the same.
    ``TypeError`` for classes that are not those of :mod:`wsclient.models`.
    """

def quick_send(function: _Method) -> _Method:
    """Make a method that sends: called with a ``str`` or ``bytes`` alone it is that of the object's ``_handle``.

    Called in any other way it is the function, whose name, documentation and signature it has. It spares a message a
    frame of Python's.
    """

def quick_recv(function: _Method) -> _Method:
    """Make a method that receives, likewise: called without arguments it is the handle's."""

class Waker:
    """What wakes an event loop that was busy, when the keeper has done something for its connections meanwhile."""

    def fileno(self) -> int:
        """A descriptor that is readable while ``take`` has something."""

    def take(self) -> int:
        """The number of a connection that something was done for, once each time; 0: there is none."""

class WSClient:
    """One connection to a WebSocket server (RFC 6455).

    Times are in seconds; ``None`` means no limit. Errors are those of :mod:`wsclient.exceptions`. ``send``,
    ``send_fragment``, ``send_many``, ``ping``, ``pong``, ``close``, ``abort`` and ``wake`` may be called from any
    thread; ``recv``, ``recv_many`` and ``listen`` by one thread at a time, another gets ``ConcurrencyError``. Waiting
    releases the GIL and honours signals.
    """

    def __init__(self, url: str, **options: Unpack[CoreOptions]) -> None:
        """Check the options; nothing is connected yet.

        Raises ``InvalidURI`` for a bad URL, ``InvalidProxy`` for a proxy's, ``ValueError`` for other bad options.
        """

    def open(self) -> None:
        """Connect and upgrade, within ``open_timeout``. Once."""

    def send(self, data: _Data, text: bool | None = None, compress: bool | None = None) -> None:
        """Send one message and wait until it is written: ``str`` as text, bytes as binary, unless ``text`` says."""

    def send_fragment(
        self, data: _Data, text: bool | None = None, final: bool = False, compress: bool | None = None
    ) -> None:
        """Send one fragment of a message; ``final`` ends it."""

    def send_many(self, items: Iterable[_Data]) -> None:
        """Send several messages with as few writes as possible; return when they are written."""

    @overload
    def recv(self, timeout: float | None = None, decode: None = None) -> str | bytes: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[True]) -> str: ...
    @overload
    def recv(self, timeout: float | None = None, *, decode: Literal[False]) -> bytes: ...
    @overload
    def recv(self, timeout: float | None = None, decode: bool | None = None) -> str | bytes:
        """Wait for the next message: ``str`` for text and ``bytes`` for binary unless ``decode`` says otherwise."""

    def recv_many(self, max_messages: int | None = None, timeout: float | None = None) -> list[str | bytes]:
        """Wait for one message, then take all that have arrived, at most ``max_messages``."""

    def recv_event(self, timeout: float | None = None) -> tuple[str | bytes, float]:
        """Wait for the next message: what it is, and when it was read, in seconds since the epoch."""

    def set_on_message(self, callback: Callable[[str | bytes, float], object] | None) -> None:
        """Have ``listen`` call ``callback(message, received)``; ``received`` is in seconds since the epoch."""

    def listen(self, timeout: float | None = None) -> int:
        """Wait up to ``timeout`` for messages, hand all that have arrived to the callback, and say how many.

        Without a callback they are dropped. Raises ``ConnectionClosed`` once the connection is closed.
        """

    def listen_aside(
        self,
        on_close: Callable[[WSClient], object],
        on_raise: Callable[[WSClient, BaseException], object],
        max_queue: int,
    ) -> None:
        """Have the I/O thread drive the connection, and the dispatcher do what ``listen`` does, between its calls.

        ``on_close`` is called after the last message, ``on_raise`` with what the callback raised. Without a callback
        what arrives waits for one, or for ``listen`` or ``recv``.
        """

    def await_callbacks(self, timeout: float | None = None) -> bool:
        """Wait for the end of the last callback of a closed connection. On the dispatcher it does nothing."""

    @property
    def calling(self) -> bool:
        """Whether this thread is the dispatcher, in a callback of this connection."""

    def keep(self, waker: Waker | None = None, number: int = 0) -> None:
        """Have the I/O thread stand in for callers that are busy elsewhere, from now on.

        What it has done for a loop's connection ``waker`` says by ``number``, which is more than 0.
        """

    def leave(self) -> None:
        """Have the I/O thread let go of the connection. Any thread."""

    def drive(self, connection: object) -> None:
        """Have the I/O thread drive the connection from now on; ``recv`` takes what it has read."""

    def dispatch(
        self,
        connection: _Connection,
        on_message: Callable[[_Connection, str | bytes], object] | None,
        on_messages: Callable[[_Connection, list[str | bytes]], object] | None,
        on_open: Callable[[_Connection], object] | None,
        on_close: Callable[[_Connection], object],
        on_raise: Callable[[_Connection, Exception], object],
        max_queue: int,
    ) -> None:
        """Have the I/O thread drive the connection, and a thread of the module's own call back.

        The first argument of all callables is ``connection``, which is not kept alive. Messages come at most
        ``max_queue`` at a time; ``on_raise`` gets what another callback raised. Nothing can be received any more.
        """

    def wake(self) -> None:
        """Make a ``listen`` that waits in another thread return."""

    def ping(self, data: bytes | None = None, timeout: float | None = None) -> float:
        """Ping and wait for the pong: the round trip in seconds. Four random bytes if ``data`` is ``None``."""

    def pong(self, data: bytes = b"") -> None:
        """Send an unsolicited pong (RFC 6455 5.5.3)."""

    def close(self, code: int = 1000, reason: str = "", timeout: float | None = None) -> None:
        """Close (RFC 6455 7) and wait for the peer, at most ``timeout`` (``None``: ``close_timeout``)."""

    def abort(self) -> None:
        """Break the connection off at once, without a closing handshake. Never waits."""

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait until the connection is closed; whether it is."""

    # What follows is for event loops: nothing of it waits.

    def claim(self) -> bool:
        """Receive, whoever calls, from now on; false: another does.

        Steps make what comes into objects right away, and read no more while some are left.
        """

    def unclaim(self, rested: bool = False) -> None:
        """Nobody receives any more; with ``rested``, others have had their turn meanwhile."""

    def step(self, anew: bool = True) -> int:
        """Do what can be done: connect, read, write, keep deadlines. Say what that found.

        That is the sum of 1: a message or the end is there for ``take``, and 2: see ``waits``, which has changed (with
        ``anew`` it always has). While connecting, a step closes descriptors; after that see ``keep_socket``.
        """

    def serve(
        self,
        connection: _Connection,
        calls: tuple[
            Callable[[_Connection, str | bytes], object] | None,
            Callable[[_Connection, list[str | bytes]], object] | None,
            Callable[[_Connection, Exception], object],
            int,
        ],
        anew: bool = True,
    ) -> int:
        """A step, and calls for the messages that have arrived, until 256 are done or 1 ms has gone.

        ``calls`` has what is called for each message, or for a list of them (``None``: it is not), for what those
        raise, and how many a list has at most; what is no ``Exception`` is raised here. What they ``post`` is written
        after them. The result is that of ``step``, and 4 where there may be more to call for.
        """

    @property
    def waits(self) -> tuple[int, int, int, int, bool, int]:
        """What to wait for now.

        A descriptor (-1: none), what of it (1 reading, 2 writing, 3 both), its generation (another: another descriptor,
        though the number may be the same), milliseconds to the next step at the latest (-1: any), whether there is more
        to do at once, and what ``take_due`` and ``take_news`` have.
        """

    def keep_socket(self) -> None:
        """From now on the socket stays open at the connection's end until ``drop_socket``: for who still watches it."""

    def drop_socket(self) -> None:
        """Close what ``keep_socket`` has kept."""

    def take(self, decode: bool | None = None) -> str | bytes | None:
        """The next message, ``None`` if there is none. Raises ``ConnectionClosed`` once the connection is closed."""

    def seek(self, decode: bool | None = None) -> str | bytes | Literal[True] | None:
        """As ``take``; ``True`` if there is none, and as after ``claim``.

        ``None`` if another receives or is to have its turn, or if the engine must be told to read on.
        """

    def hogs(self) -> bool:
        """Whether the connection has had its share of its event loop's time. To be asked for each message."""

    def rested(self) -> None:
        """Others have had their turn: it has another share."""

    def take_event(self) -> tuple[str | bytes, float] | None:
        """The next message and when it was read, as ``take`` does."""

    def take_many(self, max_messages: int | None = None) -> list[str | bytes] | None:
        """All messages that there are, at most ``max_messages``, as ``take`` does."""

    def offer(
        self, data: _Data, text: bool | None = None, compress: bool | None = None, write: bool = True
    ) -> tuple[int, int, int] | Literal[True] | None:
        """Have a message accepted and written as far as that goes (or, without ``write``, by ``write_out``).

        Returns true if it is written, and all before it; else where it stands in the stream, its ticket; ``None`` if
        ``write_limit`` leaves no room.
        """

    def post(self, data: _Data, text: bool | None = None, compress: bool | None = None) -> int:
        """Have a message accepted: -1 if there is no room, 1 if a step or ``write_out`` has to write it, else 0.

        Those that follow each other closely wait to be written together.
        """

    def offer_ahead(
        self, data: _Data, text: bool | None = None, compress: bool | None = None
    ) -> tuple[int, int, int] | Literal[True] | None:
        """As ``offer``; ``None`` too if others are to have their turn."""

    def offer_fragment(
        self, data: _Data, text: bool | None = None, final: bool = False, compress: bool | None = None
    ) -> tuple[int, int, int] | Literal[True] | None:
        """Have one fragment of a message accepted, as ``offer`` does; ``final`` ends it."""

    def write_out(self) -> None:
        """Write what was offered without writing, as far as that goes."""

    def written(self, ticket: tuple[int, int, int]) -> bool:
        """Whether that is written; raises ``ConnectionClosed`` if it never will be."""

    def withdraw(self, ticket: tuple[int, int, int]) -> bool:
        """Take a whole message back: true if nothing of it was written and none queued behind it."""

    def give_up(self, ticket: tuple[int, int, int]) -> None:
        """Withdraw it and raise ``WriteTimeoutError``; where that cannot be, break the connection off and raise that.

        Returns where the message stays accepted, for the next connection.
        """

    def send_ping(self, data: bytes | None = None) -> int:
        """Ping; the number of the ping. Four random bytes if ``data`` is ``None``."""

    def pong_time(self, id: int) -> float | None:
        """The round trip of a ping in seconds, once it is known; raises ``ConnectionClosed`` if it never will be."""

    def begin_close(self, code: int = 1000, reason: str = "", timeout: float | None = None) -> None:
        """Close as ``close`` does, but do not wait: the deadline is kept by ``step``."""

    @property
    def queued(self) -> int:
        """Bytes that wait to be written."""

    @property
    def opened(self) -> bool:
        """Whether the upgrade has succeeded, whatever came after."""

    # What follows is for looking.

    def fileno(self) -> int:
        """The socket's descriptor, -1 if there is none."""

    def counters(self) -> CoreCounters:
        """What went over the connection, and what waits."""

    @property
    def state(self) -> int:
        """0 connecting, 1 open, 2 closing, 3 closed."""

    @property
    def subprotocol(self) -> str | None:
        """The agreed subprotocol."""

    @property
    def request(self) -> bytes | None:
        """The HTTP request as it was sent."""

    @property
    def response(self) -> bytes | None:
        """The head of the HTTP response as it came."""

    @property
    def local_address(self) -> tuple[str, int] | None:
        """Our IP address and port."""

    @property
    def remote_address(self) -> tuple[str, int] | None:
        """The peer's IP address and port."""

    @property
    def close_info(self) -> tuple[int, tuple[int, str] | None, tuple[int, str] | None, bool]:
        """Who closed (0 nobody, 1 we, 2 the peer), the close frame received and the one sent, whether it was clean."""

    @property
    def error(self) -> Exception | None:
        """What ended the connection, ``None`` while it lives: the exception that ``recv`` would raise."""

    @property
    def timings(self) -> tuple[float, float, float, float, float]:
        """Seconds spent on resolving, TCP, the proxy, TLS and the upgrade."""

    @property
    def tls(self) -> tuple[str, str, str, bool, bytes] | None:
        """Version, cipher, ALPN, whether it was resumed, and the server's certificate; ``None`` without TLS."""

    @property
    def url(self) -> str:
        """The URL asked last: the one given, or where a redirect has led."""

    @property
    def redirects(self) -> list[tuple[str, bytes]]:
        """The redirects followed: the URL asked, and the head of its answer."""

    @property
    def latency(self) -> float:
        """The last round trip of a ping in seconds, 0 before the first."""

    # -- watching

    @property
    def id(self) -> int:
        """A number that no other connection of this process has."""

    def watch(self, on_news: Callable[[], object], frames: bool) -> None:
        """Have on_news() called by who waits, or the dispatcher, when take_news() would say something.

        Before it is opened. With ``frames`` those that pass are noted, the last 1024 of them.
        """

    def tell(self) -> None:
        """Call on_news(), or have the dispatcher call it, if there are any."""

    def take_news(self) -> int:
        """What there is to tell: 8 it was opened, 16 it was closed for good, 32 frames have passed."""

    def take_frames(self) -> list[tuple[bool, int, bool, bool, int, bytes, float]]:
        """Each frame: whether it was sent, its opcode, FIN, RSV1, length, a control frame's payload, and when."""

    # -- reconnecting

    def ahead(self) -> WSClient:
        """Return the same connection for on_open: it sends past the outbox and receives what came after the opening."""

    def set_on_due(self, callable: Callable[[], object] | None) -> None:
        """Have callable() called by who waits, when take_due() would say something."""

    def take_due(self) -> int:
        """What should be looked after: 1 asked, 2 down, 4 lost."""

    @property
    def asked(self) -> int:
        """What is asked: 1 whether to retry, 2 headers, 4 what is to be done on opening; 0 nothing."""

    def answer(self, ask: int, answer: int, text: str | None = None) -> None:
        """Answer what was asked: 0 no, 1 yes, 2 as without asking."""

    def set_headers(self, headers: Sequence[tuple[str, str]]) -> None:
        """The headers of the next attempt."""

    def take_lost(self) -> list[str | bytes]:
        """Messages that were accepted and are given up."""

    @property
    def pause(self) -> float:
        """How long the last pause was."""

    @property
    def down_error(self) -> Exception:
        """What the connection was lost by."""

    def await_proof(self, timeout: float | None) -> bool:
        """Wait until all that was sent is proved to have arrived, or lost."""

    @property
    def newest(self) -> int:
        """The number of the last message accepted."""

    def flushed(self, number: int) -> bool:
        """Whether all up to this message is proved to have arrived, or lost."""

    @property
    def has_room(self) -> bool:
        """Whether a message would be accepted now, or refused for good."""
