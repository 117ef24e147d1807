#!/usr/bin/env bash
# Fuzzes every target for 60 s, or for SECONDS, starting with its seeds.
#
# Usage: fuzz/run.sh [SECONDS] [TARGET…]
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
targets=("${@:2}")
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
# Enables the sanitizers, an unstable feature, with the stable compiler.
export RUSTC_BOOTSTRAP=1

((${#targets[@]})) || mapfile -t targets < <(cargo fuzz list)
for target in "${targets[@]}"; do
    printf '\n== %s\n' "$target"
    mkdir -p "fuzz/corpus/$target"
    seeds=("fuzz/seeds/$target")
    [[ -d ${seeds[0]} ]] || seeds=()
    cargo fuzz run "$target" "fuzz/corpus/$target" "${seeds[@]}" -- -max_total_time="$seconds" -print_final_stats=1
done
