#!/bin/sh
# Builds everything and runs the tests: sh cmake/test.sh [CMake options]
# Installs on Debian and Ubuntu what is missing. Builds in LLMPROC_BUILD_DIR, by default in the
# user's cache folder, never in the source folder.
set -eu

source_dir=$(cd "$(dirname "$0")/.." && pwd)
. "$source_dir/cmake/install_dependencies.sh"

install_dependencies
install_peers
prepare_build

# --fresh: the compiler and the options are those of this call, not of an earlier one.
# Unoptimised and without debug information: the fastest to compile.
cmake --fresh -S "$source_dir" -B "$build/test" -G Ninja \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DLLMPROC_JOIN_TESTS=ON "$@"
cmake --build "$build/test" -j "$jobs"
exec ctest --test-dir "$build/test" -j "$test_jobs" --output-on-failure --no-tests=error
