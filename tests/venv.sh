#!/usr/bin/env bash
# Makes .venv, the Python environment with the vendor's SDKs and the tools that know packages, unless
# it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

requirements=tests/stack/requirements.txt
if [[ ! .venv/installed -nt $requirements ]]; then
    echo "installing the vendor's SDKs and the tools that know packages into .venv"
    python3 -m venv .venv
    .venv/bin/pip install --quiet --disable-pip-version-check --requirement "$requirements"
    touch .venv/installed
fi
