"""A server that serves one connection after another, each as a script of its own says."""

import socket
import threading
from collections.abc import Callable, Sequence

from raw_server import CLOSE, DEADLINE, PING, PONG, Peer, close_frame, frame

Script = Callable[[Peer], object]


class SeriesServer:
    """Serves the first connection with the first function, and so on, each in its turn on one thread.

    What one raises is raised at the block's end, except that the client has gone.
    """

    def __init__(self, scripts: Sequence[Script]) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(DEADLINE)
        self.url = f"ws://127.0.0.1:{self.listener.getsockname()[1]}/"
        self.scripts = scripts
        self.served = 0
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Accept and serve."""
        try:
            for script in self.scripts:
                sock, _ = self.listener.accept()
                sock.settimeout(DEADLINE)
                with sock:
                    self.served += 1
                    script(Peer(sock))
        except BaseException as error:
            self.error = error

    def __enter__(self) -> "SeriesServer":
        self.thread.start()
        return self

    def __exit__(self, kind: object, *rest: object) -> None:
        self.thread.join(DEADLINE)
        self.listener.close()
        if self.error and kind is None:
            raise self.error


def read_message(peer: Peer) -> bytes:
    """The client's next message; pings before it are answered."""
    while True:
        _, opcode, payload = peer.read_frame()
        if opcode == PING:
            peer.sock.sendall(frame(PONG, payload))
        elif opcode != PONG:
            assert opcode != CLOSE, payload
            return payload


def end(peer: Peer) -> None:
    """Answer pings until the client closes, then agree."""
    while True:
        _, opcode, payload = peer.read_frame()
        if opcode == PING:
            peer.sock.sendall(frame(PONG, payload))
        elif opcode == CLOSE:
            peer.sock.sendall(close_frame(1000))
            return
