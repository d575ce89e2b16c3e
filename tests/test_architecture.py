"""The arrows between the rooms (docs/architecture.md), checked in the include and import lines."""

import ast
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# Which rooms a room of csrc/ may include from.
SEES = {
    "core": {"core"},
    "net": {"core", "net"},
    "chat": {"core", "chat"},
    "client": {"core", "net", "chat", "client"},
    "server": {"core", "net", "chat", "server"},
}
PUBLIC_HEADER = "wsclient/wsclient.h"
# All that core may take from outside: nothing here reaches the operating system.
CORE_HEADERS = {
    *("assert.h", "ctype.h", "errno.h", "inttypes.h", "limits.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h"),
    *("stdio.h", "stdlib.h", "string.h", "strings.h", "openssl/crypto.h", "openssl/evp.h", "openssl/sha.h", "zlib.h"),
    PUBLIC_HEADER,
}
CORE_CALLS = re.compile(r"\b(printf|fprintf|puts|fopen|getenv|time|clock_gettime|rand|abort|exit)\(")

# Each module may import from its own row and those above. `wsclient` itself (__init__) is imported by none.
ROWS = [
    {"_core", "exceptions", "models", "options", "reconnect", "tls", "_checks", "_redact"},
    {"_callbacks", "_codec", "_cookies", "_data", "_log", "_waker"},
    {"_handle"},
    {"_session"},
    {"_look", "_driver", "_chat"},
    {"connection", "aio"},
    {"ws_client", "async_ws_client"},
    {"cli", "testing", "example"},
    {"__main__"},
]
ROW = {module: number for number, row in enumerate(ROWS) for module in row}


