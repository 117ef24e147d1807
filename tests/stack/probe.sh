#!/usr/bin/env bash
# A real Prometheus discovers a thousand targets from /sd and probes them.
#
# Usage: tests/stack/probe.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
exec python3 "$(dirname "$0")/probe.py" "$binary"
