"""Seeds small faults into csrc/core, one at a time in a copy, and shows which ones the C tests do not notice.

The faults are drawn by a seed, spread over the files: flipped comparisons and conditions, dropped checks, lengths and
constants off by one. A fault that the plain build survives is tried again under the sanitizers, as `make test` runs the
tests. The exit status tells whether there is a survivor that tests/mutants.allow does not explain.

    scripts/mutate.py [--count N] [--seed N]
"""

import argparse
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build" / "mutate"
ALLOWED = ROOT / "tests" / "mutants.allow"
BASE = ["gcc", "-std=c11", "-O0", "-w", "-D_GNU_SOURCE", "-fPIC", "-Icsrc", "-Icsrc/include"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
LIBRARIES = ["-lcmocka", "-lcrypto", "-lz", "-lpthread"]
WRAPPED = {  # functions that tests replace
    "test_memory": ("malloc", "calloc", "deflateInit2_", "inflateInit2_"),
    "test_memory_opening": ("malloc", "free"),
}
SLOW = ["test_reader_pieces"]  # asked last
DEADLINE = 120  # seconds of one test program: a fault that makes it hang is noticed, too

FLIPS = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
FLIPS |= {"true": "false", "false": "true"}
# Strings, characters, comments and preprocessor lines are stepped over; what is left is a place for a fault.
TOKEN = re.compile(
    r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\])*\'|/\*.*?\*/|^#[^\n]*(?:\\\n[^\n]*)*|->|<<|>>'
    r"|(?P<flip><=|>=|==|!=|&&|\|\||<|>|\btrue\b|\bfalse\b)|(?P<check>\bif \()|(?P<number>\b[0-9]+\b)",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Fault:
    """One change in one file."""

    file: str
    start: int
    end: int
    text: str

    def apply(self, source: str) -> str:
        return source[: self.start] + self.text + source[self.end :]

    def describe(self, source: str) -> str:
        line = source.count("\n", 0, self.start) + 1
        begin = source.rfind("\n", 0, self.start) + 1
        changed = self.apply(source)[begin:].splitlines()[0].strip()
        return f"{self.file}:{line}: {source[begin:].splitlines()[0].strip()}  =>  {changed}"


def places(file: str, source: str) -> Iterator[Fault]:
    """All the faults we know for this file."""
    for match in TOKEN.finditer(source):
        start, end = match.span()
        if match["flip"]:
            yield Fault(file, start, end, FLIPS[match["flip"]])
        elif match["check"]:
            yield Fault(file, start, end, "if (0 && ")
        elif match["number"]:
            yield Fault(file, start, end, str(int(match["number"]) + 1))


def draw(sources: dict[str, str], count: int, seed: int) -> list[Fault]:
    """`count` faults, each file's share by how many places it has, two at the least."""
    chance = random.Random(seed)
    every = {file: list(places(file, source)) for file, source in sources.items()}
    total = sum(map(len, every.values()))
    chosen = []
    for faults in every.values():
        share = max(2, round(count * len(faults) / total))
        chosen += sorted(chance.sample(faults, min(share, len(faults))), key=lambda fault: fault.start)
    return chosen


class Build:
    """A copy of the core and its tests, built once; a fault costs one object file and one library."""

    def __init__(self, name: str, flags: list[str]) -> None:
        self.tree = WORK / name
        self.compile = [*BASE, *flags]
        shutil.rmtree(self.tree, ignore_errors=True)
        shutil.copytree(ROOT / "csrc", self.tree / "csrc")
        shutil.copytree(ROOT / "tests" / "c", self.tree / "tests" / "c")
        self.files = sorted(path.name for path in (self.tree / "csrc/core").glob("*.c"))
        self.tests = [path.stem for path in sorted((self.tree / "tests/c").glob("test_*.c")) if self._of_core(path)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._object, self.files))
            self._library()
            list(pool.map(self._test, self.tests))

    @staticmethod
    def _of_core(test: Path) -> bool:
        rooms = set(re.findall(r'^#include "(\w+)/', test.read_text(), re.MULTILINE))
        return rooms <= {"core"}

    def _run(self, *command: str) -> bool:
        return subprocess.run(command, cwd=self.tree, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def _object(self, file: str) -> bool:
        return self._run(*self.compile, "-c", f"csrc/core/{file}", "-o", f"{file}.o")

    def _library(self) -> None:
        assert self._run(*self.compile, "-shared", "-o", "libcore.so", *(f"{file}.o" for file in self.files))

    def _test(self, test: str) -> None:
        core = ["-L.", "-lcore", "-Wl,-rpath,$ORIGIN"]
        if test in WRAPPED:  # which only what is linked to it statically can see
            core = [*(f"-Wl,--wrap={name}" for name in WRAPPED[test]), *(f"{file}.o" for file in self.files)]
        sources = [f"tests/c/{test}.c", "tests/c/support.c"]
        assert self._run(*self.compile, "-Itests/c", *sources, *core, *LIBRARIES, "-o", test), test

    def _passes(self, test: str) -> bool:
        command = [str(self.tree / test)]
        try:
            done = subprocess.run(command, cwd=self.tree, capture_output=True, timeout=DEADLINE, check=False)
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def notices(self, file: str, source: str) -> str | None:
        """The first test that fails with this source in place of the file's own; None if all pass."""
        path = self.tree / "csrc/core" / file
        original = path.read_text()
        path.write_text(source)
        try:
            if not self._object(file):
                return "the compiler"
            self._library()
            for test in WRAPPED:
                self._test(test)
            own = file.removesuffix(".c")
            tests = sorted(self.tests, key=lambda test: (own not in test, test in SLOW))
            return next((test for test in tests if not self._passes(test)), None)
        finally:
            path.write_text(original)
            self._object(file)


def explained() -> set[str]:
    """The survivors that change nothing a test could see: lines as they are printed, without the line's number."""
    lines = ALLOWED.read_text().splitlines() if ALLOWED.exists() else []
    return {line for line in lines if line and not line.startswith("#")}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=90, help="how many faults, about")
    parser.add_argument("--seed", type=int, default=6455, help="what they are drawn by")
    arguments = parser.parse_args()
    plain, strict = Build("plain", []), Build("sanitized", SANITIZERS)
    sources = {file: (plain.tree / "csrc/core" / file).read_text() for file in plain.files}
    assert plain.notices("buf.c", sources["buf.c"]) is None, "the tests fail without any fault"
    faults = draw(sources, arguments.count, arguments.seed)
    survivors = []
    for fault in faults:
        source = sources[fault.file]
        changed = fault.apply(source)
        by = plain.notices(fault.file, changed) or strict.notices(fault.file, changed)
        print(f"{by or 'SURVIVES'}: {fault.describe(source)}", flush=True)
        if not by:
            survivors.append(re.sub(r":\d+:", ":", fault.describe(source), count=1))
    new = [line for line in survivors if line not in explained()]
    print(f"{len(faults)} faults, {len(survivors)} survive, {len(survivors) - len(new)} of them explained")
    print(*new, sep="\n")
    return bool(new)


if __name__ == "__main__":
    sys.exit(main())
