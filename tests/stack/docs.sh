#!/usr/bin/env bash
# Runs every command and loads every configuration of the documentation, page by page, each in a copy
# of the repository.
#
# Usage: tests/stack/docs.sh BINARY      (tests/run.sh creates the Python environment)
set -euo pipefail

binary=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
PATH=$here/../../.venv/bin:$PATH
# Helm reports each symbolic link to the rules and dashboards.
exec python "$here/docs/run.py" "$binary" 2> >(grep -v 'found symbolic link' >&2)
