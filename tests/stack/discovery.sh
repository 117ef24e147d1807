#!/usr/bin/env bash
# Tests changing client files, failing reloads and many SIGHUPs with a real Prometheus.
#
# Usage: tests/stack/discovery.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
exec python3 "$(dirname "$0")/discovery.py" "$binary"
