"""The chat client. Run as a script it is the command line."""

from __future__ import annotations

if __name__ == "__main__":
    import runpy
    import sys
    from pathlib import Path

    package: Path = Path(__file__).resolve().parent
    if not __package__:  # run as a file: its own folder is no place to import from, the one above is the last
        sys.path = [entry for entry in sys.path if Path(entry).resolve() != package] + [str(package.parent)]
    runpy.run_module("wsclient", run_name="__main__")

import contextlib
import functools
import inspect
import logging
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from types import TracebackType
from typing import Literal, TypeAlias, cast, overload

from . import _core
from ._chat import FAILURES, ChatClient, announcement
from ._checks import check_timeout
from ._codec import check_name
from ._handle import attempt_handle, open_handle
from ._log import ConnectionLogger
from ._look import stats_of
from ._session import Session, session_of
from .connection import Connection, aside, look_after
from .exceptions import ConcurrencyError, ConnectionClosed, ConnectionClosedOK, InvalidState
from .models import Frame, Message, MessageInfo, State, Stats
from .options import (
    USER_AGENT,
    BearerToken,
    ClientOptions,
    Cookies,
    DeflateOptions,
    HeadersLike,
    QueuePolicy,
    SocketOptions,
)
from .reconnect import ReconnectPolicy
from .tls import PathLike, TLSOptions

RawCallback: TypeAlias = Callable[["WSClient", str, float], object]
"""Called with the client, the text as it came, and the time of receipt in seconds since the epoch."""

JsonCallback: TypeAlias = Callable[["WSClient", Message, float], object]
"""Called with the client, the message, and the time of receipt in seconds since the epoch."""


