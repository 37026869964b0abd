#!/bin/sh
# Finds a Python that is new enough and hands over to setup.py. PYTHON=/path/to/python chooses one.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14 python}; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        exec "$candidate" "$here/setup.py" "$@"
    fi
done
echo "set-up: no Python 3.11 or newer found (looked for: ${PYTHON:-python3, python3.11 to python3.14})." >&2
echo "        Install one, or say where it is: make PYTHON=/path/to/python3.12 ..." >&2
exit 1
