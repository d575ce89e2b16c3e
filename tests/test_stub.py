"""The stub of the native module says what the module is: names by stubtest, signatures by what pybind11 says of them.

stubtest cannot see the parameters of a pybind11 function; they stand in the first line of its docstring.
"""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wsclient import _core

Parameters = list[tuple[str, bool, object]]


def parameters(function: ast.FunctionDef) -> Parameters:
    """Name, keyword-only or not, and default (None written as such, ... for none) of each parameter but self."""
    plain = function.args.args
    required: list[ast.expr | None] = [None] * (len(plain) - len(function.args.defaults))
    rows = [(arg, False, default) for arg, default in zip(plain, required + function.args.defaults, strict=True)]
    rows += [
        (arg, True, default) for arg, default in zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    ]
    return [(arg.arg, only, ast.literal_eval(default) if default else ...) for arg, only, default in rows[1:]]


def of_the_stub(text: str) -> dict[str, Parameters]:
    """The methods in a stub; of one with overloads the last, which has them all."""
    (client,) = (node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name == "WSClient")
    methods = [node for node in client.body if isinstance(node, ast.FunctionDef)]
    return {method.name: parameters(method) for method in methods if not is_property(method)}


def is_property(method: ast.FunctionDef) -> bool:
    """Is it a property?"""
    return any(isinstance(decorator, ast.Name) and decorator.id == "property" for decorator in method.decorator_list)


def of_the_module() -> dict[str, Parameters]:
    """The methods of the module."""
    found = {}
    for name, method in vars(_core.WSClient).items():
        line = (method.__doc__ or "").split("\n")[0]
        signature = getattr(method, "__text_signature__", None)
        if signature and not name.startswith("__"):  # one that pybind11 does not dispatch
            line = f"{name}{signature.replace('$', '')}"
        if callable(method) and line.startswith((f"{name}(self:", f"{name}(self,", f"{name}(self)")):
            (function,) = ast.parse(f"def {line}: ...").body
            assert isinstance(function, ast.FunctionDef)
            found[name] = parameters(function)
    return found


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


def wrong_stub(root: Path, true: str, wrong: str) -> str:
    """The stub with one place changed."""
    text = (root / "python/wsclient/_core.pyi").read_text()
    assert text.count(true) == 1
    return text.replace(true, wrong)


def test_the_stub_has_the_names(root: Path) -> None:
    result = stubtest(root, root / "python")
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_stub_has_the_signatures(root: Path) -> None:
    module = of_the_module()
    assert {"__init__", "recv", "send", "close", "ping"} <= set(module)
    assert of_the_stub((root / "python/wsclient/_core.pyi").read_text()) == module


@pytest.mark.parametrize(
    ("true", "wrong", "found"),
    [
        ("def wake(self) -> None:", "def awaken(self) -> None:", "wsclient._core.WSClient.awaken is not present"),
        ("version: Final[str]", "edition: Final[str]", "wsclient._core.edition is not present"),
        ("errors: Final[tuple[tuple[str, int, int, str], ...]]", "errors: Final[str]", "wsclient._core.errors"),
    ],
)
def test_a_wrong_name_is_noticed(root: Path, tmp_path: Path, true: str, wrong: str, found: str) -> None:
    package = tmp_path / "wsclient"
    package.mkdir()
    for source in (root / "python/wsclient").glob("*.py"):
        (package / source.name).write_bytes(source.read_bytes())
    (package / "_core.pyi").write_text(wrong_stub(root, true, wrong))
    result = stubtest(root, tmp_path)
    assert result.returncode != 0
    assert found in result.stdout


@pytest.mark.parametrize(
    ("true", "wrong", "method"),
    [
        ("def abort(self) -> None:", "def abort(self, hard: bool) -> None:", "abort"),
        ("url: str, **options", "uri: str, **options", "__init__"),
        ("def close(self, code: int = 1000, reason:", "def close(self, code: int = 1000, motive:", "close"),
    ],
)
def test_a_wrong_signature_is_noticed(root: Path, true: str, wrong: str, method: str) -> None:
    stub, module = of_the_stub(wrong_stub(root, true, wrong)), of_the_module()
    assert [name for name in module if stub[name] != module[name]] == [method]
