#pragma once

#include <llmproc/export.hpp>
#include <llmproc/testing/mock_answer.hpp>
#include <llmproc/testing/reply.hpp>

#include <string>
#include <vector>

namespace llmproc::testing {

class RecordedRequest;

using OpenAIUsage = MockUsage;
using OpenAIToolCall = MockToolCall;

/// A Chat Completions response with this text (finish_reason "stop").
LLMPROC_API Reply
openai_chat_reply(const std::string& text, const OpenAIUsage& usage = OpenAIUsage());

/// The same as a stream: role chunk, one chunk per piece, finish_reason, usage, [DONE].
LLMPROC_API Reply openai_chat_stream(
    const std::vector<std::string>& pieces,
    const OpenAIUsage& usage = OpenAIUsage()
);

/// A Chat Completions response that calls tools (finish_reason "tool_calls").
LLMPROC_API Reply openai_tool_call_reply(
    const std::vector<OpenAIToolCall>& calls,
    const OpenAIUsage& usage = OpenAIUsage()
);

/// The same as a stream; the arguments of each call come in two fragments.
LLMPROC_API Reply openai_tool_call_stream(
    const std::vector<OpenAIToolCall>& calls,
    const OpenAIUsage& usage = OpenAIUsage()
);

/// An error body `{"error": {message, type, code}}` with this status.
LLMPROC_API Reply openai_error_reply(
    int status,
    const std::string& message,
    const std::string& type = "invalid_request_error",
    const std::string& code = std::string()
);

/// Answers like a small Chat Completions server; give it to ScriptedServer::handle().
/// POST .../chat/completions answers "You said: <last user text>", streamed when the request says
/// so; GET .../models lists one model; anything else gets the error a real server would send.
LLMPROC_API Reply openai_chat_echo(const RecordedRequest& request);

}  // namespace llmproc::testing
