"""A server with several pages, one of which upgrades: for redirects, cookies, refusals."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from typing import TypeAlias

from raw_server import DEADLINE, Peer, close_frame

Page: TypeAlias = Callable[[Peer], object]


def answer(status: str, *headers: str, body: bytes = b"") -> Page:
    """A page that answers with this."""
    return lambda peer: peer.sock.sendall("\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode() + body)


def redirect(location: str, *headers: str, status: int = 302) -> Page:
    """A page that leads elsewhere."""
    return answer(f"{status} Elsewhere", f"Location: {location}", "Content-Length: 0", *headers)


def upgrade(peer: Peer, *headers: str) -> None:
    """Upgrade, with more headers, and wait for the client to close."""
    peer.upgrade(*headers)
    peer.read_close()
    peer.sock.sendall(close_frame(1000))


class Site:
    """Serves its pages by path, a thread for each connection. `requests` has the heads that came, in order."""

    def __init__(self, pages: dict[str, Page], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.pages = pages
        self.tls = tls
        self.listener = socket.create_server((host, 0))
        self.host, self.port = host, int(self.listener.getsockname()[1])
        self.requests: list[bytes] = []
        self.threads = [threading.Thread(target=self.accept)]

    def url(self, path: str = "/", host: str | None = None) -> str:
        """Where a page is."""
        return f"{'wss' if self.tls else 'ws'}://{host or self.host}:{self.port}{path}"

    def header(self, number: int, name: str) -> str | None:
        """A header of a request."""
        values = [
            line.partition(":")[2].strip()
            for line in self.requests[number].decode().split("\r\n")
            if line.lower().startswith(name.lower() + ":")
        ]
        assert len(values) <= 1
        return values[0] if values else None

    def accept(self) -> None:
        """Until the listener is shut down."""
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self.listener.accept()
                self.threads.append(threading.Thread(target=self.serve, args=(sock,)))
                self.threads[-1].start()

    def serve(self, sock: socket.socket) -> None:
        """One connection."""
        sock.settimeout(DEADLINE)
        with (
            contextlib.suppress(OSError, EOFError),
            self.tls.wrap_socket(sock, server_side=True) if self.tls else sock as sock,
        ):
            peer = Peer(sock)
            head = peer.read_request()
            self.requests.append(head)
            self.pages[head.split(b" ")[1].decode()](peer)

    def __enter__(self) -> "Site":
        self.threads[0].start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        self.listener.close()
