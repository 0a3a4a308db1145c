#include <llmproc/log.hpp>
#include "core/current_context.hpp"
#include "core/fork_guard.hpp"
#include "core/log_line.hpp"

#include <atomic>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace llmproc {

namespace {

std::atomic<LogLevel> minimum_level = LogLevel::warning;

/// The sink, nullptr = standard error. A child inherits it as it was at the fork, so it is replaced
/// as a whole; the lock, which is not inherited, keeps it from being deleted under a reader.
/// Never destroyed: a loop thread may still log while statics die at exit.
using SharedSink = std::shared_ptr<const LogSink>;
constinit std::atomic<const SharedSink*> current_sink{nullptr};
constinit PerProcess<std::mutex> sink_mutex;

SharedSink sink_now() {
    const std::lock_guard lock(sink_mutex.get());
    const SharedSink* const current = current_sink.load(std::memory_order_acquire);
    return current != nullptr ? *current : nullptr;
}

void write_to_stderr(LogLevel level, std::string_view text) {
    std::string line = "llmproc ";
    line.append(to_string(level)).append(": ").append(text).append("\n");
    // One call, so that lines of several threads do not mix.
    std::fwrite(line.data(), 1, line.size(), stderr);
}

/// "name: text [fields]", of which name and fields may be missing.
std::string compose(std::string_view name, std::string_view text) {
    std::string line;
    if (!name.empty()) {
        line.append(name).append(": ");
    }
    line.append(text);
    const std::string fields = current_context_map != nullptr ? current_context_map->log_fields()
                                                              : std::string();
    if (!fields.empty()) {
        line.append(" [").append(fields).append("]");
    }
    for (char& c : line) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            c = ' ';
        }
    }
    return line;
}

void deliver(LogLevel level, std::string_view name, std::string_view text) {
    const std::string line = compose(name, text);
    const SharedSink sink = sink_now();
    if (sink != nullptr) {
        (*sink)(level, line);
    } else {
        write_to_stderr(level, line);
    }
}

void log_named(LogLevel level, std::string_view name, std::string_view text) noexcept {
    if (!log_enabled(level)) {
        return;
    }
    try {
        deliver(level, name, text);
    } catch (...) {  // NOLINT(bugprone-empty-catch): documented at set_log_sink
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
    std::unique_ptr<const SharedSink> next;
    if (sink) {
        next = std::make_unique<const SharedSink>(std::make_shared<const LogSink>(std::move(sink)));
    }
    // The old sink dies after the lock is gone: its destructor may log.
    std::unique_ptr<const SharedSink> previous;
    const std::lock_guard lock(sink_mutex.get());
    previous.reset(current_sink.exchange(next.release(), std::memory_order_acq_rel));
    minimum_level.store(minimum, std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) noexcept {
    return level != LogLevel::off && level >= minimum_level.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, std::string_view text) noexcept {
    log_named(level, std::string_view(), text);
}

void Logger::log(LogLevel level, std::string_view text) const noexcept {
    log_named(level, name_, text);
}

}  // namespace llmproc
