#!/bin/sh
# Lints the workflows without asking the network anything. Part of `make check`.
set -eu
cd "$(dirname -- "$0")/.."

echo ".venv/bin/zizmor --offline .github"
.venv/bin/zizmor --offline --quiet --persona=pedantic .github

if [ -x .tools/bin/actionlint ]; then
    echo ".tools/bin/actionlint"
    # shellcheck and pyflakes are off: whether a machine has them must not decide whether the check passes.
    .tools/bin/actionlint -shellcheck= -pyflakes= .github/workflows/*.yml
else
    echo "actionlint: SKIPPED - it is built with Go, and there is no usable Go on PATH. The workflows are not checked by it."
fi
