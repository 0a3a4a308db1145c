/// @file
/// What a run brought.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/export.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace llmproc {

/// The outcome of `run` or of a stream read to its end. A value.
class LLMPROC_API RunResult {
public:
    RunResult() = default;
    RunResult(ChatReply reply, int attempts, std::chrono::milliseconds duration);

    /// The answer's text.
    const std::string& text() const noexcept { return text_; }
    StopReason stop_reason() const noexcept { return reply_.stop_reason; }
    /// Summed over all requests of the run.
    const Usage& usage() const noexcept { return reply_.usage; }
    /// Exchanges with the model that the run consists of; failed attempts do not count.
    int api_calls() const noexcept { return api_calls_; }
    /// Tries that the run took, the successful ones included; more than `api_calls` = retries.
    int attempts() const noexcept { return attempts_; }
    /// Tools that the model wants called; answer them by `run(Message::tool_results(...))`.
    const std::vector<ToolCallBlock>& tool_calls() const noexcept { return tool_calls_; }
    /// Wall time of the whole call.
    std::chrono::milliseconds duration() const noexcept { return duration_; }
    /// The provider's id of the last request, for its support; empty if it gave none.
    const std::string& request_id() const noexcept { return reply_.request_id; }
    /// The assistant's message as it stands in the conversation.
    const Message& message() const noexcept { return reply_.message; }
    /// The whole last answer.
    const ChatReply& reply() const noexcept { return reply_; }

private:
    ChatReply reply_;
    std::string text_;
    std::vector<ToolCallBlock> tool_calls_;
    int api_calls_ = 0;
    int attempts_ = 0;
    std::chrono::milliseconds duration_{0};
};

}  // namespace llmproc
