#!/usr/bin/env bash
# What fish offers, and whether zsh takes its script. (Bash is asked in tests/it/cli/completions.rs.)
#
# Usage: tests/stack/completions.sh BINARY
set -euo pipefail

binary=$(realpath "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$binary" completions fish >"$work/script.fish"
offered=$(HOME=$work fish --no-config --command "source $work/script.fish; complete --do-complete 'mqtt-presence-exporter simulate --no-q'")
[[ $offered == --no-quotas* ]] || { echo "fish offers: $offered" >&2; exit 1; }

# Sourced after compinit it registers itself; then it stands in the table of completions.
"$binary" completions zsh >"$work/_mqtt-presence-exporter"
registered=$(zsh -f -c "autoload -U compinit && compinit -u -d $work/dump && source $work/_mqtt-presence-exporter && print \$_comps[mqtt-presence-exporter]")
[[ $registered == _mqtt-presence-exporter ]] || { echo "zsh has: $registered" >&2; exit 1; }

echo "fish completes, zsh takes its script"
