"""A server made of a bare socket, for everything that no well-behaved server does."""

import base64
import hashlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable

DEADLINE = 10.0
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = False) -> bytes:
    """One frame as it stands on the wire."""
    mask = 0x80 if masked else 0
    if len(payload) < 126:
        length = bytes([mask | len(payload)])
    elif len(payload) < 65536:
        length = struct.pack("!BH", mask | 126, len(payload))
    else:
        length = struct.pack("!BQ", mask | 127, len(payload))
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode]) + length
    return head + (b"\0\0\0\0" if masked else b"") + payload


def close_frame(code: int, reason: str = "") -> bytes:
    """A close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def unmask(key: bytes, payload: bytes) -> bytes:
    """What was masked with this key (RFC 6455 5.3)."""
    keys = (key * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(len(payload), "big")


class Peer:
    """The server's end of one connection."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head = b""

    def read(self, count: int) -> bytes:
        """Exactly so many bytes; ``EOFError`` if the client goes before."""
        data = bytearray()
        while len(data) < count:
            piece = self.sock.recv(count - len(data))
            if not piece:
                raise EOFError("the client has gone")
            data += piece
        return bytes(data)

    def read_request(self) -> bytes:
        """The head of the client's request."""
        while not self.head.endswith(b"\r\n\r\n"):
            self.head += self.read(1)
        return self.head

    def header(self, name: str) -> str | None:
        """A header of the request."""
        for line in self.read_request().decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def accept_value(self) -> str:
        """The right Sec-WebSocket-Accept."""
        key = f"{self.header('Sec-WebSocket-Key')}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        return base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()

    def response(self, *more: str) -> bytes:
        """The right answer to the request, with more headers."""
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Accept: {self.accept_value()}", *more]
        return "\r\n".join([*lines, "", ""]).encode()

    def upgrade(self, *more: str) -> None:
        """Answer the request rightly."""
        self.sock.sendall(self.response(*more))

    def read_frame(self) -> tuple[bool, int, bytes]:
        """The client's next frame, which must be masked: whether it is final, its opcode, its payload."""
        first, second = self.read(2)
        assert second & 0x80, "a client's frames are masked (RFC 6455 5.3)"
        length = second & 0x7F
        if length > 125:
            (length,) = struct.unpack("!H", self.read(2)) if length == 126 else struct.unpack("!Q", self.read(8))
        key = self.read(4)
        return bool(first & 0x80), first & 0x7F, unmask(key, self.read(length))

    def read_close(self) -> tuple[int, str]:
        """Read on until the client's close frame: its code and reason."""
        while True:
            _, opcode, payload = self.read_frame()
            if opcode == CLOSE:
                return struct.unpack("!H", payload[:2])[0], payload[2:].decode()

    def wait_gone(self) -> None:
        """Read on until the client closes the socket."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def reset(self) -> None:
        """Close with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class RawServer:
    """Serves one connection with a function, on a thread. What the function raises is raised at the block's end.

    With ``tls`` the function begins after the handshake, and the end comes without close_notify unless it sends that.
    """

    def __init__(self, serve: Callable[[Peer], object], tls: ssl.SSLContext | None = None) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE)
        self.port = self.listener.getsockname()[1]
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{self.port}/"
        self.serve = serve
        self.tls = tls
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Accept and serve."""
        try:
            sock, _ = self.listener.accept()
            sock.settimeout(DEADLINE)
            with self.tls.wrap_socket(sock, server_side=True) if self.tls else sock as sock:
                self.serve(Peer(sock))
        except BaseException as error:
            self.error = error

    def __enter__(self) -> "RawServer":
        self.thread.start()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.thread.join(DEADLINE)
        self.listener.close()
        if self.error and kind is None:
            raise self.error


def unused_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
