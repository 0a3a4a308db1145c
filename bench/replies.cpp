#include "replies.hpp"

#include "workload.hpp"

#include <algorithm>
#include <stdexcept>

namespace llmproc::bench {

namespace {

constexpr std::string_view responses_reply =
    R"({"id":"resp_BnQ4mJ5Tq9xkP2aWcYv7RsE1uLzDfg","object":"response","created_at":1751990400,)"
    R"("status":"completed","background":false,"error":null,"incomplete_details":null,)"
    R"("model":"gpt-5-mini-2025-08-07","output":[{"id":"msg_7RsE1uLzDfg","type":"message",)"
    R"("status":"completed","role":"assistant","content":[{"type":"output_text","text":)"
    R"("The capital of France is Paris, and the river Seine runs through it, from the east to )"
    R"(the west.","annotations":[],"logprobs":[]}]}],"parallel_tool_calls":true,)"
    R"("reasoning":{"effort":"medium","summary":null},"store":false,"text":{"format":)"
    R"({"type":"text"}},"tool_choice":"auto","tools":[],"usage":{"input_tokens":25,)"
    R"("input_tokens_details":{"cached_tokens":0},"output_tokens":16,)"
    R"("output_tokens_details":{"reasoning_tokens":0},"total_tokens":41}})";

constexpr std::string_view anthropic_reply =
    R"({"id":"msg_01BnQ4mJ5Tq9xkP2aWcYv7Rs","type":"message","role":"assistant",)"
    R"("model":"claude-opus-5-5","content":[{"type":"text","text":"The capital of France is )"
    R"(Paris, and the river Seine runs through it, from the east to the west.","citations":null}],)"
    R"("stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":25,)"
    R"("cache_creation_input_tokens":0,"cache_read_input_tokens":0,"cache_creation":)"
    R"({"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":0},"output_tokens":16,)"
    R"("server_tool_use":null,"service_tier":"standard"}})";

constexpr std::string_view gemini_reply =
    R"({"candidates":[{"content":{"parts":[{"text":"The capital of France is Paris, and the )"
    R"(river Seine runs through it, from the east to the west."}],"role":"model"},)"
    R"("finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":25,)"
    R"("candidatesTokenCount":16,"totalTokenCount":41,"promptTokensDetails":[{"modality":"TEXT",)"
    R"("tokenCount":25}]},"modelVersion":"gemini-3.8-flash","responseId":"BnQ4mJ5Tq9xkP2aWcYv7"})";

std::string chat_chunk(std::string_view delta, std::string_view finish) {
    std::string text = R"(data: {"id":"chatcmpl-BnQ4mJ5Tq9xkP2aWcYv7RsE1uLzDf","object":)"
                       R"("chat.completion.chunk","created":1751990400,"model":"gpt-5-mini",)"
                       R"("choices":[{"index":0,"delta":{)";
    text.append(delta).append(R"(},"finish_reason":)").append(finish).append("}]}\n\n");
    return text;
}

StreamText chat_stream(std::size_t tokens) {
    const std::string count = std::to_string(tokens);
    return {
        chat_chunk(R"("role":"assistant","content":"")", "null"),
        chat_chunk("\"content\":\"" + std::string(stream_word) + "\"", "null"),
        chat_chunk("", R"("stop")") +
            R"(data: {"id":"chatcmpl-BnQ4mJ5Tq9xkP2aWcYv7RsE1uLzDf","object":)"
            R"("chat.completion.chunk","created":1751990400,"model":"gpt-5-mini","choices":[],)"
            R"("usage":{"prompt_tokens":25,"completion_tokens":)" +
            count + ",\"total_tokens\":" + std::to_string(tokens + 25) + "}}\n\ndata: [DONE]\n\n"};
}

std::string named_event(std::string_view name, std::string_view members) {
    std::string text = "event: ";
    text.append(name).append("\ndata: {\"type\":\"").append(name).append("\"");
    text.append(members.empty() ? "" : ",").append(members).append("}\n\n");
    return text;
}

StreamText anthropic_stream(std::size_t tokens) {
    return {
        named_event(
            "message_start",
            R"("message":{"id":"msg_01BnQ4mJ5Tq9","type":"message","role":"assistant",)"
            R"("model":"claude-opus-5-5","content":[],"stop_reason":null,"stop_sequence":null,)"
            R"("usage":{"input_tokens":25,"output_tokens":1}})"
        ) +
            named_event(
                "content_block_start",
                R"("index":0,"content_block":{"type":"text","text":""})"
            ),
        named_event(
            "content_block_delta",
            R"("index":0,"delta":{"type":"text_delta","text":")" + std::string(stream_word) + "\"}"
        ),
        named_event("content_block_stop", R"("index":0)") +
            named_event(
                "message_delta",
                R"("delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":)"
                R"({"input_tokens":25,"output_tokens":)" +
                    std::to_string(tokens) + "}"
            ) +
            named_event("message_stop", "")};
}

