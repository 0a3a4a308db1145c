#include "process/schema_instruction.hpp"

#include "providers/model_rules.hpp"

#include <string>

namespace llmproc {

std::optional<ChatRequest> with_schema_as_words(
    const ChatRequest& request,
    const Codec& codec,
    const Endpoint& endpoint
) {
    const SamplingParams& params = request.params;
    if (!params.response_schema || !params.adapt_schemas.value_or(false)) {
        return std::nullopt;
    }
    const std::string& model = request.model.empty() ? endpoint.model : request.model;
    if (providers::follows_schema(codec.name(), model, endpoint)) {
        return std::nullopt;
    }
    ChatRequest instructed = request;
    instructed.system += instructed.system.empty() ? "" : "\n\n";
    instructed.system +=
        "Answer with one JSON value and nothing else: no other words, no code block. It must "
        "follow this JSON Schema:\n" +
        params.response_schema->text();
    instructed.params.response_schema.reset();
    return instructed;
}

}  // namespace llmproc
