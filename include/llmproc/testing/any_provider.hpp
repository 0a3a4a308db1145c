#pragma once

#include <llmproc/export.hpp>
#include <llmproc/testing/reply.hpp>

namespace llmproc::testing {

class RecordedRequest;

/// Answers each request in the protocol that it speaks, by its path and headers: Anthropic's
/// Messages, Gemini, OpenAI's Responses and Chat Completions. Give it to ScriptedServer::handle().
LLMPROC_API Reply any_provider_echo(const RecordedRequest& request);

}  // namespace llmproc::testing
