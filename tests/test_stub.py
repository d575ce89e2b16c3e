"""The stub of the native module says what the module is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


def stubtest(root: Path, stubs: Path) -> subprocess.CompletedProcess[str]:
    """Hold the stub under `stubs` to the module that is installed."""
    command = [sys.executable, "-m", "mypy.stubtest", "wsclient._core", "--allowlist", root / "tests/stubtest.allow"]
    return subprocess.run(
        [str(part) for part in command],
        env={**os.environ, "MYPYPATH": str(stubs)},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_stub_is_true(root: Path) -> None:
    result = stubtest(root, root / "python")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("true", "wrong", "found"),
    [
        ("def abort(self) -> None:", "def abort(self, hard: bool) -> None:", "wsclient._core.WSClient.abort"),
        ("def wake(self) -> None:", "def awaken(self) -> None:", "wsclient._core.WSClient.awaken is not present"),
        ("max_fragments: int = 131072", "max_fragments: int = 7", "wsclient._core.WSClient.__init__"),
    ],
)
def test_a_wrong_stub_is_noticed(root: Path, tmp_path: Path, true: str, wrong: str, found: str) -> None:
    package = tmp_path / "wsclient"
    package.mkdir()
    for source in (root / "python/wsclient").glob("*.py*"):
        text = source.read_text()
        if source.name == "_core.pyi":
            assert text.count(true) == 1
            text = text.replace(true, wrong)
        (package / source.name).write_text(text)
    result = stubtest(root, tmp_path)
    assert result.returncode != 0
    assert found in result.stdout
