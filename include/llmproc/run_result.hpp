/// @file
/// What a run brought.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/export.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace llmproc {

/// A model that was tried before the one that answered.
struct LLMPROC_API FailedModel {
    FailedModel() = default;

    std::string provider;
    std::string model;
    std::string error;  ///< What its last attempt failed with.
    int attempts = 0;
};

/// How a run went, beside its last answer.
struct LLMPROC_API RunRecord {
    RunRecord() = default;

    std::string provider;      ///< The profile that answered.
    std::string model;         ///< The model that was asked.
    Usage usage;               ///< Of all exchanges.
    std::optional<Cost> cost;  ///< Of all exchanges; none = a price is not known.
    int api_calls = 0;         ///< Exchanges that succeeded.
    int attempts = 0;          ///< Requests, failed ones included.
    std::vector<FailedModel> fallbacks;
    std::chrono::milliseconds duration{0};
};

/// The outcome of `run` or of a stream read to its end. A value.
class LLMPROC_API RunResult {
public:
    RunResult() = default;
    RunResult(ChatReply reply, RunRecord record);

    /// The answer's text.
    const std::string& text() const noexcept { return text_; }
    StopReason stop_reason() const noexcept { return reply_.stop_reason; }
    /// Summed over all requests of the run.
    const Usage& usage() const noexcept { return record_.usage; }
    /// By the program's price table; none = it does not know the model. See docs/costs.md.
    std::optional<Cost> cost() const noexcept { return record_.cost; }
    /// Exchanges with the model that the run consists of; failed attempts do not count.
    int api_calls() const noexcept { return record_.api_calls; }
    /// Tries that the run took, the successful ones included; more than `api_calls` = retries.
    int attempts() const noexcept { return record_.attempts; }
    /// The profile and model that answered: the program's own or a fallback.
    const std::string& provider() const noexcept { return record_.provider; }
    const std::string& model() const noexcept { return record_.model; }
    /// The models that failed before, in order; empty = the program's own answered.
    const std::vector<FailedModel>& fallbacks() const noexcept { return record_.fallbacks; }
    /// Tools that the model wants called; answer them by `run(Message::tool_results(...))`.
    const std::vector<ToolCallBlock>& tool_calls() const noexcept { return tool_calls_; }
    /// Wall time of the whole call.
    std::chrono::milliseconds duration() const noexcept { return record_.duration; }
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
    RunRecord record_;
};

}  // namespace llmproc
