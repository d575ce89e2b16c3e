"""The judge of the Autobahn results: it lets nothing through."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parent / "compliance" / "check.py"


def judge(path: Path, results: dict[str, dict[str, dict[str, str]]], count: int) -> "subprocess.CompletedProcess[str]":
    index = path / "index.json"
    index.write_text(json.dumps(results))
    return subprocess.run([sys.executable, CHECK, index, str(count)], capture_output=True, text=True, timeout=20)


def verdict(behavior: str, closing: str = "OK") -> dict[str, str]:
    return {"behavior": behavior, "behaviorClose": closing}


def test_what_is_fine(tmp_path: Path) -> None:
    results = {"1.1.1": verdict("OK"), "3.4": verdict("NON-STRICT"), "7.1.6": verdict("INFORMATIONAL", "INFORMATIONAL")}
    done = judge(tmp_path, {"agent": results}, 3)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "agent: 3 cases: 1 OK, 1 NON-STRICT, 1 INFORMATIONAL\n"


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (verdict("FAILED"), "agent: case 2.1: behaviour FAILED, closing OK\n"),
        (verdict("UNIMPLEMENTED"), "agent: case 2.1: behaviour UNIMPLEMENTED, closing OK\n"),
        (verdict("OK", "FAILED"), "agent: case 2.1: behaviour OK, closing FAILED\n"),
        (verdict("OK", "WRONG CODE"), "agent: case 2.1: behaviour OK, closing WRONG CODE\n"),
        (verdict("OK", "UNCLEAN"), "agent: case 2.1: behaviour OK, closing UNCLEAN\n"),
    ],
)
def test_what_is_not(tmp_path: Path, bad: dict[str, str], said: str) -> None:
    done = judge(tmp_path, {"agent": {"1.1.1": verdict("OK"), "2.1": bad}}, 2)
    assert (done.returncode, done.stderr) == (1, said)


def test_a_case_that_did_not_run_counts(tmp_path: Path) -> None:
    done = judge(tmp_path, {"agent": {"1.1.1": verdict("OK")}}, 517)
    assert (done.returncode, done.stderr) == (1, "agent: 1 cases ran, there are 517\n")
    done = judge(tmp_path, {}, 517)
    assert (done.returncode, done.stderr) == (1, "nobody was tested\n")
