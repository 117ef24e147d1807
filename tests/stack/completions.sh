#!/usr/bin/env bash
# Tests the completions of fish and zsh. (tests/it/cli/completions.rs tests Bash.)
#
# Usage: tests/stack/completions.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$binary" completions fish >"$work/script.fish"
offered=$(HOME=$work fish --no-config --command "source $work/script.fish; complete --do-complete 'mqtt-presence-exporter simulate --no-q'")
[[ $offered == --no-quotas* ]] || { echo "unexpected completion of fish: $offered" >&2; exit 1; }

# Sourced after compinit, the script registers itself in the table of completions.
"$binary" completions zsh >"$work/_mqtt-presence-exporter"
registered=$(zsh -f -c "autoload -U compinit && compinit -u -d $work/dump && source $work/_mqtt-presence-exporter && print \$_comps[mqtt-presence-exporter]")
[[ $registered == _mqtt-presence-exporter ]] || { echo "unexpected registration in zsh: $registered" >&2; exit 1; }

echo "fish and zsh load their completion scripts"
