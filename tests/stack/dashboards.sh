#!/usr/bin/env bash
# Runs every query of the dashboards on a real Prometheus with hours of history.
#
# Usage: tests/stack/dashboards.sh      (needs no binary)
set -euo pipefail

python3 "$(dirname "$(realpath "$0")")/dashboards.py"
