#!/usr/bin/env bash
# Tests that the credentials package of Alibaba Cloud and the exporter find the same access keys in the
# same files and environments.
#
# Usage: tests/stack/credentials.sh BINARY      (tests/run.sh creates the Python environment)
set -euo pipefail

binary=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
# All connections of this test are local.
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1
exec "$here/../../.venv/bin/python" "$here/credentials.py" "$binary"
