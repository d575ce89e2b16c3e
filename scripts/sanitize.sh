#!/usr/bin/env bash
# The tests again, with something watching the native code. Everything is built in build/sanitize, .venv is left as it is.
#   scripts/sanitize.sh [PART...]    all parts, where none is named
#     c-address       the C tests under ASan (with leaks) and UBSan
#     c-thread        the C tests under TSan
#     memcheck        the C tests under valgrind
#     python-address  the Python tests of the native code; module, library and server built with ASan and UBSan
#     python-thread   those of them with threads, built with TSan
#     quick           what `make test` runs: c-address, and of c-thread and python-address what says most in least time
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
export CMAKE_BUILD_PARALLEL_LEVEL=${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}

# In the Python files left out no native code of ours runs: architecture, certificates, codec, compliance, editor, models,
# options_page, stub; or another build of it than this one: wheel. demo and docs only start again what c_api and cli start.
address_tests=(aio aio_callbacks aio_cancel aio_loop async_ws_client background bad_network big_messages c_api c_options
  cli closing compression connection drivers events exceptions fault_proxy fork frames free_threading handle http interrupted
  keepalive keeper log options peers phases proxies queue quick reconnect reconnect_hooks reverse_proxies route
  second_opinion secrets server server_tls started stats testing tls tls_stream ws_client)
thread_tests=(aio aio_callbacks aio_cancel aio_loop async_ws_client background bad_network big_messages c_api c_options
  closing compression connection drivers events fork frames free_threading http interrupted keepalive keeper log peers phases
  proxies queue reconnect reconnect_hooks reverse_proxies route started stats tls tls_stream ws_client)
quick_tests=(c_api compression connection tls_stream)
# A program that links libwsclient.a here would have to be linked to the sanitizer, too; and the memory that a process has is
# the sanitizer's for the most part.
left_out=(--deselect tests/test_c_api.py::test_a_c_program_links_statically
  --deselect tests/test_bad_network.py::test_broken_openings_leave_no_memory
  --deselect tests/test_aio_loop.py::test_an_idle_connection_gives_memory_back)
# Where Python ends a thread in the midst of our code (pthread_exit), ASan stumbles over a variable of its own.
falls_off=tests/test_background.py::test_a_program_that_falls_off_its_end_exits
ended_in_a_callback="{'on_message': lambda c, m: time.sleep(2.05)}-time.sleep(0.05)"
address_left_out=(--deselect "$falls_off[plain-$ended_in_a_callback]" --deselect "$falls_off[tls-$ended_in_a_callback]")
# TSan ends where the first thread of a child of fork has the address of one of its parent's.
thread_left_out=(--deselect tests/test_background.py::test_a_child_of_fork_begins_anew
  --deselect tests/test_fork.py::test_the_childs_copy_is_closed_and_the_parents_goes_on)

c_tests_with_threads='^test_(conn|io_thread|keeper|resolve|session|sys)'

# A child of fork may start threads here, and TSan then watches on.
export TSAN_OPTIONS=die_after_fork=0:suppressions=$here/tests/tsan.supp
# TSan cannot run where addresses are laid out too randomly (vm.mmap_rnd_bits over 28).
fixed=()
if setarch -R true 2>/dev/null; then fixed=(setarch -R); fi

# build address|thread [CMAKE-OPTION...]
build() {
  local tree=build/sanitize/$1 flags=${1/address/address,undefined}
  cmake -S . -B "$tree" -DWS_TESTS=ON -DWS_SANITIZE="$flags" -DCMAKE_BUILD_TYPE=Debug "${@:2}" >/dev/null
  cmake --build "$tree" >/dev/null
}

# c_tests address|thread [CTEST-OPTION...]
c_tests() {
  build "$1" -DWS_PYTHON=OFF
  "${fixed[@]}" ctest --test-dir "build/sanitize/$1" --output-on-failure --no-tests=error "${@:2}"
}

