#!/usr/bin/env bash
# Holds each package of deploy/ to the tool that knows its kind, then runs what is in it.
#
# Usage: tests/stack/packages.sh BINARY      (tests/run.sh has made the Python environment)
set -euo pipefail

binary=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
cd "$here/../.."
PATH=$PWD/.venv/bin:$PATH

hadolint deploy/docker/Dockerfile
check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/compose.yaml

# systemd looks whether the binary is there. Whatever it says is about a mistake, whether it calls it one or not.
unit=deploy/systemd/mqtt-presence-exporter.service
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed "s|/usr/local/bin/mqtt-presence-exporter|$binary|" "$unit" >"$work/${unit##*/}"
systemd-analyze verify "$work/${unit##*/}" 2>&1 | tee "$work/said"
[[ ! -s $work/said ]]
# The threshold is ten times the exposure: 2.0.
systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" | tail -n 1

for suite in container compose service chart; do
    # Helm tells of each link that it follows to the rules and dashboards.
    python "$here/packages/$suite.py" "$binary" 2> >(grep -v 'found symbolic link' >&2)
done
