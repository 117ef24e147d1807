#!/usr/bin/env bash
# The vendor's own credentials package and the exporter find the same keys in the same files and
# environments.
#
# Usage: tests/stack/credentials.sh BINARY      (tests/run.sh has made the Python environment)
set -euo pipefail

binary=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
# Everything here talks to this host.
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
exec "$here/../../.venv/bin/python" "$here/credentials.py" "$binary"
