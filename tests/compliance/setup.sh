#!/usr/bin/env bash
# Install the Autobahn testsuite from PyPI, and port it to Python 3, unless that was done before.
#   tests/compliance/setup.sh [FOLDER]     default: .venv/autobahn
set -euo pipefail
cd "$(dirname "$0")"
folder=${1:-../../.venv/autobahn}
stamp=$(cat setup.sh requirements.txt port_suite.py | cksum)
[ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ] || exit 0

echo "setup: the Autobahn testsuite"
rm -rf "$folder"
"${PYTHON:-python3}" -m venv "$folder"
pip() { "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "$@"; }
pip setuptools==75.8.0 wheel # pkg_resources is needed at run time, and later ones are without it
pip --no-build-isolation --requirement requirements.txt
pip --no-build-isolation --no-deps autobahntestsuite==25.10.1
"$folder/bin/python" -W ignore port_suite.py
"$folder/bin/python" -W ignore "$folder/bin/wstest" -a
echo "$stamp" >"$folder/stamp"
