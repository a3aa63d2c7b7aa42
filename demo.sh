#!/usr/bin/env bash
# Makes .venv, installs bytespan there (for tagging only: no torch), and tags a text in eighteen languages.
# Needs Python 3.10 or newer and nothing else; another interpreter: PYTHON=python3.12 bash demo.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

echo "Installing bytespan in .venv ..." >&2
"${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check .

# Colour even where the output is captured, unless the user wants none.
[ -n "${NO_COLOR:-}" ] || export FORCE_COLOR=1
.venv/bin/bytespan tag examples/languages.txt
