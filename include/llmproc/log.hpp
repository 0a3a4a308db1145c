/// @file
/// Where the library's own messages go.
#pragma once

#include <llmproc/export.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc {

/// How urgent a message is; `off` is above all of them.
enum class LogLevel { debug, info, warning, error, off };

/// The level's name, e.g. "warning".
LLMPROC_API std::string_view to_string(LogLevel level) noexcept;

/// Takes one line of text without line break. It holds no key, no prompt and no answer.
using LogSink = std::function<void(LogLevel, std::string_view)>;

/// Sends messages of `minimum` and above to `sink` from now on; an empty sink means standard error.
/// Before the first call it is as after `set_log_sink(LogLevel::warning, nullptr)`.
///
/// Thread safety: may be called at any time; the sink is called on whatever thread has something
/// to say, from several at once, and a call that runs already may outlast its replacement. What a
/// sink throws is dropped on purpose: logging must not change what a call does.
LLMPROC_API void set_log_sink(LogLevel minimum, LogSink sink);

/// Logs under a name: "name: text", followed by the log fields of the thread's context in brackets,
/// e.g. "heartbeat: alive [task=heartbeat trace=7]".
/// Thread safety: all members from any thread.
class LLMPROC_API Logger {
public:
    explicit Logger(std::string name) : name_(std::move(name)) {}

    void debug(std::string_view text) const noexcept { log(LogLevel::debug, text); }
    void info(std::string_view text) const noexcept { log(LogLevel::info, text); }
    void warning(std::string_view text) const noexcept { log(LogLevel::warning, text); }
    void error(std::string_view text) const noexcept { log(LogLevel::error, text); }
    void log(LogLevel level, std::string_view text) const noexcept;
    const std::string& name() const noexcept { return name_; }

private:
    std::string name_;
};

}  // namespace llmproc
