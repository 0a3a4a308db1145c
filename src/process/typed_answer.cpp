#include "process/typed_answer.hpp"

#include "core/typed_json.hpp"
#include "process/answer_json.hpp"

#include <cstdint>
#include <string_view>
#include <utility>

namespace llmproc {

namespace {

std::string reask_text(const std::string& problem) {
    return "That answer is not valid: " + problem +
           "\nAnswer again: only the corrected JSON, complete, that follows the same schema.";
}

/// Why an answer that ended so cannot be the value, however it reads; empty = it can.
std::string_view end_problem(StopReason reason) {
    switch (reason) {
        case StopReason::max_tokens:
            return "it was cut off at the output limit; raise parameters.max_tokens";
        case StopReason::tool_use:
            return "the model wants tools called first; run the tools by `run`, then ask for the "
                   "value";
        case StopReason::refusal: return "the model declined to answer";
        case StopReason::content_filter: return "the provider's content policy cut it off";
        case StopReason::pause_turn:
            return "the provider paused the turn for a tool of its own; ask without hosted tools";
        case StopReason::unknown:
        case StopReason::end_turn:
        case StopReason::stop_sequence: break;
    }
    return {};
}

}  // namespace

void TypedRun::prepare(ChatRequest& request) const {
    request.params.response_schema = RawJson::trusted(
        detail::write_schema(*type_.node, detail::SchemaForm::answer)
    );
    request.params.adapt_schemas = true;
}

std::string TypedRun::read(const std::string& text) {
    std::string problem;
    for (const std::string_view json : json_objects_in(text)) {
        std::shared_ptr<void> value = type_.make();
        try {
            detail::read_answer(*type_.node, value.get(), json);
            value_ = std::move(value);
            return {};
        } catch (const LLMError& error) {
            if (problem.empty()) {
                problem = error.message();
            }
        }
    }
    return problem;
}

void TypedRun::fail(const std::string& problem, const ChatReply& reply, const SpendingTotals& spent)
    const {
    std::string text = "the model's answer is not " + detail::described(*type_.node) + ": " +
                       problem;
    if (spent.exchanges > 1) {
        text += "; asked " + std::to_string(spent.exchanges) + " times";
    }
    Diagnostics diagnostics;
    diagnostics.partial_text = reply.text();
    diagnostics.partial_usage = spent.usage;
    throw LLMError(Errc::invalid_answer, text, std::move(diagnostics));
}

bool TypedRun::accepts(const ChatReply& reply, const SpendingTotals& spent, ChatRequest& request) {
    if (const std::string_view end = end_problem(reply.stop_reason); !end.empty()) {
        fail(std::string(end), reply, spent);
    }
    const std::string problem = read(reply.text());
    if (problem.empty()) {
        return true;
    }
    if (static_cast<std::int64_t>(spent.exchanges) > reasks_) {
        fail(problem, reply, spent);
    }
    if (!reply.message.content().empty()) {
        request.add(reply.message);
    }
    request.add(Message::user(reask_text(problem)));
    return false;
}

detail::TypedAnswer TypedRun::finish(RunResult result) {
    return {std::move(value_), std::move(result)};
}

}  // namespace llmproc