class WSClient(ChatClient):
    """A client of a chat server, speaking the envelope of docs/protocol.md.

    ``port`` may be a string or a number; ``url`` takes the place of ``ip`` and ``port``;
    :class:`~wsclient.ClientOptions` describes the options. Wrong arguments raise ``TypeError`` and ``ValueError``.

    What fails at run time makes :meth:`connect`, :meth:`send_message`, :meth:`listen` and :meth:`run` return False,
    sets :attr:`last_error` and logs a warning; the ``with`` statement, which connects and disconnects, raises instead.
    :meth:`send_message`, :meth:`change_username`, :meth:`flush`, :meth:`disconnect` and :meth:`stop` may be called
    from any thread and inside a callback; what receives by one thread at a time, and not inside a callback
    (:exc:`~wsclient.exceptions.ConcurrencyError`).
    """

    def __init__(
        self,
        ip: str = "127.0.0.1",
        port: str | int = "9999",
        username: str = "PythonUser",
        *,
        url: str | None = None,
        additional_headers: HeadersLike | None = None,
        origin: str | None = None,
        subprotocols: Sequence[str] | None = None,
        user_agent_header: str | None = USER_AGENT,
        cookies: Cookies | None = None,
        bearer_token: BearerToken | None = None,
        max_redirects: int = 10,
        open_timeout: float | None = 10,
        ping_interval: float | None = 20,
        ping_timeout: float | None = 20,
        close_timeout: float | None = 10,
        write_timeout: float | None = 30,
        max_size: int | None = 2**20,
        max_fragments: int = 131072,
        max_head: int = 65536,
        write_limit: int = 32768,
        max_queue: int | None = 16,
        max_buffer: int = 2**24,
        queue_policy: QueuePolicy = "block",
        compression: Literal["deflate"] | DeflateOptions | None = "deflate",
        tls: TLSOptions | None = None,
        server_hostname: str | None = None,
        proxy: str | Literal[True] | None = True,
        proxy_tls: TLSOptions | None = None,
        unix: PathLike | None = None,
        local_addr: tuple[str, int] | None = None,
        socket_options: SocketOptions | None = None,
        reconnect: bool | ReconnectPolicy | None = None,
        on_frame: Callable[[Frame], object] | None = None,
        logger: logging.Logger | None = None,
    ) -> None:
        options = ClientOptions(
            additional_headers=additional_headers,
            origin=origin,
            subprotocols=subprotocols,
            user_agent_header=user_agent_header,
            cookies=cookies,
            bearer_token=bearer_token,
            max_redirects=max_redirects,
            open_timeout=open_timeout,
            ping_interval=ping_interval,
            ping_timeout=ping_timeout,
            close_timeout=close_timeout,
            write_timeout=write_timeout,
            max_size=max_size,
            max_fragments=max_fragments,
            max_head=max_head,
            write_limit=write_limit,
            max_queue=max_queue,
            max_buffer=max_buffer,
            queue_policy=queue_policy,
            compression=compression,
            tls=tls,
            server_hostname=server_hostname,
            proxy=proxy,
            proxy_tls=proxy_tls,
            unix=unix,
            local_addr=local_addr,
            socket_options=socket_options,
            reconnect=reconnect,
            on_frame=on_frame,
            logger=logger,
        )
        super().__init__(ip, port, username, url, options)
        self._callback: Callable[[str | bytes, float], object] | None = None
        self._calling = threading.RLock()  # of the callback and the handle that calls it, which go together
        self._receiving = threading.Lock()
        self._receiver: int | None = None
        self._started = False
        self._handle: _core.WSClient | None = None
        self._session: Session | None = None
        self._reconnecting: Connection | None = None  # what the policy's functions get
        self._tend: Callable[[], None] | None = None  # if it reconnects

    def __repr__(self) -> str:
        handle = self._handle
        state = f"#{handle.id} {State(handle.state).name}" if handle else "not connected"
        return f"<wsclient.WSClient {self._username!r} {state}>"

    def __enter__(self) -> WSClient:
        """Connect; raises what makes :meth:`connect` return False."""
        self._connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def connect(self) -> bool:
        """Connect and announce the name, within ``open_timeout``; whether that worked. Again after a disconnect."""
        try:
            self._connect()
        except FAILURES as error:
            return self._failed("connect", error)
        return True

    def _connect(self) -> None:
        with self._alone("connect"):
            if self._handle and self._handle.state != State.CLOSED:
                raise InvalidState("already connected: disconnect first")
            self._handle, self._started, self._leaving, self._last_error = None, False, False, None
            options = self._introducing(Connection.send)
            handle = attempt_handle(self._url, options)
            self._logger = ConnectionLogger(options.logger, handle)
            self._session = session_of(handle, self._url, options)
            if self._session:
                self._reconnecting = Connection(handle, options, session=self._session)
                self._tend = look_after(handle, options, self._session, self._reconnecting)
            open_handle(handle, options)
            handle.keep()
            if not self._session:
                handle.send(announcement(self._username))
            with self._calling:
                handle.set_on_message(self._callback)
                self._handle = handle

    def _connected(self) -> _core.WSClient:
        handle = self._handle
        if handle is None:
            raise InvalidState("not connected: call connect first")
        return handle

    def send_message(self, message: str, info: MessageInfo = MessageInfo.BROADCAST) -> bool:
        """Send a chat message; whether the system has taken it. ``info`` says what the server does with it."""
        envelope = self._envelope(message, info)
        try:
            self._connected().send(envelope)
        except FAILURES as error:
            return self._failed("send_message", error)
        return True

    def stats(self) -> Stats:
        """Count what went over the connection. Raises :exc:`~wsclient.exceptions.InvalidState` before the first."""
        return stats_of(self._connected())

    def change_username(self, name: str) -> bool:
        """Take another name and tell the server; whether that was sent. ``ValueError`` for a name nobody may have."""
        check_name(name)
        try:
            self._connected().send(announcement(name))
        except FAILURES as error:
            return self._failed("change_username", error)
        self._username = name
        return True

    def _flush(self, timeout: float | None) -> None:
        handle = self._connected()
        if not self._session:
            handle.ping(None, timeout)
        else:
            self._session.flush(timeout)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has provably read all that was sent; whether it has.

        A ping that comes back proves it. ``timeout`` is in seconds, ``None`` means ``ping_timeout``.
        """
        check_timeout("timeout", timeout)
        try:
            self._flush(self._options.ping_timeout if timeout is None else timeout)
        except FAILURES as error:
            return self._failed("flush", error)
        return True

    @overload
    def set_message_callback(self, callback: RawCallback | None, use_json: Literal[False] = False) -> None: ...
    @overload
    def set_message_callback(self, callback: JsonCallback | None, use_json: Literal[True]) -> None: ...
    def set_message_callback(self, callback: RawCallback | JsonCallback | None, use_json: bool = False) -> None:
        """Have every message that arrives handed to ``callback``, in the thread that listens; ``None`` clears it.

        After :meth:`start` without a callback what arrives waits for :meth:`listen`, :meth:`messages` or a callback.
        It gets a :class:`~wsclient.Message` with ``use_json``, the text as it came without. What is no chat message
        is counted, logged and skipped then, and a binary message always. An exception of its own is logged and stops
        nothing.
        """
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be callable or None, not {type(callback).__name__}")
        if inspect.iscoroutinefunction(callback):
            raise TypeError("callback must be a plain function, not async: nothing here would await it")
        deliver = None if callback is None else functools.partial(self._deliver, callback, bool(use_json))
        with self._calling:
            self._callback = deliver
            if self._handle:
                self._handle.set_on_message(deliver)

    def listen(self, timeout: float = 0.1) -> bool:
        """Wait up to ``timeout`` seconds for messages and hand all that arrived to the callback.

        False once the connection is closed.
        """
        check_timeout("timeout", timeout)
        with self._alone("listen"):
            try:
                self._connected().listen(timeout)
            except FAILURES as error:
                return self._failed("listen", error)
        return True

    def run(self) -> bool:
        """Listen until the connection is closed.

        True when the server closed it cleanly or we did: by :meth:`disconnect`, :meth:`stop` or Ctrl-C, which closes
        within ``close_timeout``. False when it failed.
        """
        with self._alone("run"):
            try:
                while True:
                    self._connected().listen(None)
            except KeyboardInterrupt:
                self.disconnect()
                return True
            except FAILURES as error:
                if not self._left(error):
                    self._failed("run", error)
                return self._left(error) or isinstance(error, ConnectionClosedOK)

    def messages(self) -> Iterator[Message]:
        """Iterate over the chat messages that arrive until the connection is closed, besides any callback.

        Ends after a clean close or a :meth:`disconnect`; raises :exc:`~wsclient.exceptions.ConnectionClosedError`
        otherwise. Not after :meth:`start` with a callback (:exc:`~wsclient.exceptions.ConcurrencyError`).
        """
        with self._alone("messages"):
            if self._started and self._callback:
                raise ConcurrencyError("messages: the client has been started, its messages go to the callback")
            return self._messages()

    def _messages(self) -> Iterator[Message]:
        while True:
            try:
                self._claim("messages")
                try:
                    data = self._connected().recv()
                finally:
                    self._let_go()
            except FAILURES as error:
                if self._left(error) or isinstance(error, ConnectionClosedOK):
                    return
                raise
            message = self._parse(data)
            if message is not None:
                yield message

    def start(self) -> bool:
        """Have the connection driven in the background from now on; whether there is one.

        A thread of the engine reads, answers pings and keeps deadlines, however busy the program is, and another one
        hands what arrives to the callback. :meth:`listen` and :meth:`run` may still be called: while they wait, the
        callback is called in their thread. It goes on until the connection is closed, by :meth:`stop` for one; the
        program does not wait for it at its end (:meth:`run` is how to stay).
        """
        with self._alone("start"):
            if self._started:
                raise ConcurrencyError("start: the client has been started already")
            try:
                self._start(self._connected())
            except FAILURES as error:
                return self._failed("start", error)
        return True

    def _start(self, handle: _core.WSClient) -> None:
        if handle.error:
            raise handle.error
        if self._tend:
            handle.set_on_due(aside(self._tend))
        most = sys.maxsize if self._options.max_queue is None else self._options.max_queue
        handle.listen_aside(self._ended, self._raised, most)
        self._started = True

    def stop(self) -> None:
        """Disconnect, and wait for the last callback that :meth:`start` has called (not inside one).

        From any thread. It takes ``close_timeout`` at the most, and as long again if a callback does not return.
        """
        self.disconnect()
        handle = self._handle
        if handle and self._receiver != threading.get_ident():
            handle.await_callbacks(self._options.close_timeout)

    def disconnect(self) -> None:
        """Close the connection, within ``close_timeout``. Without one it does nothing; :meth:`connect` works again."""
        self._leaving = True
        handle = self._handle
        try:
            if handle:
                handle.close()
        except FAILURES as error:  # pragma: no cover - the system has no memory or no random bytes for a close frame
            self._logger.debug("disconnect: %s", error)

    @contextlib.contextmanager
    def _alone(self, what: str) -> Generator[None]:
        """Nobody else receives meanwhile: no other thread, and not the callback that we are in."""
        self._claim(what)
        try:
            yield
        finally:
            self._let_go()

    def _claim(self, what: str) -> None:
        handle = self._handle
        if (handle and handle.calling) or not self._receiving.acquire(blocking=False):
            raise ConcurrencyError(f"{what}: another thread is receiving, or this is a callback")
        self._receiver = threading.get_ident()

    def _let_go(self) -> None:
        self._receiver = None
        self._receiving.release()

    def _deliver(
        self, callback: RawCallback | JsonCallback, use_json: bool, data: str | bytes, received: float
    ) -> None:
        """Called for each message, by the native ``listen`` or in its place by the dispatcher."""
        message = self._parse(data) if use_json else self._text(data)
        if message is None:
            return
        try:
            cast("Callable[[WSClient, str | Message, float], object]", callback)(self, message, received)
        except Exception:
            self._logger.exception("the message callback raised")

    def _ended(self, handle: _core.WSClient) -> None:
        """Called by the dispatcher after the last message."""
        error = handle.error
        if (
            error
            and handle is self._handle
            and not self._left(error)
            and not isinstance(self._last_error, ConnectionClosed)
        ):
            self._failed("run", error)

    def _raised(self, _: _core.WSClient, error: BaseException) -> None:
        """Called by the dispatcher with what has ended a thread, were it one of the program's."""
        self._logger.error("the message callback raised", exc_info=error)
