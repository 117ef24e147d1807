#!/usr/bin/env bash
# Checks rules and sample configurations with promtool and amtool, runs the unit tests of the rules,
# tests routes and templates of notifications, and tests the whole stack from a disconnecting device to the notification.
#
# Usage: tests/stack/alerts.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
cd "$here/../../prometheus"

promtool check rules --lint=all --lint-fatal rules/*.yaml
promtool check config prometheus.yaml
amtool check-config alertmanager*.yaml
promtool test rules tests/*.yaml
python3 "$here/notifications.py"
python3 "$here/alerts.py" "$binary"
