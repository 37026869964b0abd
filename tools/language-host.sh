#!/bin/sh
# Starts the Python language host built by `make setup` with the checkout's virtual environment.
# That host belongs to an older SDK and learns the environment from a flag, which the present engine no longer passes:
# without it the host would take whatever `python3` comes first on PATH. Installed as .tools/bin/pulumi-language-python.
set -eu
tools=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd -P)
exec "$tools/libexec/pulumi-language-python" -virtualenv "$tools/../.venv" "$@"
