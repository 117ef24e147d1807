#!/usr/bin/env bash
# A real Prometheus beside client files that change, reloads that fail, and a storm of SIGHUPs.
#
# Usage: tests/stack/discovery.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
exec python3 "$(dirname "$0")/discovery.py" "$binary"
