/// @file
/// How the library itself logs.
#pragma once

#include <llmproc/log.hpp>

#include <string_view>

namespace llmproc {

/// Whether a line of that level goes anywhere; asks before a costly text is built.
bool log_enabled(LogLevel level) noexcept;

/// Logs one line, with the log fields of the thread's context as Logger does. Never throws; line
/// breaks become spaces. Name kinds and sizes, never content.
void log_line(LogLevel level, std::string_view text) noexcept;

}  // namespace llmproc
