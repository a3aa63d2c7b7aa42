#!/usr/bin/env bash
# Makes .venv-dev, installs bytespan there with all that training and development need, and checks everything:
# format, lint, types, tests (the slow ones too), the README's blocks, the wheel. CI runs this very script.
# Needs Python 3.10 or newer and nothing else; another interpreter: PYTHON=python3.12 bash check.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

echo "Installing bytespan[train,inspect,dev] in .venv-dev ..." >&2
"${PYTHON:-python3}" -m venv .venv-dev
PATH="$PWD/.venv-dev/bin:$PATH"
python -m pip install --quiet --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,inspect,dev]'

ruff format --check .
ruff check .
mypy
pytest "$@"
