"""The chat client on asyncio."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from types import TracebackType
from typing import Literal

from ._chat import FAILURES, ChatClient, announcement
from ._checks import check_timeout
from ._codec import check_name
from .aio import AsyncConnection, new_connection
from .exceptions import ConcurrencyError, ConnectionClosedOK, InvalidState
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


class AsyncWSClient(ChatClient):
    """A client of a chat server, as :class:`wsclient.WSClient`, for the tasks of an asyncio event loop.

    Wrong arguments raise ``TypeError`` and ``ValueError``. What fails at run time makes :meth:`connect`,
    :meth:`send_message`, :meth:`change_username` and :meth:`flush` return False, sets :attr:`last_error` and logs a
    warning; ``async with``, which connects and disconnects, raises instead, and so does :meth:`messages`::

        async with AsyncWSClient("127.0.0.1", 9999, "Alice") as client:
            await client.send_message("hello")
            async for message in client.messages():
                print(message.user.name, message.text)
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
        self._connecting = False
        self._connection: AsyncConnection | None = None

    def __repr__(self) -> str:
        connection = self._connection
        state = f"#{connection.id} {connection.state.name}" if connection else "not connected"
        return f"<wsclient.AsyncWSClient {self._username!r} {state}>"

    async def __aenter__(self) -> AsyncWSClient:
        """Connect; raises what makes :meth:`connect` return False."""
        await self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def connect(self) -> bool:
        """Connect and announce the name, within ``open_timeout``; whether that worked. Again after a disconnect."""
        try:
            await self._connect()
        except FAILURES as error:
            return self._failed("connect", error)
        return True

    async def _connect(self) -> None:
        if self._connecting:
            raise ConcurrencyError("connect: another task is connecting")
        if self._connection and self._connection.state is not State.CLOSED:
            raise InvalidState("already connected: disconnect first")
        self._connection, self._leaving, self._last_error = None, False, None
        self._connecting = True
        try:
            options = self._introducing(AsyncConnection.send_nowait)
            connection = new_connection(self._url, options)
            self._logger = connection._logger  # pyright: ignore[reportPrivateUsage]
            await connection._open(options)  # pyright: ignore[reportPrivateUsage]
        finally:
            self._connecting = False
        if not self._options.policy:
            self._announce(connection)
        self._connection = connection

    def _announce(self, connection: AsyncConnection) -> None:
        try:
            connection.send_nowait(announcement(self._username))
        except BaseException:
            connection.abort()
            raise

    def _connected(self) -> AsyncConnection:
        if self._connection is None:
            raise InvalidState("not connected: call connect first")
        return self._connection

    async def send_message(self, message: str, info: MessageInfo = MessageInfo.BROADCAST) -> bool:
        """Send a chat message; whether it is on its way. ``info`` says what the server does with it."""
        envelope = self._envelope(message, info)
        try:
            await self._connected().send(envelope)
        except FAILURES as error:
            return self._failed("send_message", error)
        return True

    def stats(self) -> Stats:
        """Count what went over the connection. Raises :exc:`~wsclient.exceptions.InvalidState` before the first."""
        return self._connected().stats()

    async def change_username(self, name: str) -> bool:
        """Take another name and tell the server; whether that was sent. ``ValueError`` for a name nobody may have."""
        check_name(name)
        try:
            await self._connected().send(announcement(name))
        except FAILURES as error:
            return self._failed("change_username", error)
        self._username = name
        return True

    async def flush(self, timeout: float | None = None) -> bool:
        """Wait until the server has provably read all that was sent; whether it has.

        A ping that comes back proves it. ``timeout`` is in seconds, ``None`` means ``ping_timeout``.
        """
        check_timeout("timeout", timeout)
        try:
            await self._connected().flush(timeout)
        except FAILURES as error:
            return self._failed("flush", error)
        return True

    async def messages(self) -> AsyncGenerator[Message]:
        """Iterate over the chat messages that arrive until the connection is closed.

        What is no chat message is counted, logged and skipped. Ends after a clean close or a :meth:`disconnect`; raises
        :exc:`~wsclient.exceptions.ConnectionClosedError` otherwise, and :exc:`~wsclient.exceptions.ConcurrencyError`
        when another task is at it.
        """
        while True:
            try:
                data = await self._connected().recv()
            except FAILURES as error:
                if self._left(error) or isinstance(error, ConnectionClosedOK):
                    return
                raise
            message = self._parse(data)
            if message is not None:
                yield message

    async def disconnect(self) -> None:
        """Close the connection, within ``close_timeout``. Without one it does nothing; :meth:`connect` works again."""
        self._leaving = True
        if self._connection:
            await self._connection.close()
