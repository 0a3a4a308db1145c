#include <llmproc/log.hpp>
#include "core/log_line.hpp"

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace llmproc {

namespace {

struct LogState {
    std::atomic<LogLevel> minimum = LogLevel::warning;
    std::mutex mutex;
    std::shared_ptr<const LogSink> sink;  ///< nullptr = standard error.
};

LogState& state() {
    // Never destroyed: a loop thread may still log while statics die at exit.
    static auto* const instance = new LogState;
    return *instance;
}

void write_to_stderr(LogLevel level, std::string_view text) {
    std::string line = "llmproc ";
    line.append(to_string(level)).append(": ").append(text).append("\n");
    // One call, so that lines of several threads do not mix.
    std::fwrite(line.data(), 1, line.size(), stderr);
}

void deliver(LogLevel level, std::string_view text) {
    std::shared_ptr<const LogSink> sink;
    {
        const std::lock_guard<std::mutex> lock(state().mutex);
        sink = state().sink;
    }
    std::string line(text);
    for (char& c : line) {
        if (c == '\n' || c == '\r') {
            c = ' ';
        }
    }
    if (sink != nullptr) {
        (*sink)(level, line);
    } else {
        write_to_stderr(level, line);
    }
}

}  // namespace

std::string_view to_string(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::debug: return "debug";
        case LogLevel::info: return "info";
        case LogLevel::warning: return "warning";
        case LogLevel::error: return "error";
        case LogLevel::off: return "off";
    }
    return "unknown";
}

void set_log_sink(LogLevel minimum, LogSink sink) {
    std::shared_ptr<const LogSink> next;
    if (sink) {
        next = std::make_shared<const LogSink>(std::move(sink));
    }
    const std::lock_guard<std::mutex> lock(state().mutex);
    // The old sink dies with `next`, after the lock is gone: its destructor may log.
    state().sink.swap(next);
    state().minimum.store(minimum, std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) noexcept {
    return level != LogLevel::off && level >= state().minimum.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, std::string_view text) noexcept {
    if (!log_enabled(level)) {
        return;
    }
    try {
        deliver(level, text);
    } catch (...) {  // NOLINT(bugprone-empty-catch): documented at set_log_sink
    }
}

}  // namespace llmproc
