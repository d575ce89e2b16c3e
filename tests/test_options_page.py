"""docs/options.md has every option, in Python and in C, and names a test for each that exists."""

import dataclasses
import re
from pathlib import Path

import pytest

from wsclient import ClientOptions, ReconnectPolicy, TLSOptions


def rows(root: Path) -> list[list[str]]:
    """The cells of all rows."""
    lines = (root / "docs/options.md").read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")]


def named(root: Path, column: int) -> list[str]:
    """What a column names, in order."""
    return [name for row in rows(root) for name in re.findall(r"`(\w+)`", row[column])]


def members(root: Path, struct: str) -> list[str]:
    """The members of a struct of the public header."""
    header = (root / "csrc/include/wsclient/wsclient.h").read_text()
    (body,) = re.findall(rf"typedef struct {struct} \{{(.*?)\n\}} {struct};", header, re.DOTALL)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
    return [name for line in body.split(";") for name in re.findall(r"(\w+)\s*(?=,|$)", line.strip())]


def test_every_option_has_its_row(root: Path) -> None:
    options = {field.name for cls in (ClientOptions, TLSOptions, ReconnectPolicy) for field in dataclasses.fields(cls)}
    found = named(root, 0)
    assert set(found) == options
    assert len(found) == len(options)


@pytest.mark.parametrize("struct", ["wsOptions", "wsTls", "wsReconnect"])
def test_every_member_has_its_row(root: Path, struct: str) -> None:
    found = named(root, 1)
    for member in members(root, struct):
        if member not in ("size", "url", "enabled"):
            assert member in found, member


def test_every_default_is_the_pages(root: Path) -> None:
    page = {name: row for row in rows(root) for name in re.findall(r"`(\w+)`", row[0])}
    for name, shown in {
        "open_timeout": "10 s",
        "max_head": "65536",
        "max_redirects": "10",
        "write_limit": "32768",
    }.items():
        (field,) = (field for field in dataclasses.fields(ClientOptions) if field.name == name)
        assert page[name][2] == shown
        assert str(field.default) == shown.removesuffix(" s")


def test_every_row_names_a_test_that_is_there(root: Path) -> None:
    tests = [match for row in rows(root) for match in re.findall(r"`((?:c/)?test_\w+\.(?:py|c))::(\w+)`", row[-1])]
    assert len(tests) > 25
    for file, name in tests:
        text = (root / "tests" / file).read_text()
        assert f"def {name}(" in text or f"TEST({name})" in text, f"{file}::{name}"
