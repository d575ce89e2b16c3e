"""The demo ends well, and notices when somebody does not hear what they should."""

import subprocess
import sys
from pathlib import Path

import pytest

LAST = "demo: everybody heard what they should, and nobody anything else\n"


def run(script: Path) -> subprocess.CompletedProcess[str]:
    """Run a demo."""
    return subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def test_the_demo_ends_well(root: Path) -> None:
    result = run(root / "scripts/demo.py")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith(LAST)
    for said in ("Bob hears   Carol: hello from C", "Carol hears   Robert: it is still me"):
        assert said in result.stdout


@pytest.mark.parametrize(
    ("true", "wrong"),
    [
        ('"good morning", MessageInfo.BROADCAST, ["Bob", "Carol"]', '"good morning", MessageInfo.BROADCAST, ["Bob"]'),
        ('"note to self: buy bread", TO_ME', '"note to self: buy bread", TO_ALL'),
        ('bob.change_username("Robert")', "bob.username"),
    ],
)
def test_the_demo_notices_what_is_wrong(root: Path, tmp_path: Path, true: str, wrong: str) -> None:
    text = (root / "scripts/demo.py").read_text()
    assert text.count(true) == 1
    script = tmp_path / "demo.py"
    script.write_text(
        text.replace(true, wrong).replace("Path(__file__).resolve().parent.parent", f"Path({str(root)!r})")
    )
    result = run(script)
    assert result.returncode == 1
    assert "should have heard" in result.stderr
    assert LAST not in result.stdout
