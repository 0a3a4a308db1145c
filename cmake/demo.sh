#!/bin/sh
# Builds and runs the demo: sh cmake/demo.sh [program file]
# Without a program file it needs no key, and no network beyond what a missing package takes.
# Builds where cmake/test.sh does.
set -eu

source_dir=$(cd "$(dirname "$0")/.." && pwd)
. "$source_dir/cmake/install_dependencies.sh"

install_dependencies
prepare_build

# The same options as cmake/test.sh, so that both share compiled objects.
cmake -S "$source_dir" -B "$build/demo" -G Ninja \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DLLMPROC_BUILD_TESTS=OFF >"$build/demo.log"
cmake --build "$build/demo" -j "$jobs" --target llmproc_demo
exec "$build/demo/examples/llmproc_demo" "$@"
