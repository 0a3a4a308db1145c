#include "process/token_estimate.hpp"

#include "process/process_core.hpp"

#include <cstddef>
#include <cstdint>
#include <mutex>

namespace llmproc {

namespace {

/// The frame that each message has.
constexpr std::int64_t tokens_per_message = 4;

std::int64_t estimate(const Message& message) {
    return tokens_per_message +
           static_cast<std::int64_t>(message.to_json().size()) / bytes_per_token;
}

}  // namespace

TokenCount ProcessCore::estimate_tokens() const {
    History history;
    LastRun last;
    {
        const std::lock_guard lock(mutex_);
        history = history_;
        last = last_run_ ? *last_run_ : LastRun();
    }
    TokenCount count;
    std::size_t first = 0;
    if (last.usage.reported && last.messages > 0) {
        // The last answer becomes input of the next request; its reasoning does not.
        count.source = TokenSource::last_usage;
        count.input_tokens = last.usage.input_tokens + last.usage.output_tokens -
                             last.usage.reasoning_tokens;
        first = last.messages;
    } else if (!settings_->system_prompt.empty()) {
        count.input_tokens = tokens_per_message +
                             static_cast<std::int64_t>(settings_->system_prompt.size()) /
                                 bytes_per_token;
    }
    for (std::size_t i = first; i < history.size(); ++i) {
        count.input_tokens += estimate(*history[i]);
    }
    return count;
}

}  // namespace llmproc
