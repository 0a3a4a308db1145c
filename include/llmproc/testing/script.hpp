#pragma once

#include <llmproc/export.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <string_view>

namespace llmproc::testing {

/// The listening part of a script file; see docs/testing.md for the format.
/// Throws std::runtime_error naming the JSON path and the remedy.
LLMPROC_API ServerOptions script_options(std::string_view json);

/// Queues the answers of a script file on a server.
/// Throws std::runtime_error naming the JSON path and the remedy.
LLMPROC_API void apply_script(std::string_view json, ScriptedServer& server);

}  // namespace llmproc::testing
