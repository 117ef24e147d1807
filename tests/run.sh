#!/usr/bin/env bash
# Runs all tests. Requires Debian and a Rust toolchain. Installs missing tools (Prometheus,
# Alertmanager, Chromium, shells, Python with the Alibaba Cloud SDKs and package validators), then runs
# `cargo test` and, one after the other, the suites of tests/stack, which need real servers and SDKs.
set -euo pipefail
cd "$(dirname "$0")/.."

heading() { printf '\n== %s\n' "$*"; }

as_root() { if ((EUID == 0)); then "$@"; else sudo "$@"; fi; }

heading "Test tools"
packages=()
needs() { packages+=("$1"); }
command -v chromium >/dev/null || needs chromium
command -v chromedriver >/dev/null || needs chromium-driver
command -v curl >/dev/null || needs curl
command -v openssl >/dev/null || needs openssl
command -v htpasswd >/dev/null || needs apache2-utils
command -v prometheus >/dev/null && command -v promtool >/dev/null || needs prometheus
command -v prometheus-alertmanager >/dev/null || needs prometheus-alertmanager
python3 -c 'import ensurepip, venv' 2>/dev/null || needs python3-venv
command -v busybox >/dev/null || needs busybox-static
command -v fish >/dev/null || needs fish
command -v systemd-analyze >/dev/null || needs systemd
command -v zsh >/dev/null || needs zsh
if ((${#packages[@]})); then
    echo "installing ${packages[*]}"
    as_root apt-get -qq update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${packages[@]}"
fi

tests/venv.sh

heading "cargo test"
cargo test

binary=${CARGO_TARGET_DIR:-target}/debug/mqtt-presence-exporter

for suite in tests/stack/*.sh; do
    heading "$suite"
    bash "$suite" "$binary"
done

heading "All tests passed"
