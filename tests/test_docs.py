"""What the README shows does what it says: its Python, shell and C blocks are run as they stand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import Program
from wsclient import _core
from wsclient.exceptions import ERRORS
from wsclient.models import MessageInfo
from wsclient.testing import ChatServer
from wsclient.ws_client import WSClient

DEADLINE = 20.0
TO_ME = MessageInfo.SEND_BACK | MessageInfo.NO_BROADCAST


def blocks(root: Path, language: str) -> list[str]:
    """The README's code blocks in a language, "" for those without one."""
    text = (root / "README.md").read_text()
    return [
        body for name, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if name == language
    ]


def block(root: Path, language: str, containing: str) -> str:
    """The one block with this in it."""
    (found,) = (body for body in blocks(root, language) if containing in body)
    return found


def here(text: str, server: ChatServer) -> str:
    """The same text with this server's port."""
    assert "9999" in text
    return text.replace("9999", str(server.port))


def run_python(code: str) -> str:
    """Run it in an interpreter of its own; what it printed."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=DEADLINE)
    assert result.returncode == 0, result.stderr
    return result.stdout


def run_shell(command: str, root: Path) -> subprocess.CompletedProcess[str]:
    """Run it from the root, with this interpreter's programs first on the path."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", command],
        cwd=root,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


def test_every_block_is_tried_here(root: Path) -> None:
    assert [len(blocks(root, language)) for language in ("python", "c", "")] == [6, 1, 5]


def test_any_server(root: Path, chat_server: ChatServer) -> None:
    for containing in ("print(ws.recv(timeout=5))", "def on_message(ws, message)", "aio.connect("):
        said = run_python(here(block(root, "python", containing), chat_server))
        assert said == '{"user":{"name":"Anonym"},"message":{"text":"hi","text_len":2,"info":0}}\n'


def test_tls(root: Path, chat_server: ChatServer) -> None:
    said = run_python(here(block(root, "python", 'wsclient.connect("wss://'), chat_server))
    assert "it does not speak TLS there" in said
    assert "Timings(resolve=" in said


def test_chat(root: Path, chat_server: ChatServer) -> None:
    code = here(block(root, "python", "client.run()"), chat_server)
    with WSClient(chat_server.host, chat_server.port, "Bob") as bob:
        heard = bob.messages()
        bob.send_message("ready", TO_ME)
        assert next(heard).text == "ready"
        with Program(sys.executable, "-u", "-c", code) as alice:
            message = next(heard)
            assert (message.user.name, message.text) == ("Alice", "hello")
            bob.send_message("hello Alice")
            assert alice.line() == "Bob: hello Alice"
            chat_server.stop()
            assert alice.wait() == 0


def test_a_server_in_a_test(root: Path) -> None:
    assert run_python(block(root, "python", "ChatServer()")) == ""


def test_a_bad_network(root: Path) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", (root / "docs/faults.md").read_text(), re.DOTALL | re.MULTILINE)
    assert run_python(code) == '{"user":{"name":"Anonym"},"message":{"text":"hi","text_len":2,"info":0}}\n'


def test_the_command_lines(root: Path, chat_server: ChatServer) -> None:
    serve, chat, once = block(root, "", "wsclient serve").splitlines()
    with WSClient(chat_server.host, chat_server.port, "Bob") as bob:
        heard = bob.messages()
        bob.send_message("ready", TO_ME)
        assert next(heard).text == "ready"
        for command, said in ((chat.split("#")[0], "from standard input"), (once, "hello")):
            result = run_shell(f"echo 'from standard input' | {here(command, chat_server)}", root)
            assert (result.returncode, result.stderr) == (0, "")
            message = next(heard)
            assert (message.user.name, message.text) == ("Alice", said)
    assert run_shell(serve.split("#")[0].replace("9999", "--help"), root).returncode == 0


