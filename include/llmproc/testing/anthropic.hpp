#pragma once

#include <llmproc/export.hpp>
#include <llmproc/testing/mock_answer.hpp>
#include <llmproc/testing/reply.hpp>

#include <string>
#include <vector>

namespace llmproc::testing {

class RecordedRequest;

/// A message of Anthropic's API with this text (stop_reason "end_turn").
LLMPROC_API Reply anthropic_reply(const std::string& text, const MockUsage& usage = MockUsage());

/// The same as a stream: message_start, one text_delta per piece, message_delta, message_stop.
LLMPROC_API Reply
anthropic_stream(const std::vector<std::string>& pieces, const MockUsage& usage = MockUsage());

/// A message that calls tools (stop_reason "tool_use").
LLMPROC_API Reply anthropic_tool_call_reply(
    const std::vector<MockToolCall>& calls,
    const MockUsage& usage = MockUsage()
);

/// The same as a stream.
LLMPROC_API Reply anthropic_tool_call_stream(
    const std::vector<MockToolCall>& calls,
    const MockUsage& usage = MockUsage()
);

/// An error body `{"type": "error", "error": {type, message}}` with this status; without a type the
/// one that the API has for the status.
LLMPROC_API Reply anthropic_error_reply(
    int status,
    const std::string& message,
    const std::string& type = std::string()
);

/// Answers like a small Messages API; give it to ScriptedServer::handle().
/// POST .../messages answers "You said: <last user text>", streamed when the request says so;
/// POST .../messages/count_tokens counts words; GET .../models lists one model; anything else gets
/// an error.
LLMPROC_API Reply anthropic_echo(const RecordedRequest& request);

}  // namespace llmproc::testing
