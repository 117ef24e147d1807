#!/usr/bin/env bash
# curl, Prometheus and promtool against `--web.config.file`, and a socket that is handed over.
#
# Usage: tests/stack/edge.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
exec python3 "$(dirname "$0")/edge.py" "$binary"
