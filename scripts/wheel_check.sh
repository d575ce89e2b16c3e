#!/usr/bin/env bash
# What cibuildwheel does, as far as it goes without containers: list the builds, build, repair, and run the test command
# in a clean environment outside the tree. The repaired wheel is left in wheelhouse/.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
python=$root/.venv/bin/python
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

setting() { # the value of a setting of [tool.cibuildwheel]
  "$python" -c 'import sys, functools
try: import tomllib
except ImportError: import tomli as tomllib
table = tomllib.load(open("pyproject.toml", "rb"))["tool"]["cibuildwheel"]
print(functools.reduce(lambda t, k: t[k], sys.argv[1].split("."), table))' "$1"
}

"$python" -m pip install --quiet --no-build-isolation '.[wheel]'

echo "wheel: the builds"
"$python" -m cibuildwheel --print-build-identifiers --platform linux | tee "$work/builds"
for version in cp310 cp311 cp312 cp313 cp314 cp314t; do grep -q "^$version-" "$work/builds"; done

echo "wheel: before-all is a shell script"
setting linux.before-all | sh -n

echo "wheel: build and repair"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work/built" .
mkdir -p wheelhouse && rm -f wheelhouse/*.whl
PATH="$root/.venv/bin:$PATH" "$python" -m auditwheel repair --wheel-dir wheelhouse "$work"/built/*.whl
"$python" -m auditwheel show wheelhouse/*.whl

echo "wheel: the test command, in a clean environment outside the tree"
"$python" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet wheelhouse/*.whl
command=$(setting test-command)
(cd "$work" && PATH="$work/venv/bin:$PATH" bash -c "${command//\{project\}/$root}")
