#!/usr/bin/env bash
# Evaluates the jsonnet example of docs/alerts.md and checks the resulting rules with promtool.
#
# Usage: tests/stack/jsonnet.sh      (needs no binary)
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."

# shellcheck source=/dev/null
source .venv/bin/activate
python tests/stack/jsonnet_example.py
