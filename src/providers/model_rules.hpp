/// @file
/// What models take where models of one protocol differ: a table of known ones.
#pragma once

#include <llmproc/provider.hpp>

#include <string>
#include <string_view>

namespace llmproc::providers {

/// What the table says of a model; nothing of one that it does not know. `codec` is the protocol's
/// name. The longest name wins that the model's begins with; a further version number makes it
/// another model ("gpt-5" is not "gpt-5.2", "claude-opus-4" not "claude-opus-4-6"), a date or a
/// word ("-2025-08-07", "-latest") does not.
ModelRules table_rules(std::string_view codec, std::string_view model);

/// The same below what the program file says of the model (`Endpoint::rules`), above what the
/// provider's profile says (`Endpoint::quirks`).
ModelRules rules_for(std::string_view codec, std::string_view model, const Endpoint& endpoint);

/// Whether the model follows a JSON Schema natively; one that nothing is known of does.
bool follows_schema(std::string_view codec, std::string_view model, const Endpoint& endpoint);

/// Throws LLMError{not_supported}: `parameter` and why, the remedy, and the key that overrides it.
[[noreturn]] void refused_by_model(
    std::string_view parameter,
    std::string_view model,
    std::string_view remedy,
    std::string_view rule
);

/// Throws that error if temperature, top_p or top_k is set and the model refuses them.
void check_model_sampling(
    const SamplingParams& params,
    const ModelRules& rules,
    std::string_view model
);

}  // namespace llmproc::providers
