#!/usr/bin/env bash
# The Python tests on other Pythons than that of .venv, each with an environment of its own in build/pythons.
#   scripts/pythons.sh [VERSION...]    of 3.10, 3.12, 3.13 and 3.13t; where none is named, all that are to be had
# An interpreter is the one that PYTHON_3_13 names, or PYTHON_3_13T and the like; else one on PATH or of pyenv. 3.13t, which
# few systems have, is built from Debian's source if there is none: 4 minutes, once. TESTS are pytest's arguments.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
cache=$here/build/pythons
read -ra tests <<<"${TESTS:-}"

# These look at the tree or at tools of .venv, not at the package.
about_the_tree=(architecture benchmarks compliance demo docs editor options_page soak stub wheel)

runs() { [ -n "$1" ] && "$1" -c '' 2>/dev/null; }

# Prints an interpreter of the version.
find_python() {
  local named=PYTHON_${1//./_} candidate
  named=${named^^}
  for candidate in "${!named:-}" "$(command -v "python$1" || true)" \
    "$(pyenv root 2>/dev/null)"/versions/"$1"*/bin/"python$1" "$cache/cpython-$1/bin/python$1"; do
    if runs "$candidate"; then
      echo "$candidate"
      return
    fi
  done
  [ "$1" = 3.13t ] && build_free_threaded >&2 && echo "$cache/cpython-3.13t/bin/python3.13t"
}

# From Debian's next release, with a list of sources of its own: the system's are left alone.
build_free_threaded() {
  command -v apt-get >/dev/null || return 1
  echo "pythons: building 3.13t"
  local work=$cache/source lists=$cache/source/lists mirror
  mirror=$(grep -rhoE 'https?://[^ ]+/debian/?( |$)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | head -1)
  mkdir -p "$lists/partial"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror:-http://deb.debian.org/debian} trixie main" \
    >"$work/sources.list"
  local apt=(apt-get -qq -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
    -o "Dir::State::lists=$lists" -o "APT::Sandbox::User=$(id -un)")
  "${apt[@]}" update && (cd "$work" && "${apt[@]}" source --download-only python3.13) || return 1
  tar -C "$work" -xf "$work"/python3.13_*.orig.tar.xz
  (cd "$work"/Python-3.13.* && ./configure --prefix="$cache/cpython-3.13t" --disable-gil --disable-test-modules &&
    make -j"$(nproc)" && make install) >"$work/log" 2>&1 || { tail "$work/log"; return 1; }
  rm -rf "$work"
}

# Prints what the tests need, one a line.
requirements() {
  sed -n '/^test = \[/,/^\]/s/^  "\(.*\)",$/\1/p' pyproject.toml
}

# make_environment VERSION INTERPRETER: where packages have no wheels for free threading, what needs them is skipped.
make_environment() {
  local pip=$cache/$1/bin/pip package
  [ -x "$pip" ] || "$2" -m venv "$cache/$1"
  "$pip" install --quiet scikit-build-core pybind11
  if [ "${1%t}" = "$1" ]; then
    "$pip" install --quiet --no-build-isolation '.[cli,test]'
    return
  fi
  "$pip" install --quiet --no-deps --no-build-isolation .
  while read -r package; do
    "$pip" install --quiet --only-binary :all: "$package" 2>/dev/null || echo "pythons: $1 has no $package"
  done < <(requirements)
}

# As `make pytest` does, unless TESTS says otherwise.
run_tests() {
  local gil=() ignored=(--ignore=tests/test_bad_network.py) name
  [ "${1%t}" = "$1" ] || gil=(PYTHON_GIL=0) # whatever the tests import
  local run=(env "${gil[@]}" "$cache/$1/bin/python" -m pytest -q -p no:cacheprovider)
  if [ "${#tests[@]}" != 0 ]; then
    "${run[@]}" "${tests[@]}"
    return
  fi
  for name in "${about_the_tree[@]}"; do ignored+=("--ignore=tests/test_$name.py"); done
  "${run[@]}" -n 4 --dist loadfile "${ignored[@]}" && "${run[@]}" tests/test_bad_network.py
}

status=0
for version in "${@:-3.10 3.12 3.13 3.13t}"; do
  for one in $version; do
    if ! interpreter=$(find_python "$one"); then
      echo "pythons: there is no $one here"
      [ $# = 0 ] || status=1
      continue
    fi
    echo "pythons: $one is $interpreter"
    make_environment "$one" "$interpreter"
    run_tests "$one" || status=1
  done
done
exit $status