std::string responses_item(std::string_view status, std::string_view text) {
    std::string item = R"({"id":"msg_7RsE1uLzDfg","type":"message","status":")";
    item.append(status).append(R"(","role":"assistant","content":[)");
    if (!text.empty()) {
        item.append(R"({"type":"output_text","text":")").append(text);
        item.append(R"(","annotations":[],"logprobs":[]})");
    }
    return item + "]}";
}

/// The protocol repeats the whole text three times at the end.
StreamText responses_stream(std::size_t tokens) {
    constexpr std::string_view place =
        R"("sequence_number":4,"item_id":"msg_7RsE1uLzDfg","output_index":0,"content_index":0,)";
    constexpr std::string_view head =
        R"("response":{"id":"resp_BnQ4mJ5Tq9xk","object":"response","created_at":1751990400,)"
        R"("model":"gpt-5-mini","error":null,"incomplete_details":null,)";
    std::string text;
    for (std::size_t i = 0; i < tokens; ++i) {
        text += stream_word;
    }
    const std::string at(place);
    const std::string part = R"({"type":"output_text","text":")" + text +
                             R"(","annotations":[],"logprobs":[]})";
    const std::string done = responses_item("completed", text);
    const std::string count = std::to_string(tokens);
    return {
        named_event(
            "response.created",
            std::string(head) + R"("status":"in_progress","output":[],"usage":null})"
        ) +
            named_event(
                "response.output_item.added",
                R"("output_index":0,"item":)" + responses_item("in_progress", "")
            ) +
            named_event(
                "response.content_part.added",
                at + R"("part":{"type":"output_text","text":"","annotations":[],"logprobs":[]})"
            ),
        named_event(
            "response.output_text.delta",
            at + "\"delta\":\"" + std::string(stream_word) + R"(","logprobs":[],"obfuscation":"zz")"
        ),
        named_event("response.output_text.done", at + "\"text\":\"" + text + R"(","logprobs":[])") +
            named_event("response.content_part.done", at + "\"part\":" + part) +
            named_event("response.output_item.done", R"("output_index":0,"item":)" + done) +
            named_event(
                "response.completed",
                std::string(head) + R"("status":"completed","output":[)" + done +
                    R"(],"usage":{"input_tokens":25,"output_tokens":)" + count +
                    ",\"total_tokens\":" + std::to_string(tokens + 25) + "}}"
            )};
}

std::string gemini_chunk(std::string_view text, std::string_view finish, std::size_t tokens) {
    std::string chunk = R"(data: {"candidates":[{"content":{"parts":[{"text":")";
    chunk.append(text).append(R"("}],"role":"model"},"index":0)").append(finish);
    chunk.append(R"(}],"usageMetadata":{"promptTokenCount":25,"candidatesTokenCount":)");
    chunk.append(std::to_string(tokens)).append(R"(,"totalTokenCount":)");
    chunk.append(std::to_string(tokens + 25));
    chunk.append(R"(},"modelVersion":"gemini-3.8-flash","responseId":"BnQ4mJ5Tq9"})");
    return chunk + "\n\n";
}

StreamText gemini_stream(std::size_t tokens) {
    return {
        "",
        gemini_chunk(stream_word, "", 1),
        gemini_chunk("", R"(,"finishReason":"STOP")", tokens)};
}

}  // namespace

const std::array<Protocol, 4> protocols{{
    {"openai_chat", "/v1", "/v1/chat/completions", "/v1/chat/completions", reply_body()},
    {"openai_responses", "/v1", "/v1/responses", "/v1/responses", responses_reply},
    {"anthropic", "", "/v1/messages", "/v1/messages", anthropic_reply},
    {"gemini",
     "/v1beta",
     "/v1beta/models/gpt-5-mini-2025-08-07:generateContent",
     "/v1beta/models/gpt-5-mini-2025-08-07:streamGenerateContent",
     gemini_reply},
}};

const Protocol& protocol_of(std::string_view codec) {
    const auto* const found = std::find_if(
        protocols.begin(),
        protocols.end(),
        [codec](const Protocol& protocol) { return protocol.codec == codec; }
    );
    if (found == protocols.end()) {
        throw std::runtime_error("no replies for the codec " + std::string(codec));
    }
    return *found;
}

StreamText stream_text(std::string_view codec, std::size_t tokens) {
    if (codec == "openai_chat") {
        return chat_stream(tokens);
    }
    if (codec == "openai_responses") {
        return responses_stream(tokens);
    }
    return codec == "anthropic" ? anthropic_stream(tokens) : gemini_stream(tokens);
}

}  // namespace llmproc::bench
