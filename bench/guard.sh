#!/bin/sh
# Fails when a call needs more than 10 % more instructions or mallocs than bench/history.csv says, or
# when one of the goals that can be counted is missed (docs/benchmarks.md, "Transport", "Loop" and
# "Providers"):
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
more_counts=$(mktemp)
trap 'rm -f "$counts" "$more_counts"' EXIT
count() {
    "$build/bench/llmproc-bench-count" "$build/bench/llmproc-bench-counted-client" now "$@"
}
# Two at a time: they count instructions, not seconds.
count curl-easy transport async-complete async-run sync-run connect-full connect-resumed \
    task-await spawn-await run-sync >"$counts" &
calls=$!
count stream-bulk-openai_chat stream-bulk-openai_responses stream-bulk-anthropic \
    stream-bulk-gemini encode-openai_chat:100 encode-openai_responses:100 encode-anthropic:100 \
    encode-gemini:100 >"$more_counts"
wait "$calls"
cat "$more_counts" >>"$counts"
"$build/bench/llmproc-bench-probe" warm | sed 's/^/warm,/; s/ /,/g' >>"$counts"
# The two threads of sync-run and run-sync meet each other at different moments: more slack. Those
# that are not ours are the measure of the goals only.
awk -F, '
    function goal(what, value, limit) {
        verdict = value <= limit ? "ok" : "MISSED"
        if (value > limit) { bad = 1 }
        printf "%-58s %8.2f (at most %8.2f)  %s\n", what, value, limit, verdict
    }
    FNR == NR { if (FNR > 1) { ir[$2 "," $3] = $4; mallocs[$2 "," $3] = $5 } next }
    $1 == "warm" { warm[$2] = $3 + $4 + $5; next }
    {
        now[$2] = $4
        now_mallocs[$2] = $5
        key = $2 "," $3
        if ($2 == "curl-easy" || $2 == "spawn-await") { next }
        if (!(key in ir)) {
            printf "%-28s not in history.csv, run bench/count.sh\n", $2
            bad = 1
            next
        }
        slack = $2 == "sync-run" || $2 == "run-sync" ? 1.2 : 1.1
        verdict = "ok"
        if ($4 > ir[key] * slack || $5 > mallocs[key] * slack) { verdict = "TOO MUCH"; bad = 1 }
        printf "%-28s instructions %7d (was %7d)  mallocs %6.1f (was %6.1f)  %s\n", \
            $2, $4, ir[key], $5, mallocs[key], verdict
    }
    END {
        if (!now["curl-easy"] || !now["connect-full"] || !now["spawn-await"] || \
            !now["stream-bulk-openai_chat"]) {
            print "guard.sh: counts are missing"
            exit 1
        }
        goal("transport: instructions, to libcurl easy", now["transport"] / now["curl-easy"], 0.5)
        goal("transport: mallocs", now_mallocs["transport"], 30)
        for (kind in now) {
            if (kind ~ /^stream-bulk-/) {
                goal(kind ": instructions per token", now[kind], 10000)
                goal(kind ": mallocs per token", now_mallocs[kind], 4)
            }
        }
        goal("resumed connect: instructions, to a full one", \
            now["connect-resumed"] / now["connect-full"], 0.6)
        goal("create_task and await: instructions, to co_spawn", \
            now["task-await"] / now["spawn-await"], 2)
        if (!("second" in warm) || !("other" in warm) || warm["first"] != 3) {
            print "guard.sh: the warm pool was not measured"
            bad = 1
        }
        goal("warm pool: set-up work of the second call", warm["second"], 0)
        goal("warm pool: set-up work of another client", warm["other"], 0)
        exit bad
    }
' "$here/history.csv" "$counts"
