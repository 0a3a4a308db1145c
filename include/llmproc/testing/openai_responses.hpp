#pragma once

#include <llmproc/export.hpp>
#include <llmproc/testing/mock_answer.hpp>
#include <llmproc/testing/reply.hpp>

#include <string>
#include <vector>

namespace llmproc::testing {

class RecordedRequest;

/// A response of OpenAI's Responses API with this text (status "completed").
LLMPROC_API Reply
openai_responses_reply(const std::string& text, const MockUsage& usage = MockUsage());

/// The same as a stream: response.created, one output_text.delta per piece, response.completed.
LLMPROC_API Reply openai_responses_stream(
    const std::vector<std::string>& pieces,
    const MockUsage& usage = MockUsage()
);

/// A response that calls functions.
LLMPROC_API Reply openai_responses_tool_call_reply(
    const std::vector<MockToolCall>& calls,
    const MockUsage& usage = MockUsage()
);

/// The same as a stream.
LLMPROC_API Reply openai_responses_tool_call_stream(
    const std::vector<MockToolCall>& calls,
    const MockUsage& usage = MockUsage()
);

/// Answers like a small Responses API; give it to ScriptedServer::handle().
/// POST .../responses answers "You said: <last user text>", streamed when the request says so;
/// POST .../responses/input_tokens counts words; anything else is answered as by openai_chat_echo.
/// Errors are those of `openai_error_reply`.
LLMPROC_API Reply openai_responses_echo(const RecordedRequest& request);

}  // namespace llmproc::testing