def test_the_lines_for_c(root: Path, chat_server: ChatServer, tmp_path: Path) -> None:
    compile_line, run_line = block(root, "", "cc docs/examples/chat.c").splitlines()
    program = tmp_path / "chat"
    result = run_shell(compile_line.replace("bin/chat", str(program)), root)
    assert (result.returncode, result.stderr) == (0, "")
    with WSClient(chat_server.host, chat_server.port, "Bob") as bob:
        heard = bob.messages()
        bob.send_message("ready", TO_ME)
        assert next(heard).text == "ready"
        arguments = here(run_line, chat_server).replace('"hello from C"', "hello").split()[1:]
        with Program(program, *arguments) as carol:
            assert next(heard).user.name == "Carol"
            bob.send_message("hello Carol")
            assert carol.line() == "Bob: hello Carol"
            assert carol.wait() == 0


def test_the_server_of_the_command_line(root: Path, ws_server: Path) -> None:
    assert "./bin/ws_server 9999" in block(root, "", "make c-server")
    with Program(ws_server, "--port", "0") as server:
        port = int(re.findall(r"\d+", server.line())[-1])
        assert run_shell(f"python -m wsclient --host 127.0.0.1 -p {port} -n Alice -m hello", root).returncode == 0
        server.process.terminate()
        assert server.wait() == 0


def test_the_c_block_compiles(root: Path, tmp_path: Path) -> None:
    include, _, body = block(root, "c", "wsInitClient").partition("\n\n")
    source = tmp_path / "readme.c"
    callback = "static void on_message(wsClient* c, const wsJson* m, time_t t) { (void)c, (void)m, (void)t; }"
    source.write_text(f"{include}\n{callback}\nint main(void) {{\n{body}return 0; }}\n")
    command = ["cc", "-Wall", "-Wextra", "-Werror", f"-I{root}/csrc/include", "-c", source, "-o", tmp_path / "readme.o"]
    subprocess.run(command, check=True, timeout=DEADLINE)


def test_the_verbs_exist(root: Path) -> None:
    makefile = (root / "Makefile").read_text()
    text = (root / "README.md").read_text() + (root / "CONTRIBUTING.md").read_text()
    verbs = set(re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)$", text, re.MULTILINE))
    assert len(verbs) > 5
    assert [verb for pair in verbs for verb in pair if verb and f"\n{verb}:" not in makefile] == []


def test_the_page_of_errors_is_the_table(root: Path) -> None:
    faults = {1: "caller", 2: "peer", 3: "system", 4: "memory"}
    rows = [
        f"| {name} | {code} | {faults[fault]} | {text} | `{ERRORS[name].__name__}` |"
        for name, code, fault, text in _core.errors
    ]
    page = (root / "docs/errors.md").read_text().splitlines()
    found = [row.rstrip(" |").rpartition(" | ") for row in page[page.index("|---|---|---|---|---|---|") + 1 :]]
    assert [f"{row} |" for row, _, _ in found] == rows
    assert all(what_to_do for _, _, what_to_do in found)


@pytest.mark.parametrize(("page", "least"), [("docs/complaints.md", 50), ("docs/architecture.md", 25)])
def test_the_tests_that_are_named_are_there(root: Path, page: str, least: int) -> None:
    text = (root / page).read_text()
    named = re.findall(r"`(tests/[\w/]+\.(?:py|c))::(\w+)`", text)
    assert len(named) >= least
    for file, name in named:
        source = (root / file).read_text()
        there = rf"^(async )?def {name}\(" if file.endswith(".py") else rf"cmocka_unit_test\w*\({name}\b|TEST\({name}\)"
        assert re.search(there, source, re.MULTILINE), f"{file}::{name}"


def test_every_complaint_has_a_row(root: Path) -> None:
    rows = re.findall(r"^\| (\d+)\. .*`tests/.*\|$", (root / "docs/complaints.md").read_text(), re.MULTILINE)
    assert rows == [str(number) for number in range(1, 26)]


@pytest.mark.parametrize(
    "page",
    [
        *("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/protocol.md", "docs/compliance.md"),
        "docs/complaints.md",
    ],
)
def test_links_lead_somewhere(root: Path, page: str) -> None:
    for target in re.findall(r"\]\((?!https:)([^)#]+)\)", (root / page).read_text()):
        assert ((root / page).parent / target).exists(), target
