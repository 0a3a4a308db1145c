/// @file
/// `SamplingParams::thinking` and `reasoning_effort` as each protocol says them.
#pragma once

#include <llmproc/provider.hpp>
#include "core/json_writer.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace llmproc::providers {

// All throw LLMError: not_supported for what the model or protocol is known to refuse, naming the
// remedy; invalid_argument for settings that contradict each other.

/// OpenAI's effort: off is "none", adaptive "medium" unless the effort says more. It has no budgets.
std::optional<std::string> openai_effort(
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
);

/// Anthropic's member `thinking`, if there is something to say.
void write_anthropic_thinking(
    JsonWriter& json,
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
);

/// Gemini's member `thinkingConfig`, if there is something to say.
void write_gemini_thinking(
    JsonWriter& json,
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
);

}  // namespace llmproc::providers
