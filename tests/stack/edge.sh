#!/usr/bin/env bash
# Tests `--web.config.file` and socket activation with curl, Prometheus and promtool.
#
# Usage: tests/stack/edge.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
exec python3 "$(dirname "$0")/edge.py" "$binary"
