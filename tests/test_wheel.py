"""The wheel: built in isolation as pip does it, looked through, installed in a clean environment and used there."""

import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(400)


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command; what it printed."""
    result = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a source tree without anything built in it, as git would clone it."""
    tree = tmp_path_factory.mktemp("tree")
    out = tmp_path_factory.mktemp("wheel")
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=root).split("\0")
    for name in filter(None, files):
        if (root / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_bytes((root / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", out, ".", cwd=tree)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def members(wheel: Path) -> dict[str, zipfile.ZipInfo]:
    """What is in it."""
    with zipfile.ZipFile(wheel) as archive:
        return {info.filename: info for info in archive.infolist()}


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    """Its METADATA."""
    with zipfile.ZipFile(wheel) as archive:
        return Parser().parsestr(archive.read("wsclient_sdk-0.1.0.dist-info/METADATA").decode())


def test_it_holds_the_package_and_nothing_else(root: Path, members: dict[str, zipfile.ZipInfo]) -> None:
    sources = {str(path.relative_to(root / "python")) for path in (root / "python/wsclient").rglob("*.py")}
    extras = {"wsclient/py.typed", "wsclient/_core.pyi", "wsclient/_bin/ws_server"}
    native = {name for name in members if name.startswith("wsclient/_core.") and name.endswith(".so")}
    assert len(native) == 1
    in_package = {name for name in members if not name.startswith("wsclient_sdk-0.1.0.dist-info/")}
    assert in_package == sources | extras | native


def test_the_server_is_executable(members: dict[str, zipfile.ZipInfo]) -> None:
    assert members["wsclient/_bin/ws_server"].external_attr >> 16 & 0o111 == 0o111


@pytest.mark.parametrize(
    "has",
    [
        lambda m: "Typing :: Typed" in m.get_all("Classifier"),
        lambda m: m["Requires-Python"] == ">=3.10",
        lambda m: any(d.startswith("msgspec") for d in m.get_all("Requires-Dist")),
        lambda m: m["License-Expression"] == "MIT",
    ],
)
def test_the_metadata(metadata: Message, has: Callable[[Message], bool]) -> None:
    assert has(metadata)


def test_only_the_module_s_entry_is_exported(wheel: Path, members: dict[str, zipfile.ZipInfo], tmp_path: Path) -> None:
    (native,) = (name for name in members if name.endswith(".so"))
    with zipfile.ZipFile(wheel) as archive:
        path = archive.extract(native, tmp_path)
    symbols = run("nm", "-D", "--defined-only", path, cwd=tmp_path).split("\n")
    assert {line.split()[-1] for line in symbols if line} == {"PyInit__core"}


def test_one_version_everywhere(root: Path) -> None:
    import wsclient

    assert f'#define WS_VERSION "{wsclient.__version__}"' in (root / "csrc/include/wsclient/wsclient.h").read_text()
    assert f"project(wsclient VERSION {wsclient.__version__} " in (root / "CMakeLists.txt").read_text()
    assert f'version = "{wsclient.__version__}"' in (root / "pyproject.toml").read_text()


def test_it_works_in_a_clean_environment(root: Path, wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "--quiet", wheel, cwd=tmp_path)
    smoke = tmp_path / "smoke.py"
    smoke.write_bytes((root / "scripts/wheel_smoke.py").read_bytes())
    said = run(python, "-I", smoke, cwd=tmp_path)
    assert f"from {tmp_path}/venv/lib/" in said
    assert "two clients chatted" in said
    assert "usage: wsclient" in run(tmp_path / "venv/bin/wsclient", "--help", cwd=tmp_path)
