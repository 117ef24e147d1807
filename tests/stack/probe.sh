#!/usr/bin/env bash
# Tests that a real Prometheus discovers 1,000 targets from /sd and probes them.
#
# Usage: tests/stack/probe.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
exec python3 "$(dirname "$0")/probe.py" "$binary"
