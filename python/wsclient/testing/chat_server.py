"""The real chat server, for tests."""

from __future__ import annotations

import collections
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from types import TracebackType

from ..tls import PathLike

_DEADLINE = 10.0

# The shell keeps the server until its standard input ends, which it does when this process closes it or dies.
_KEEPER = '"$@" & exec >&- 2>&-; read _; kill "$!"; wait "$!"'


def server_program() -> Path:
    """Return the path of ``ws_server``: the one in this package, or what the environment's ``WS_SERVER_BIN`` names.

    Raises ``FileNotFoundError`` if there is none.
    """
    path = Path(os.environ.get("WS_SERVER_BIN") or Path(__file__).parent.with_name("_bin") / "ws_server")
    if not path.is_file():
        raise FileNotFoundError(f'no ws_server at {path}: run "pip install ." or set WS_SERVER_BIN')
    return path


class ChatServer:
    """A running chat server, as a context manager.

    ``port`` 0 takes any free one. With ``tls_cert``, a PEM file of its certificate and those above it, it speaks TLS;
    ``tls_key`` is the key to that, ``None``: it is in the same file. Raises ``ValueError`` for a key alone,
    ``FileNotFoundError`` without the program, and ``RuntimeError``, with what it printed, when it does not listen
    within 10 s. It ends with the block, or with this process.
    """

    host: str
    """The address it listens on."""
    port: int
    """The port it listens on."""
    url: str
    """Its URL, ``ws://`` or ``wss://``."""

    def __init__(self, port: int = 0, *, tls_cert: PathLike | None = None, tls_key: PathLike | None = None) -> None:
        if tls_key is not None and tls_cert is None:
            raise ValueError("tls_key needs tls_cert")
        command = [str(server_program()), "--port", str(port)]
        for option, path in (("--tls-cert", tls_cert), ("--tls-key", tls_key)):
            command += [option, os.fspath(path)] if path is not None else []
        self._printed = collections.deque[str](maxlen=100)
        self._listens: re.Match[str] | None = None
        self._known = threading.Event()
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "ws_server", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, name="ws_server output", daemon=True)
        self._reader.start()
        self._known.wait(_DEADLINE)
        if (found := self._listens) is None:
            self.stop()
            raise RuntimeError(f"ws_server does not listen: {' | '.join(self._printed) or 'it printed nothing'}")
        self.url, self.host, self.port = found[1], found[2].strip("[]"), int(found[3])

    def __enter__(self) -> ChatServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End it by SIGTERM, which closes every connection with 1001; kill it if that takes over 10 s. Again: no-op."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._reader.join(_DEADLINE)

    def _read(self) -> None:
        """Take what it prints, so that it never waits for us."""
        assert self._process.stdout
        with self._process.stdout as lines:
            for line in lines:
                self._printed.append(line.rstrip())
                self._listens = self._listens or re.search(r"listening on (wss?://(.+):(\d+)/)", line)
                if self._listens:
                    self._known.set()
        self._known.set()
