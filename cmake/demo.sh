#!/bin/sh
# Builds and runs the demo: sh cmake/demo.sh [program file]
# Without a program file it talks to a server of its own, or to OpenAI if OPENAI_API_KEY is set
# (examples/demo.toml; unset the variable to stay local).
# Builds where cmake/test.sh does.
set -eu

source_dir=$(cd "$(dirname "$0")/.." && pwd)
. "$source_dir/cmake/install_dependencies.sh"

install_dependencies
prepare_build

# The same options as cmake/test.sh, so that both share compiled objects.
cmake --fresh -S "$source_dir" -B "$build/demo" -G Ninja \
    -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS_DEBUG=-O0 -DLLMPROC_BUILD_TESTS=OFF >"$build/demo.log"
cmake --build "$build/demo" -j "$jobs" --target llmproc_demo
if [ $# -eq 0 ] && [ -n "${OPENAI_API_KEY:-}" ]; then
    echo "OPENAI_API_KEY is set, so this asks OpenAI as examples/demo.toml says."
    set -- "$source_dir/examples/demo.toml"
fi
exec "$build/demo/examples/llmproc_demo" "$@"
