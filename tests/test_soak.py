"""The quick form of `make soak`: nothing is lost, nothing comes in another order, nothing grows."""

import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).resolve().parent.parent / "scripts" / "soak.py"
DRIVERS = ["inline", "background", "asyncio"]


def soak(*arguments: str) -> str:
    """What it says, having found nothing wrong."""
    done = subprocess.run([sys.executable, SOAK, *arguments], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("driver", DRIVERS)
def test_many_messages(driver: str) -> None:
    assert soak("messages", "--driver", driver, "--count", "20000").startswith(
        f"messages, {driver}: 20000 there and back"
    )


@pytest.mark.parametrize("delivery", ["at_least_once", "at_most_once"])
@pytest.mark.parametrize("driver", DRIVERS)
def test_many_reconnects(driver: str, delivery: str) -> None:
    said = soak("reconnects", "--driver", driver, "--count", "30", "--delivery", delivery)
    assert said.startswith(f"reconnects, {driver}, {delivery}: 3")
