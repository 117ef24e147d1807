#!/usr/bin/env bash
# Makes .venv, the Python environment with the vendor's SDKs, unless it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=tests/stack/requirements.txt
if [[ ! .venv/installed -nt $requirements ]]; then
    echo "installing the vendor's SDKs into .venv"
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --requirement "$requirements"
    touch .venv/installed
fi
