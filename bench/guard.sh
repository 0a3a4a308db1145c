#!/bin/sh
# Fails when a call needs more than 10 % more instructions or mallocs than bench/history.csv says:
#   sh bench/guard.sh BUILD_DIR
# BUILD_DIR is an optimised build with LLMPROC_BUILD_BENCH=ON.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${1:?usage: sh bench/guard.sh BUILD_DIR}
if ! grep -q '^CMAKE_BUILD_TYPE:[^=]*=Rel' "$build/CMakeCache.txt"; then
    echo "guard.sh: $build is not an optimised build, its counts say nothing" >&2
    exit 2
fi
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
"$build/bench/llmproc-bench-count" "$build/bench/llmproc-bench-counted-client" now \
    transport async-complete async-run sync-run >"$counts"
# The two threads of sync-run meet each other at different moments: more slack.
awk -F, '
    FNR == NR { if (FNR > 1) { ir[$2 "," $3] = $4; mallocs[$2 "," $3] = $5 } next }
    {
        key = $2 "," $3
        if (!(key in ir)) {
            printf "%-16s not in history.csv, run bench/count.sh\n", $2
            bad = 1
            next
        }
        slack = $2 == "sync-run" ? 1.2 : 1.1
        verdict = "ok"
        if ($4 > ir[key] * slack || $5 > mallocs[key] * slack) { verdict = "TOO MUCH"; bad = 1 }
        printf "%-16s instructions %7d (was %7d)  mallocs %6.1f (was %6.1f)  %s\n", \
            $2, $4, ir[key], $5, mallocs[key], verdict
    }
    END { exit bad }
' "$here/history.csv" "$counts"
