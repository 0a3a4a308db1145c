#!/bin/sh
# What #include <llmproc/llmproc.hpp> costs a user, against what any coroutine on Asio costs:
#   sh bench/compile_time.sh
# User CPU seconds, best of ROUNDS (5), with and without optimisation. Fails above a ratio of 1.5.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
compiler=${CXX:-g++}
rounds=${ROUNDS:-5}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/ours.cpp" <<'END'
#include <llmproc/llmproc.hpp>
END
cat >"$folder/sync.cpp" <<'END'
#include <llmproc/sync.hpp>
END
# With the standard headers that the public headers name.
cat >"$folder/base.cpp" <<'END'
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <exception>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>
#include <vector>
END

# seconds FILE FLAG: user CPU time of one compilation.
seconds() {
    ( "$compiler" -std=c++20 "$2" -I"$here/../include" -c "$1" -o /dev/null && times ) |
        sed -n '2s/^\([0-9]*\)m\([0-9.]*\)s.*/\1 \2/p' | awk '{ print $1 * 60 + $2 }'
}

# The three take turns, so that a busy moment meets each of them.
for flag in -O0 -O2; do
    for round in $(seq "$rounds"); do
        for file in base sync ours; do
            echo "$file $(seconds "$folder/$file.cpp" "$flag")"
        done
    done | awk -v flag="$flag" '
        !($1 in best) || $2 < best[$1] { best[$1] = $2 }
        END {
            ratio = best["ours"] / best["base"]
            printf "%s  awaitable.hpp + std %.2f s  sync.hpp %.2f s (%.2f)  llmproc.hpp %.2f s (%.2f, limit 1.50)\n", \
                flag, best["base"], best["sync"], best["sync"] / best["base"], best["ours"], ratio
            exit ratio > 1.5
        }'
done
