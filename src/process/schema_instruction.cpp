#include "process/schema_instruction.hpp"

namespace llmproc {

namespace {

/// Whether the model that is asked follows a JSON Schema natively.
bool follows_schemas(const Endpoint& endpoint) {
    return endpoint.rules.structured_output.value_or(true);
}

}  // namespace

std::optional<ChatRequest> with_schema_as_words(
    const ChatRequest& request,
    const Codec& /*codec*/,
    const Endpoint& endpoint
) {
    const SamplingParams& params = request.params;
    if (!params.response_schema || !params.adapt_schemas.value_or(false) ||
        follows_schemas(endpoint)) {
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