# The package beside the build: the Python files as they are, the module as it was built.
make_package() {
  build "$1" -DWS_PYTHON=ON -DPython_EXECUTABLE="$here/.venv/bin/python" \
    -Dpybind11_DIR="$(.venv/bin/python -m pybind11 --cmakedir)"
  rm -rf "build/sanitize/$1/package"
  cmake --install "build/sanitize/$1" --component python --prefix "build/sanitize/$1/package" >/dev/null
  cp -r python/wsclient "build/sanitize/$1/package/"
}

# The server as the tests start it: nothing preloaded, and its leaks are looked for, which Python has at its end.
make_server() {
  cat >"build/sanitize/$1/ws_server" <<END
#!/bin/sh
unset LD_PRELOAD
ASAN_OPTIONS=\${ASAN_OPTIONS%:detect_leaks=0} exec "$here/build/sanitize/$1/bin/ws_server" "\$@"
END
  chmod +x "build/sanitize/$1/ws_server"
}

# What the sanitizers wrote fails the part, in whichever process it was.
no_reports() {
  local found=("$1"/*)
  [ -e "${found[0]}" ] || return 0
  cat "${found[@]}"
  return 1
}

# python_tests address|thread TEST...: the sanitizer's library comes before Python, and into all that Python starts.
python_tests() {
  local tree=$here/build/sanitize/$1 files=("${@:2}") status=0
  make_package "$1"
  make_server "$1"
  rm -rf "$tree/reports" && mkdir "$tree/reports"
  local out=("${left_out[@]}")
  [ "$1" = thread ] && out+=("${thread_left_out[@]}") || out+=("${address_left_out[@]}")
  local log=log_path=$tree/reports/report
  local watched=("${fixed[@]}" env NSS_WRAPPER_DISABLE_DEEPBIND=1 # which no sanitizer bears
    LD_PRELOAD="$(gcc -print-file-name="lib${1:0:1}san.so") $(gcc -print-file-name=libstdc++.so.6)"
    ASAN_OPTIONS="$log:detect_leaks=0" UBSAN_OPTIONS="$log:print_stacktrace=1" TSAN_OPTIONS="$log:$TSAN_OPTIONS"
    PYTHONPATH="$tree/package" WS_SERVER_BIN="$tree/ws_server" WS_LIBRARIES="$tree/bin" .venv/bin/python)
  "${watched[@]}" -c "import wsclient._core as core; assert core.__file__.startswith('$tree/'), core.__file__"
  "${watched[@]}" -m pytest -q -p no:cacheprovider "${out[@]}" "${files[@]/%/.py}" || status=$?
  no_reports "$tree/reports" && return "$status"
}

# The C tests, two at a time.
memcheck() {
  cmake -S . -B build -DWS_TESTS=ON >/dev/null
  cmake --build build >/dev/null
  mkdir -p build/sanitize/memcheck
  printf '%s\n' tests/c/test_*.c | xargs -P 2 -I {} sh -c '
    name=$(basename {} .c) log=build/sanitize/memcheck/$(basename {} .c).log
    valgrind -q --suppressions=tests/valgrind.supp --leak-check=full --show-leak-kinds=definite,indirect,possible \
      --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=99 "build/tests/c/$name" >"$log" 2>&1 ||
      { cat "$log"; echo "memcheck: $name failed"; exit 1; }'
}

[ $# -gt 0 ] || set -- c-address c-thread memcheck python-address python-thread
for part; do
  echo "sanitize: $part"
  case $part in
  c-address) c_tests address ;;
  c-thread) c_tests thread ;;
  memcheck) memcheck ;;
  python-address) python_tests address "${address_tests[@]/#/tests/test_}" ;;
  python-thread) python_tests thread "${thread_tests[@]/#/tests/test_}" ;;
  quick)
    c_tests address
    c_tests thread -R "$c_tests_with_threads"
    python_tests address "${quick_tests[@]/#/tests/test_}"
    ;;
  *) echo "sanitize: no part $part" >&2 && exit 2 ;;
  esac
done
