#!/usr/bin/env bash
# Creates .venv, the Python environment with the Alibaba Cloud SDKs and package validators, if it does
# not exist or is out of date.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=tests/stack/requirements.txt
if [[ ! .venv/installed -nt $requirements ]]; then
    echo "installing the Alibaba Cloud SDKs and package validators into .venv"
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --requirement "$requirements"
    touch .venv/installed
fi
