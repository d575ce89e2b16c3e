"""The command line: ``wsclient`` and ``python -m wsclient``."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import select
import signal
import sys
import threading
import time
import unicodedata
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ._codec import check_name
from .exceptions import ConnectError, ConnectionClosedOK
from .models import Message
from .options import __version__
from .testing import server_program
from .ws_client import WSClient

if TYPE_CHECKING:
    from prompt_toolkit import PromptSession

_FAILED = 1
_INTERRUPTED = 130
_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0, 1 failed, 2 wrong usage, 130 Ctrl-C."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        if options.command == "serve":
            return _serve(options)
        return _chat(parser, options)
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsclient",
        description="Chat over WebSocket. Without -m it is interactive; text on standard input is sent line by line.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="the server's address or name (default: %(default)s)")
    parser.add_argument("-p", "--port", default="9999", help="the server's port (default: %(default)s)")
    parser.add_argument("-n", "--name", default="PythonUser", help="the name to speak by (default: %(default)s)")
    parser.add_argument("-m", "--message", help="send this one message, print what comes back, and end")
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.3,
        metavar="SECONDS",
        help="how long to print what comes back after the last message (default: %(default)s)",
    )
    parser.add_argument("--version", action="version", version=f"wsclient {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="serve")
    serve = commands.add_parser("serve", help="run the chat server", description="Run the chat server.")
    serve.add_argument("port", nargs="?", default="9999", metavar="PORT", help="0 takes any (default: %(default)s)")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    serve.add_argument("--tls-cert", metavar="FILE", help="speak TLS with this certificate, in PEM form")
    serve.add_argument("--tls-key", metavar="FILE", help="the key to it (default: it is in the certificate's file)")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 86400:
        raise ValueError
    return value


def _serve(options: argparse.Namespace) -> int:
    try:
        program = str(server_program())
        command = [program, "--host", options.host, "--port", options.port]
        for option, path in (("--tls-cert", options.tls_cert), ("--tls-key", options.tls_key)):
            command += [option, path] if path is not None else []
        os.execv(program, command)
    except OSError as error:
        return _complain(f"wsclient: {error}")


def _chat(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    try:
        check_name(options.name)
        Message(options.message or "")
        client = WSClient(options.host, options.port, options.name, close_timeout=5, logger=_silent_logger())
    except ValueError as error:
        parser.error(str(error))
    client.set_message_callback(_print_message, use_json=True)
    try:
        if not client.connect():
            return _complain(f"Failed to connect to {options.host}:{options.port}: {_reason(client.last_error)}")
        if options.message is not None:
            return _one_shot(client, options.message, options.wait)
        if sys.stdin.isatty() and sys.stdout.isatty() and find_spec("prompt_toolkit"):
            return asyncio.run(_prompt(client))
        return _piped(client, options.wait)
    finally:
        client.disconnect()


def _silent_logger() -> logging.Logger:
    """What fails is said once, by the command line itself."""
    logger = logging.getLogger("wsclient.cli")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger


def _one_shot(client: WSClient, text: str, wait: float) -> int:
    if not client.send_message(text):
        return _lost(client)
    return _listen(client, wait)


def _listen(client: WSClient, wait: float) -> int:
    """Print what comes for so long, or until the server closes."""
    until = time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        if not client.listen(left):
            return 0 if isinstance(client.last_error, ConnectionClosedOK) else _lost(client)
    return 0


def _piped(client: WSClient, wait: float) -> int:
    """Send standard input line by line and print meanwhile what comes; at its end wait until all has arrived."""
    gone_read, gone_write = os.pipe()

    def run() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # or Ctrl-C lands here and wakes nobody
        try:
            client.run()
        finally:
            os.close(gone_write)

    listener = threading.Thread(target=run)
    listener.start()
    try:
        for line in _lines(gone_read):
            if not client.send_message(line):
                return _lost(client)
        if not listener.is_alive() or not client.flush():
            return _lost(client)
        listener.join(wait)
        return 0
    finally:
        client.disconnect()
        listener.join()
        os.close(gone_read)


def _lines(gone: int) -> Iterator[str]:
    """The lines of standard input until it ends, or ``gone`` becomes readable."""
    rest = bytearray()
    source = sys.stdin.fileno()
    while True:
        ready, _, _ = select.select([source, gone], [], [])
        if gone in ready:
            return
        data = os.read(source, 65536)
        rest += data
        if data and b"\n" not in data:
            continue
        *lines, rest = rest.split(b"\n")
        if not data and rest:
            lines, rest = [rest], bytearray()
        for line in lines:
            yield _sendable(line.decode(errors="replace").rstrip("\r"))
        if not data:
            return


async def _prompt(client: WSClient) -> int:
    """Chat with line editing; arriving messages are printed above the line being typed."""
    from prompt_toolkit import PromptSession
    from prompt_toolkit.patch_stdout import patch_stdout

    session: PromptSession[str] = PromptSession(f"{_printable(client.username)}> ")
    with patch_stdout():
        running = asyncio.create_task(asyncio.to_thread(client.run))
        status: int | None = None
        while status is None and not running.done():
            typing = asyncio.create_task(_ask(session))
            await asyncio.wait({running, typing}, return_when=asyncio.FIRST_COMPLETED)
            if not typing.done():
                typing.cancel()
                await asyncio.wait({typing})
                break
            line = typing.result()
            status = line if isinstance(line, int) else None
            if isinstance(line, str) and not client.send_message(_sendable(line)):
                break
        await asyncio.to_thread(client.disconnect)
        await running
    return _lost(client) if status is None else status


async def _ask(session: PromptSession[str]) -> str | int:
    """Return a line, or the status to leave with."""
    try:
        return await session.prompt_async()
    except EOFError:
        return 0
    except KeyboardInterrupt:
        return _INTERRUPTED


def _print_message(client: WSClient, message: Message, timestamp: float) -> None:
    try:
        print(f"{_printable(message.user.name)}: {_printable(message.text)}", flush=True)
    except BrokenPipeError:  # whoever read our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _sendable(text: str) -> str:
    """Replace what no envelope may have: NUL and lone surrogates."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def _printable(text: str) -> str:
    """Escape what would steer the terminal (controls, line separators, directions), and what it cannot show."""
    escaped = "".join(_escape(char) if _steers(char) else char for char in text)
    return escaped.encode(sys.stdout.encoding, "backslashreplace").decode(sys.stdout.encoding)


def _steers(char: str) -> bool:
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(char) in _BIDI


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode()


def _reason(error: Exception | None) -> str:
    """Why there is no connection; where to is said already."""
    if isinstance(error, ConnectError) and error.errno:
        return os.strerror(error.errno)
    return _printable(str(error))


def _lost(client: WSClient) -> int:
    return _complain(f"The server has gone: {_printable(str(client.last_error))}")


def _complain(line: str) -> int:
    print(line, file=sys.stderr, flush=True)
    return _FAILED
