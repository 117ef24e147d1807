#!/usr/bin/env bash
# Holds the simulator and our signatures to the vendor's own SDKs: they call the simulator, and
# their signing code checks what the exporter sent.
#
# Usage: tests/stack/sdk.sh BINARY      (tests/run.sh has made the Python environment)
set -euo pipefail

binary=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
# Everything here talks to this host.
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
exec "$here/../../.venv/bin/python" "$here/sdk.py" "$binary"
