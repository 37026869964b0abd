#!/bin/sh
# Pins requirements.in into requirements.txt for Python 3.11 and newer on all platforms, with the hashes of every file of
# each release and without the address of any registry. Versions already pinned stay; `make requirements` with
# UPGRADE=--upgrade takes the newest instead.
set -eu
cd "$(dirname -- "$0")/.."
if [ ! -x .tools/uv/bin/uv ]; then
    .venv/bin/python -m venv .tools/uv
    .tools/uv/bin/pip install --quiet --disable-pip-version-check uv==0.13.9
fi
.tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 ${UPGRADE:-} \
    --generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --custom-compile-command "make requirements" \
    requirements.in --output-file requirements.txt
