#!/usr/bin/env bash
# Tests that a real Prometheus scrapes the demo.
#
# Usage: tests/stack/prometheus.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
exec python3 "$(dirname "$0")/prometheus.py" "$binary"
