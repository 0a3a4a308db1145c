/// @file
/// Keeps what the library logs while a test runs.
#pragma once

#include <llmproc/log.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::testing {

/// Takes the log from its construction to its destruction; standard error gets nothing meanwhile.
class LogLines {
public:
    LogLines() {
        set_log_sink(LogLevel::debug, [kept = kept_](LogLevel level, std::string_view text) {
            const std::lock_guard lock(kept->mutex);
            kept->lines.emplace_back(level, text);
        });
    }
    LogLines(const LogLines&) = delete;
    LogLines& operator=(const LogLines&) = delete;
    ~LogLines() { set_log_sink(LogLevel::warning, nullptr); }

    /// Lines of that level with that text in them.
    std::size_t count(LogLevel level, std::string_view text) const {
        const std::lock_guard lock(kept_->mutex);
        const auto fits = [&](const auto& line) {
            return line.first == level && line.second.find(text) != std::string::npos;
        };
        const auto found = std::count_if(kept_->lines.begin(), kept_->lines.end(), fits);
        return static_cast<std::size_t>(found);
    }

private:
    /// Outlives a sink that still runs when it is replaced.
    struct Kept {
        std::mutex mutex;
        std::vector<std::pair<LogLevel, std::string>> lines;
    };
    std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

}  // namespace llmproc::testing
