#include "process/typed_answer.hpp"

#include "core/typed_json.hpp"
#include "process/answer_json.hpp"

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

void TypedRun::fail(const std::string& problem, const ChatReply& reply) const {
    std::string text = "the model's answer is not " + detail::described(*type_.node) + ": " +
                       problem;
    if (earlier_.api_calls > 0) {
        text += "; asked " + std::to_string(earlier_.api_calls + 1) + " times";
    }
    Diagnostics diagnostics;
    diagnostics.partial_text = reply.text();
    diagnostics.partial_usage = reply.usage;
    *diagnostics.partial_usage += earlier_.usage;
    throw LLMError(Errc::invalid_answer, text, std::move(diagnostics));
}

bool TypedRun::accepts(const ChatReply& reply, const Diagnostics& note, ChatRequest& request) {
    if (const std::string_view end = end_problem(reply.stop_reason); !end.empty()) {
        fail(std::string(end), reply);
    }
    const std::string problem = read(reply.text());
    if (problem.empty()) {
        return true;
    }
    if (earlier_.api_calls >= reasks_) {
        fail(problem, reply);
    }
    earlier_.usage += reply.usage;
    earlier_.api_calls += 1;
    earlier_.attempts += note.attempts;
    if (!reply.message.content().empty()) {
        request.add(reply.message);
    }
    request.add(Message::user(reask_text(problem)));
    return false;
}

void TypedRun::add_earlier(RunRecord& record) const {
    record.attempts += earlier_.attempts;
}

detail::TypedAnswer TypedRun::finish(RunResult result) {
    return {std::move(value_), std::move(result)};
}

}  // namespace llmproc
