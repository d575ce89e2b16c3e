"""A conversation over the real server: two typed Python clients and a C program. `make demo` runs it.

For each thing said it is checked who hears it and who does not; the exit status is 1 if anything was missing.
"""

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from wsclient.models import Message, MessageInfo
from wsclient.testing import ChatServer
from wsclient.ws_client import WSClient

ROOT = Path(__file__).resolve().parent.parent
DEADLINE = 10.0
TO_ALL = MessageInfo.SEND_BACK
TO_ME = MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST


class Ears:
    """What each of them has heard so far, printed as it comes."""

    def __init__(self) -> None:
        self.heard: dict[str, list[str]] = {"Alice": [], "Bob": [], "Carol": []}
        self.changed = threading.Condition()

    def hear(self, who: str, line: str) -> None:
        with self.changed:
            self.heard[who].append(line)
            print(f"        {who} hears   {line}", flush=True)
            self.changed.notify_all()

    def wait(self, expected: dict[str, list[str]]) -> None:
        """Wait until everybody has heard as much as expected; exit if that does not come or is something else."""
        with self.changed:
            self.changed.wait_for(lambda: all(len(self.heard[who]) >= len(expected[who]) for who in expected), DEADLINE)
            for who, lines in expected.items():
                if self.heard[who] != lines:
                    sys.exit(f"demo: {who} should have heard {lines}, but heard {self.heard[who]}")


class Conversation:
    """Says things and holds what is heard to what should be."""

    def __init__(self, server: ChatServer) -> None:
        self.server = server
        self.ears = Ears()
        self.expected: dict[str, list[str]] = {"Alice": [], "Bob": [], "Carol": []}

    def join(self, name: str) -> WSClient:
        client = WSClient(self.server.host, self.server.port, name)

        def on_message(client: WSClient, message: Message, timestamp: float) -> None:
            self.ears.hear(name, f"{message.user.name}: {message.text}")

        client.set_message_callback(on_message, use_json=True)
        if not client.connect():
            sys.exit(f"demo: {name} cannot join: {client.last_error}")
        client.start()
        self.say(client, name, f"may I come in? ({name})", TO_ME, [name])
        return client

    def say(self, client: WSClient, name: str, text: str, info: MessageInfo, hearers: list[str]) -> None:
        label = " | ".join(str(bit.name) for bit in MessageInfo if bit & info) or "BROADCAST"
        print(f"{name} says, {label}: {text}", flush=True)
        if not client.send_message(text, info):
            sys.exit(f"demo: {name} cannot send: {client.last_error}")
        self.expect(hearers, f"{name}: {text}")

    def expect(self, hearers: list[str], line: str) -> None:
        for who in hearers:
            self.expected[who].append(line)
        self.ears.wait(self.expected)


def build_c_program(folder: str) -> Path:
    """docs/examples/chat.c, built against bin/libwsclient.so."""
    program = Path(folder) / "chat"
    flags = ["-Icsrc/include", "-Lbin", "-lwsclient", f"-Wl,-rpath,{ROOT}/bin", "-o", str(program)]
    subprocess.run(["cc", "docs/examples/chat.c", *flags], cwd=ROOT, check=True)
    return program


def carol(program: Path, talk: Conversation) -> subprocess.Popen[str]:
    """The C program, its output on Carol's ears."""
    command = [str(program), talk.server.host, str(talk.server.port), "Carol", "hello from C", "3"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def read() -> None:
        for line in process.stdout or ():
            talk.ears.hear("Carol", line.rstrip("\n"))

    threading.Thread(target=read, daemon=True).start()
    return process


def converse(talk: Conversation, program: Path) -> None:
    """The conversation; the C program leaves when it has heard three things."""
    alice, bob = talk.join("Alice"), talk.join("Bob")
    print("Carol, a C program, comes in and says, BROADCAST: hello from C", flush=True)
    process = carol(program, talk)
    talk.expect(["Alice", "Bob"], "Carol: hello from C")
    talk.say(alice, "Alice", "good morning", MessageInfo.BROADCAST, ["Bob", "Carol"])
    talk.say(bob, "Bob", "grüße an alle, and to myself 🌍", TO_ALL, ["Alice", "Bob", "Carol"])
    talk.say(alice, "Alice", "note to self: buy bread", TO_ME, ["Alice"])
    print("Bob takes the name Robert", flush=True)
    bob.change_username("Robert")
    talk.say(bob, "Robert", "it is still me", MessageInfo.BROADCAST, ["Alice", "Carol"])
    if process.wait(DEADLINE) != 0:
        sys.exit(f"demo: the C program ended with status {process.returncode}")
    print("Carol has left", flush=True)
    talk.say(alice, "Alice", "goodbye", TO_ALL, ["Alice", "Bob"])
    for client in (alice, bob):
        client.stop()
        client.disconnect()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, ChatServer() as server:
        program = build_c_program(folder)
        print(f"ws_server listens at {server.url}", flush=True)
        converse(Conversation(server), program)
    print("demo: everybody heard what they should, and nobody anything else")


if __name__ == "__main__":
    main()
