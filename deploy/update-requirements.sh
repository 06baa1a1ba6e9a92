#!/bin/sh
# requirements.txt (with hashes, for pip --require-hashes) and the bill of materials out of requirements.lock.
# Needs uv (pip install uv). Run in an environment that has the pinned packages.
set -eu
cd "$(dirname "$0")/.."
uv pip compile pyproject.toml --quiet --constraint deploy/requirements.lock --python-version 3.11 \
    --python-platform linux --generate-hashes --no-header --no-annotate --output-file deploy/requirements.txt
sed -i '1i # Made of requirements.lock by update-requirements.sh: pip install --require-hashes -r requirements.txt' \
    deploy/requirements.txt
python deploy/make_sbom.py
