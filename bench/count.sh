#!/bin/sh
# Appends instructions and mallocs per call of this commit to bench/history.csv:
#   sh bench/count.sh BUILD_DIR
# Run it on an optimised build (preset release) before committing a change of the library.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:?usage: sh bench/count.sh BUILD_DIR}
label=$(git -C "$here" describe --always --dirty=+ 2>/dev/null || echo first)
"$build/bench/llmproc-bench-count" "$build/bench/llmproc-bench-counted-client" "$label" |
    tee -a "$here/history.csv"
