#pragma once

#include <llmproc/export.hpp>
#include <llmproc/testing/mock_answer.hpp>
#include <llmproc/testing/reply.hpp>

#include <string>
#include <vector>

namespace llmproc::testing {

class RecordedRequest;

/// A `generateContent` answer with this text (finishReason "STOP").
LLMPROC_API Reply gemini_reply(const std::string& text, const MockUsage& usage = MockUsage());

/// The same as a stream: one chunk per piece, the last with finishReason and usage.
LLMPROC_API Reply
gemini_stream(const std::vector<std::string>& pieces, const MockUsage& usage = MockUsage());

/// An answer that calls functions.
LLMPROC_API Reply gemini_tool_call_reply(
    const std::vector<MockToolCall>& calls,
    const MockUsage& usage = MockUsage()
);

/// The same as a stream.
LLMPROC_API Reply gemini_tool_call_stream(
    const std::vector<MockToolCall>& calls,
    const MockUsage& usage = MockUsage()
);

/// An error body `{"error": {code, message, status}}` with this status; without a name the one that
/// the API has for it.
LLMPROC_API Reply
gemini_error_reply(int status, const std::string& message, const std::string& name = std::string());

/// Answers like a small Gemini API; give it to ScriptedServer::handle().
/// POST .../models/M:generateContent and :streamGenerateContent answer "You said: <last user
/// text>"; :countTokens counts words; GET .../models lists one model; anything else gets an error.
LLMPROC_API Reply gemini_echo(const RecordedRequest& request);

}  // namespace llmproc::testing
