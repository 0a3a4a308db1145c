/// @file
/// For models without structured output: the schema as words.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/provider.hpp>

#include <optional>

namespace llmproc {

/// The request with its schema as an instruction in the system prompt, if schemas may be adapted
/// and the model does not follow them natively; none = it can go as it is.
std::optional<ChatRequest> with_schema_as_words(
    const ChatRequest& request,
    const Codec& codec,
    const Endpoint& endpoint
);

}  // namespace llmproc