def includes(path: Path) -> Iterator[str]:
    """What a C or C++ file includes."""
    for match in re.finditer(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', path.read_text(), re.MULTILINE):
        yield match[1]


def room_of(include: str) -> str | None:
    """The room an include reaches into, None for a system's header."""
    first = include.split("/")[0]
    return first if first in SEES else None


def wrong_in_rooms(root: Path) -> Iterator[str]:
    """Includes of csrc/ and bindings/ against the arrows."""
    for room, sees in SEES.items():
        for path in sorted((root / "csrc" / room).glob("*.[ch]")):
            for name in includes(path):
                if ".." in name or (room_of(name) or room) not in sees:
                    yield f"{path.relative_to(root)} includes {name}"
                if room == "core" and room_of(name) is None and name not in CORE_HEADERS:
                    yield f"{path.relative_to(root)} includes {name}, and core takes nothing from the system"
            if room == "core" and (call := CORE_CALLS.search(path.read_text())):
                yield f"{path.relative_to(root)} calls {call[1]}"
    for path in sorted((root / "bindings").glob("*.[ch]*")):
        for name in includes(path):
            if ".." in name or (room_of(name) and name != "client/engine.h"):
                yield f"{path.relative_to(root)} includes {name}"
    for name in includes(root / "csrc/include" / PUBLIC_HEADER):
        if name not in {"stddef.h", "stdint.h", "time.h"}:
            yield f"the public header includes {name}"


def is_for_types(node: ast.AST) -> bool:
    """Whether it is an `if TYPE_CHECKING`."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path: Path, package: Path) -> Iterator[str]:
    """The modules of wsclient that a Python file of it imports; "" is the package itself."""
    depth = len(path.relative_to(package).parts)
    tree = ast.parse(path.read_text())
    for_types = {node for block in ast.walk(tree) if is_for_types(block) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if node in for_types:
            continue  # nothing is imported by that when it runs
        if isinstance(node, ast.Import):
            dotted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if 0 < node.level < depth:
                continue  # a module of its own folder
            base = ("wsclient." if node.level else "") + (node.module or "")
            names = [alias.name for alias in node.names]
            whole = base.rstrip(".") == "wsclient"
            dotted = [f"wsclient.{name}" if name in ROW else "wsclient" for name in names] if whole else [base]
        else:
            continue
        for name in dotted:
            if name.split(".")[0] == "wsclient":
                yield name.removeprefix("wsclient").strip(".").split(".")[0]


def wrong_in_python(root: Path) -> Iterator[str]:
    """Imports of python/wsclient against the arrows."""
    package = root / "python/wsclient"
    for path in sorted(package.rglob("*.py")):
        place = path.relative_to(package)
        module = place.parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        if module not in ROW:
            yield f"{place} has no place in the picture: give it a row in ROWS and in docs/architecture.md"
            continue
        for name in imports(path, package):
            if name not in ROW:
                yield f"{place} imports {name or 'the package itself'}"
            elif ROW[name] > ROW[module]:
                yield f"{place} imports {name}"


def violations(root: Path) -> list[str]:
    """All that goes against the arrows."""
    return [*wrong_in_rooms(root), *wrong_in_python(root)]


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    """A copy of the sources, to do wrong in."""
    for name in ("csrc", "bindings", "python"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(root / "CMakeLists.txt", tmp_path)
    return tmp_path


def test_the_arrows_hold(root: Path) -> None:
    assert violations(root) == []


@pytest.mark.parametrize(
    ("file", "line", "found"),
    [
        ("csrc/core/frame.c", '#include "net/poll.h"', "csrc/core/frame.c includes net/poll.h"),
        ("csrc/core/frame.c", "#include <unistd.h>", "csrc/core/frame.c includes unistd.h, and core takes nothing"),
        ("csrc/core/frame.c", 'static void f(void) { printf("x"); }', "csrc/core/frame.c calls printf"),
        ("csrc/chat/envelope.c", '#include "net/sys.h"', "csrc/chat/envelope.c includes net/sys.h"),
        ("csrc/net/tcp.c", '#include "../client/engine.h"', "csrc/net/tcp.c includes ../client/engine.h"),
        ("csrc/server/main.c", '#include "client/engine.h"', "csrc/server/main.c includes client/engine.h"),
        ("csrc/client/conn.c", '#include "server/hub.h"', "csrc/client/conn.c includes server/hub.h"),
        ("bindings/module.cpp", '#include "core/frame.h"', "bindings/module.cpp includes core/frame.h"),
        ("csrc/include/wsclient/wsclient.h", "#include <stdio.h>", "the public header includes stdio.h"),
        ("python/wsclient/cli.py", "import wsclient", "cli.py imports the package itself"),
        ("python/wsclient/cli.py", "from . import WSClient", "cli.py imports the package itself"),
        ("python/wsclient/models.py", "from wsclient import _codec", "models.py imports _codec"),
        ("python/wsclient/connection.py", "from .ws_client import WSClient", "connection.py imports ws_client"),
        ("python/wsclient/helpers.py", "", "helpers.py has no place in the picture"),
    ],
)
def test_a_violation_is_found(copy: Path, file: str, line: str, found: str) -> None:
    with (copy / file).open("a") as out:
        out.write(f"\n{line}\n")
    assert [said[: len(found)] for said in violations(copy)] == [found]


def build(copy: Path, target: str) -> subprocess.CompletedProcess[str]:
    """Configure the copy and build one target of it."""
    tree = copy / "build"
    subprocess.run(["cmake", "-S", copy, "-B", tree], check=True, capture_output=True, timeout=60)
    return subprocess.run(["cmake", "--build", tree, "--target", target], capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize(
    ("file", "target", "include"),
    [
        ("csrc/core/utf8.c", "ws_core", "net/poll.h"),
        ("csrc/chat/envelope.c", "ws_chat", "net/poll.h"),
        ("csrc/server/main.c", "ws_server_main", "client/engine.h"),
        ("probe.c", "probe", "core/frame.h"),
    ],
)
def test_a_wrong_include_does_not_compile(copy: Path, file: str, target: str, include: str) -> None:
    # The probe stands for the bindings: it is linked to what they are linked to.
    (copy / "probe.c").write_text("#include <client/engine.h>\n#include <wsclient/wsclient.h>\n")
    with (copy / "CMakeLists.txt").open("a") as out:
        out.write("\nadd_library(probe STATIC probe.c)\ntarget_link_libraries(probe PRIVATE ws_engine)\n")
    assert build(copy, "probe").returncode == 0
    source = copy / file
    source.write_text(f'#include "{include}"\n' + source.read_text())
    result = build(copy, target)
    assert result.returncode != 0
    assert f"{include}: No such file" in result.stderr
