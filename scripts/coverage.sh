#!/usr/bin/env bash
# How much of csrc/core its own C tests run, and how much of python/wsclient the Python tests run, line by line in
# build/coverage/core.html and build/coverage/python/index.html. Fails below the figures here.
#   scripts/coverage.sh [core] [python]    both, where none is named
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.venv/bin

core_lines=97 core_branches=92
python_branches=100

# The tests that include headers of no room but core. The headers of core are reached through build/coverage/rooms.
core() {
  local tests
  mapfile -t tests < <(grep -L -E '^#include "(net|chat|client|server)/' tests/c/test_*.c | xargs -n 1 basename -s .c)
  cmake -S . -B build/coverage -DWS_TESTS=ON -DWS_SERVER=ON -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=--coverage >/dev/null
  cmake --build build/coverage --target "${tests[@]}" >/dev/null
  find build/coverage -name '*.gcda' -delete
  ctest --test-dir build/coverage --output-on-failure --no-tests=error -R "^($(IFS='|' && echo "${tests[*]}"))\$"
  "$bin/gcovr" --root . --filter '(csrc|build/coverage/rooms/core)/core/' --print-summary --txt - \
    --html-details build/coverage/core.html --fail-under-line "$core_lines" --fail-under-branch "$core_branches" \
    build/coverage/CMakeFiles/ws_core.dir
}

# Left out are the files in which other builds of the package are made and used, those that only read its sources, and the
# one that counts threads, which has to have its process to itself.
python() {
  rm -rf build/coverage/python
  mkdir -p build/coverage/python
  "$bin/coverage" run --parallel-mode -m pytest -q -n 4 --dist loadfile --ignore-glob='*/test_wheel.py' \
    --ignore-glob='*/test_editor.py' --ignore-glob='*/test_stub.py' --ignore-glob='*/test_architecture.py' \
    --ignore-glob='*/test_bad_network.py'
  "$bin/coverage" combine --quiet
  "$bin/coverage" html --quiet --directory build/coverage/python
  "$bin/coverage" report --fail-under "$python_branches"
}

[ $# -gt 0 ] || set -- core python
for part; do
  "$part"
done
