#!/usr/bin/env bash
# Tests the simulator and the signatures with the Alibaba Cloud SDKs: the SDKs call the simulator, and
# their signing code verifies the requests of the exporter.
#
# Usage: tests/stack/sdk.sh BINARY      (tests/run.sh creates the Python environment)
set -euo pipefail

binary=$(realpath "$1")
here=$(dirname "$(realpath "$0")")
python=$here/../../.venv/bin/python
work=$(mktemp -d)
running=()

stop() {
    for process in "${running[@]}"; do
        kill "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    running=()
}
trap 'stop; rm -rf "$work"' EXIT

# Waits until a command succeeds; fails after 20 s or if a server has ended.
await() {
    for _ in {1..200}; do
        ! "$@" || return 0
        for process in "${running[@]}"; do
            kill -0 "$process" 2>/dev/null || { echo "a server has ended unexpectedly" >&2; return 1; }
        done
        sleep 0.1
    done
    echo "timed out: $*" >&2
    return 1
}

simulate() {
    : >"$work/announcement.json"
    "$binary" simulate --web.listen-address=127.0.0.1:0 --clients=60 >>"$work/announcement.json" &
    running+=($!)
    await grep --quiet '}$' "$work/announcement.json"
    endpoint=$("$python" -c 'import json, sys; print(json.load(sys.stdin)["endpoint"])' <"$work/announcement.json")
}

# Succeeds if the simulator has received at least $1 requests of the exporter.
captured() {
    curl --silent --show-error --fail "$endpoint/_simulator/requests" >"$work/requests.json"
    (($(grep --only-matching '"user-agent","mqtt-presence-exporter/' "$work/requests.json" | wc --lines) >= $1))
}

# All connections of this test are local.
export no_proxy=127.0.0.1 NO_PROXY=127.0.0.1

simulate
"$python" "$here/sdk_client.py" "$work/announcement.json"
stop

for version in V3 V2; do
    simulate
    # Some client IDs require encoding. JSON is valid YAML.
    "$python" - "$work" "${version,,}" <<'CONFIG'
import json, sys

work, signature = sys.argv[1:]
with open(f"{work}/announcement.json", encoding="utf-8") as file:
    announced = json.load(file)
instance = announced["instance_ids"][0]
access_key = {key: announced[key] for key in ("access_key_id", "access_key_secret")}
config = {
    "api": {"signature": signature},
    "credentials": {"type": "access_key", **access_key},
    "instances": [{
        "id": instance,
        "region": announced["region"],
        "endpoint": announced["endpoint"],
        "clients": [announced["clients"][instance][0], "GID_test@0001", "GID_test@@@pümp*+~%&=/"],
    }],
}
with open(f"{work}/config.yaml", "w", encoding="utf-8") as file:
    json.dump(config, file)
CONFIG
    # The exporter queries each client once at start.
    "$binary" serve --config.file="$work/config.yaml" --web.listen-address=127.0.0.1:0 --log.level=error &
    running+=($!)
    await captured 3
    stop
    "$python" "$here/sdk_signing.py" "$work/announcement.json" "$work/requests.json" "$version"
done
