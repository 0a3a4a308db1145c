#include <llmproc/testing/anthropic.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "testing/echo_parts.hpp"

#include <cstddef>
#include <string_view>

namespace llmproc::testing {

namespace {

constexpr const char* message_id = "msg_mock";

Json usage_json(const MockUsage& usage) {
    Json json;
    json["input_tokens"] = usage.prompt_tokens - usage.cached_tokens;
    json["cache_creation_input_tokens"] = 0;
    json["cache_read_input_tokens"] = usage.cached_tokens;
    json["output_tokens"] = usage.completion_tokens;
    json["output_tokens_details"]["thinking_tokens"] = usage.reasoning_tokens;
    return json;
}

Json message_json(const Json& content, const MockUsage& usage, const std::string& model) {
    Json json;
    json["id"] = message_id;
    json["type"] = "message";
    json["role"] = "assistant";
    json["model"] = model;
    json["content"] = content;
    json["stop_reason"] = nullptr;
    json["stop_sequence"] = nullptr;
    json["usage"] = usage_json(usage);
    return json;
}

Reply whole_reply(
    const Json& content,
    const char* stop_reason,
    const MockUsage& usage,
    const std::string& model
) {
    Json json = message_json(content, usage, model);
    json["stop_reason"] = stop_reason;
    return Reply::json(dump(json));
}

Json text_block(const std::string& text) {
    Json block;
    block["type"] = "text";
    block["text"] = text;
    return block;
}

Json call_block(const MockToolCall& call, const Json& input) {
    Json block;
    block["type"] = "tool_use";
    block["id"] = call.id;
    block["name"] = call.name;
    block["input"] = input;
    return block;
}

/// Collects the events of one stream.
class StreamWriter {
public:
    StreamWriter(const MockUsage& usage, const std::string& model) : usage_(usage) {
        MockUsage first = usage;
        first.completion_tokens = 1;
        first.reasoning_tokens = 0;
        Json& start = add("message_start");
        start["message"] = message_json(Json::array(), first, model);
    }

    /// `pieces` come as the member `name` of deltas of that type.
    void block(
        const Json& opening,
        const char* type,
        const char* name,
        const std::vector<std::string>& pieces
    ) {
        Json& start = add("content_block_start");
        start["index"] = index_;
        start["content_block"] = opening;
        for (const std::string& piece : pieces) {
            Json& event = add("content_block_delta");
            event["index"] = index_;
            event["delta"]["type"] = type;
            event["delta"][name] = piece;
        }
        add("content_block_stop")["index"] = index_;
        ++index_;
    }

    Reply finish(const char* stop_reason) {
        Json& delta = add("message_delta");
        delta["delta"]["stop_reason"] = stop_reason;
        delta["delta"]["stop_sequence"] = nullptr;
        delta["usage"] = usage_json(usage_);
        add("message_stop");
        return typed_sse(events_);
    }

private:
    /// Valid until the next one.
    Json& add(const char* type) {
        Json event;
        event["type"] = type;
        events_.push_back(event);
        return events_.back();
    }

    MockUsage usage_;
    std::vector<Json> events_;
    int index_ = 0;
};

Reply text_stream(
    const std::vector<std::string>& pieces,
    const MockUsage& usage,
    const std::string& model
) {
    StreamWriter writer(usage, model);
    writer.block(text_block(std::string()), "text_delta", "text", pieces);
    return writer.finish("end_turn");
}

Reply echo_message(const Json& request, bool count_only) {
    if (!request.is_object()) {
        return anthropic_error_reply(400, "The request body is not valid JSON");
    }
    const auto messages = request.find("messages");
    if (messages == request.end() || !messages->is_array() || messages->empty()) {
        return anthropic_error_reply(400, "messages: at least one message is required");
    }
    const Question question(*messages, "content");
    if (count_only) {
        Json count;
        count["input_tokens"] = question.words();
        return Reply::json(dump(count));
    }
    if (!request.contains("max_tokens")) {
        return anthropic_error_reply(400, "max_tokens: Field required");
    }
    const std::string model = request.value("model", std::string(mock_model));
    const std::string text = question.answer();
    const MockUsage usage(question.words(), count_words(text));
    if (request.value("stream", false)) {
        return text_stream(words_of(text), usage, model);
    }
    return whole_reply(Json::array({text_block(text)}), "end_turn", usage, model);
}

Reply list_models() {
    Json model;
    model["id"] = mock_model;
    model["type"] = "model";
    model["display_name"] = "Mock";
    model["created_at"] = "2026-11-21T00:00:00Z";
    Json list;
    list["data"] = Json::array({model});
    list["first_id"] = mock_model;
    list["last_id"] = mock_model;
    list["has_more"] = false;
    return Reply::json(dump(list));
}

const char* type_of_status(int status) {
    switch (status) {
        case 400: return "invalid_request_error";
        case 401: return "authentication_error";
        case 402: return "billing_error";
        case 403: return "permission_error";
        case 404: return "not_found_error";
        case 413: return "request_too_large";
        case 429: return "rate_limit_error";
        case 504: return "timeout_error";
        case 529: return "overloaded_error";
        default: return "api_error";
    }
}

}  // namespace

Reply anthropic_reply(const std::string& text, const MockUsage& usage) {
    return whole_reply(Json::array({text_block(text)}), "end_turn", usage, mock_model);
}

Reply anthropic_stream(const std::vector<std::string>& pieces, const MockUsage& usage) {
    return text_stream(pieces, usage, mock_model);
}

Reply anthropic_tool_call_reply(const std::vector<MockToolCall>& calls, const MockUsage& usage) {
    Json content = Json::array();
    for (const MockToolCall& call : calls) {
        content.push_back(call_block(call, arguments_value(call.arguments)));
    }
    return whole_reply(content, "tool_use", usage, mock_model);
}

Reply anthropic_tool_call_stream(const std::vector<MockToolCall>& calls, const MockUsage& usage) {
    StreamWriter writer(usage, mock_model);
    for (const MockToolCall& call : calls) {
        const std::size_t half = call.arguments.size() / 2;
        const std::vector<std::string> pieces = {
            std::string(),
            call.arguments.substr(0, half),
            call.arguments.substr(half)};
        writer.block(call_block(call, Json::object()), "input_json_delta", "partial_json", pieces);
    }
    return writer.finish("tool_use");
}

Reply anthropic_error_reply(int status, const std::string& message, const std::string& type) {
    Json json;
    json["type"] = "error";
    json["error"]["type"] = type.empty() ? std::string(type_of_status(status)) : type;
    json["error"]["message"] = message;
    return Reply::json(dump(json)).with_status(status);
}

Reply anthropic_echo(const RecordedRequest& request) {
    const std::string_view path = path_of(request);
    return answered(
        request,
        "request-id",
        [&](const Json& body) {
            const bool counts = path.ends_with("/messages/count_tokens");
            if (request.method == "POST" && (counts || path.ends_with("/messages"))) {
                return echo_message(body, counts);
            }
            if (request.method == "GET" && path.ends_with("/models")) {
                return list_models();
            }
            return anthropic_error_reply(404, "Not found: " + request.target);
        },
        [](const std::string& problem) { return anthropic_error_reply(400, problem); }
    );
}

}  // namespace llmproc::testing
