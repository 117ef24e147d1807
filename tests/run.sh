#!/usr/bin/env bash
# Runs the tests, in three tiers:
#
#   unit    the tests in src, and the examples of the documentation comments
#   it      tests/it and tests/size.rs: the program over real sockets, with the simulator
#   stack   tests/stack: real servers, shells, a browser, the Alibaba Cloud SDKs and the packages of deploy
#
# Usage: tests/run.sh [unit] [it] [stack]      (without arguments: all)
#
# Requires Debian and a Rust toolchain. Installs missing tools, each only for the tier that needs it. All
# tiers share one build. Suites of `stack` run side by side, as many as TEST_JOBS (default: number of
# cores); their output is printed when they end.
set -euo pipefail
cd "$(dirname "$0")/.."

(($#)) || set -- unit it stack
for tier in "$@"; do
    [[ $tier =~ ^(unit|it|stack)$ ]] || { echo "unknown tier \`$tier\`: use unit, it or stack" >&2; exit 64; }
done
chosen() { [[ " $tiers " == *" $1 "* ]]; }
tiers=$*

heading() { printf '\n== %s\n' "$*"; }

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

packages=()
needs() { packages+=("$1"); }
if chosen it; then
    command -v chromium >/dev/null || needs chromium
    command -v chromedriver >/dev/null || needs chromium-driver
fi
if chosen stack; then
    command -v curl >/dev/null || needs curl
    command -v openssl >/dev/null || needs openssl
    command -v prometheus >/dev/null && command -v promtool >/dev/null || needs prometheus
    python3 -c 'import ensurepip, venv' 2>/dev/null || needs python3-venv
    command -v htpasswd >/dev/null || needs apache2-utils
    command -v prometheus-alertmanager >/dev/null || needs prometheus-alertmanager
    command -v busybox >/dev/null || needs busybox-static
    command -v fish >/dev/null || needs fish
    command -v systemd-analyze >/dev/null || needs systemd
    command -v zsh >/dev/null || needs zsh
    command -v node >/dev/null || needs nodejs
    command -v adduser >/dev/null || [[ -x /usr/sbin/adduser ]] || needs adduser
    command -v dpkg-shlibdeps >/dev/null || needs dpkg-dev
    command -v lintian >/dev/null || needs lintian
fi
if ((${#packages[@]})); then
    heading "Test tools"
    echo "installing ${packages[*]}"
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${packages[@]}"
fi

# Runs the cargo command and reports how long it took.
timed() {
    local begin=$SECONDS
    heading "$1"
    "${@:2}"
    echo "-- $1: $((SECONDS - begin)) s"
}

# The tiers of cargo, in one build. `--test it` also builds the binary, which `stack` uses.
if chosen unit && chosen it; then
    timed "build" cargo test --no-run
elif chosen unit; then
    timed "build" cargo test --no-run --lib --bins
else
    timed "build" cargo test --no-run --test it --test size
fi
if chosen unit; then
    timed "unit" cargo test --lib --bins
    timed "examples" cargo test --doc
fi
if chosen it; then
    timed "it" cargo test --test it --test size
fi

# Runs a suite and prints its output as one block.
suite() {
    local begin=$SECONDS output result=0
    output=$(bash "$1" "$binary" 2>&1) || result=$?
    printf '\n== %s\n%s\n-- %s: %s s\n' "$1" "$output" "$1" "$((SECONDS - begin))"
    return "$result"
}

if chosen stack; then
    tests/venv.sh
    export binary=${CARGO_TARGET_DIR:-target}/debug/mqtt-presence-exporter
    export -f suite
    # edge floods its exporter with connections: it runs alone.
    printf '%s\0' tests/stack/*.sh | grep --null-data --invert-match /edge.sh |
        xargs --null --max-args=1 --max-procs="${TEST_JOBS:-$(nproc)}" bash -c 'suite "$1"' suite
    suite tests/stack/edge.sh
fi

heading "All tests passed: $tiers"
