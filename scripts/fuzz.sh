#!/usr/bin/env bash
# Runs the fuzz targets of tests/fuzz, each for that long; fails on a finding, which is then in build/fuzz/.
#   scripts/fuzz.sh SECONDS [TARGET...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
[ $# -gt 0 ] || set -- client server deflate handshake extension envelope url proxy proxy_url

cmake -S . -B build/fuzz -DWS_FUZZ=ON -DWS_SERVER=OFF -DCMAKE_C_COMPILER=clang-14 >/dev/null
cmake --build build/fuzz >/dev/null
declare -A dictionary=([handshake]=http [extension]=http [client]=http [server]=http [envelope]=json [proxy]=http)
for target; do
  mkdir -p "build/fuzz/corpus/$target"
  options=(-max_total_time="$seconds" -max_len=8192 -timeout=20 -print_final_stats=1
    -artifact_prefix="build/fuzz/$target-")
  [ -z "${dictionary[$target]:-}" ] || options+=(-dict="tests/fuzz/${dictionary[$target]}.dict")
  log=build/fuzz/$target.log
  "build/fuzz/tests/fuzz/fuzz_$target" "${options[@]}" "build/fuzz/corpus/$target" "tests/fuzz/corpus/$target" \
    >"$log" 2>&1 || { tail -n 60 "$log"; echo "fuzz: $target found something, see $log"; exit 1; }
  echo "fuzz: $target: nothing found in $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
done
