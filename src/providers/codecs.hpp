/// @file
/// The protocols of the library; `find_codec` knows them by name.
#pragma once

#include <llmproc/provider.hpp>

namespace llmproc::providers {

/// OpenAI Chat Completions and every server that speaks it. Name: "openai_chat".
const Codec& openai_chat_codec();
/// Anthropic Messages and the servers that speak it. Name: "anthropic".
const Codec& anthropic_codec();
/// Google's generateContent. Name: "gemini".
const Codec& gemini_codec();
/// OpenAI Responses. Name: "openai_responses".
const Codec& openai_responses_codec();

}  // namespace llmproc::providers
