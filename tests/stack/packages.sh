#!/usr/bin/env bash
# Validates each package of deploy/ with its standard tool, then runs its content.
#
# Usage: tests/stack/packages.sh BINARY      (tests/run.sh creates the Python environment)
set -euo pipefail

binary=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
cd "$here/../.."
PATH=$PWD/.venv/bin:$PATH

hadolint deploy/docker/Dockerfile
check-jsonschema --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/{bug,feature}.yml

# systemd checks that the binary exists. Any output of systemd-analyze indicates an error.
unit=deploy/systemd/mqtt-presence-exporter.service
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
sed "s|/usr/local/bin/mqtt-presence-exporter|$binary|" "$unit" >"$work/${unit##*/}"
systemd-analyze verify "$work/${unit##*/}" 2>&1 | tee "$work/said"
[[ ! -s $work/said ]]
# The threshold is ten times the exposure level: 2.0.
systemd-analyze security --offline=true --no-pager --threshold=20 "$unit" | tail -n 1

for suite in container compose service chart debian; do
    # Helm reports each symbolic link to the rules and dashboards.
    python "$here/packages/$suite.py" "$binary" 2> >(grep -v 'found symbolic link' >&2)
done
