#!/usr/bin/env bash
# Takes every number of benches/README.md anew and writes the table there: ten minutes beside the
# builds. It wants a Rust toolchain, Python 3 with `venv`, and a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
binary=$work/mqtt-presence-exporter table=$work/table.md

heading() { printf '\n== %s\n' "$*"; }

# Where that is allowed, what is measured goes before whatever else the machine does.
first=()
[[ $(nice -n -20 nice 2>/dev/null) != -20 ]] || first=(nice -n -20)

# Runs a bench, and keeps the rows that it prints.
measure() {
    heading "$*"
    "${first[@]}" "$@" | tee /dev/stderr | grep '^| ' >>"$table"
}

heading "builds"
tests/venv.sh
cargo bench --no-run
# Benches build the binary too, with features that only tests want; this one is as it is delivered.
cargo build --release
cp "${CARGO_TARGET_DIR:-target}/release/mqtt-presence-exporter" "$binary"

processor=$(sed -n 's/^model name\s*: //p' /proc/cpuinfo | head -1)
memory=$(awk '/^MemTotal/ { printf "%.0f", $2 / 1048576 }' /proc/meminfo)
cat >"$table" <<MACHINE
Taken on $(nproc) cores of a ${processor:-$(uname -m)}, $memory GiB, Linux $(uname -r | cut -d- -f1), $(rustc --version |
    cut -d' ' -f1,2), at a load of $(cut -d' ' -f1 /proc/loadavg).

| what | to reach | here | its reference in the same run | reached |
| --- | --- | --- | --- | --- |
MACHINE
measure .venv/bin/python benches/sweep.py "$binary"
# On one core the caller and its server take turns, and nobody else's work comes between them.
measure taskset --cpu-list 0 cargo bench --bench calls
measure cargo bench --bench rendering
measure cargo bench --bench scrape
measure .venv/bin/python benches/memory.py "$binary"
# Two promises hold always, and not as a rule: no bench, but tests, in paused time and of properties.
cat >>"$table" <<'TESTS'
| false offline, over every fault | 0 | 0: `sweep::faults`, `::batches`, `::stale_cache` in `tests/it` | what the simulator's devices are | held by tests |
| calls arriving in any second, over every stall, retry and restart | ≤ 290 single, ≤ 95 batch | ≤ 265 and ≤ 85: `limits::tests::promises`; `sweep::limits`, `::batches`, `::shards` in `tests/it` | the vendor's block, for each operation: above 300 | held by tests |
TESTS

sed -i -e '/^<!-- begin -->/,/^<!-- end -->/{//!d}' -e "/^<!-- begin -->/r $table" benches/README.md
heading "benches/README.md is up to date"
