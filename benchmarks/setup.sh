#!/usr/bin/env bash
# The environment of the benchmarks, build/bench-venv: the pinned others and this wsclient. PYTHON says by which Python;
# without it, 3.12 or later if pyenv has one (websocket-rs needs that), else python3.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=build/bench-venv

choose_python() {
  local newest
  newest=$(ls -d "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.12.*/bin/python 2>/dev/null | tail -1 || true)
  echo "${PYTHON:-${newest:-python3}}"
}

scripts/setup.sh c
[ -x $venv/bin/python ] || "$(choose_python)" -m venv $venv
stamp=$(cksum <benchmarks/requirements.txt)
if [ "$(cat $venv/stamp 2>/dev/null)" != "$stamp" ]; then
  $venv/bin/pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
  echo "$stamp" >$venv/stamp
fi
$venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation .
