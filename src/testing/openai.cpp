#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "testing/echo_parts.hpp"

#include <cstddef>
#include <string_view>
#include <utility>

namespace llmproc::testing {

namespace {

constexpr const char* reply_id = "chatcmpl-mock";

Json usage_json(const OpenAIUsage& usage) {
    Json json;
    json["prompt_tokens"] = usage.prompt_tokens;
    json["completion_tokens"] = usage.completion_tokens;
    json["total_tokens"] = usage.prompt_tokens + usage.completion_tokens;
    json["prompt_tokens_details"]["cached_tokens"] = usage.cached_tokens;
    json["completion_tokens_details"]["reasoning_tokens"] = usage.reasoning_tokens;
    return json;
}

Json envelope(const char* object, const std::string& model) {
    Json json;
    json["id"] = reply_id;
    json["object"] = object;
    json["created"] = mock_created;
    json["model"] = model;
    json["choices"] = Json::array();
    return json;
}

Reply whole_reply(
    const Json& message,
    const char* finish_reason,
    const OpenAIUsage& usage,
    const std::string& model
) {
    Json choice;
    choice["index"] = 0;
    choice["message"] = message;
    choice["logprobs"] = nullptr;
    choice["finish_reason"] = finish_reason;
    Json json = envelope("chat.completion", model);
    json["choices"].push_back(choice);
    json["usage"] = usage_json(usage);
    return Reply::json(dump(json));
}

/// Collects the chunks of one stream.
class StreamWriter {
public:
    explicit StreamWriter(std::string model) : model_(std::move(model)) {}

    void delta(const Json& delta, const char* finish_reason = nullptr) {
        Json choice;
        choice["index"] = 0;
        choice["delta"] = delta;
        choice["logprobs"] = nullptr;
        choice["finish_reason"] = nullptr;
        if (finish_reason != nullptr) {
            choice["finish_reason"] = finish_reason;
        }
        Json json = envelope("chat.completion.chunk", model_);
        json["choices"].push_back(choice);
        events_.push_back(dump(json));
    }

    void usage(const OpenAIUsage& usage) {
        Json json = envelope("chat.completion.chunk", model_);
        json["usage"] = usage_json(usage);
        events_.push_back(dump(json));
    }

    Reply finish() {
        events_.emplace_back("[DONE]");
        return Reply::sse(events_);
    }

private:
    std::string model_;
    std::vector<std::string> events_;
};

Json text_message(const std::string& text) {
    Json message;
    message["role"] = "assistant";
    message["content"] = text;
    message["refusal"] = nullptr;
    return message;
}

Json call_json(const OpenAIToolCall& call, const std::string& arguments) {
    Json json;
    json["id"] = call.id;
    json["type"] = "function";
    json["function"]["name"] = call.name;
    json["function"]["arguments"] = arguments;
    return json;
}

Reply text_stream(
    const std::vector<std::string>& pieces,
    const OpenAIUsage* usage,
    const std::string& model
) {
    StreamWriter writer(model);
    writer.delta(text_message(std::string()));
    for (const std::string& piece : pieces) {
        Json delta;
        delta["content"] = piece;
        writer.delta(delta);
    }
    writer.delta(Json::object(), "stop");
    if (usage != nullptr) {
        writer.usage(*usage);
    }
    return writer.finish();
}

Reply echo_chat(const Json& request) {
    if (!request.is_object()) {
        return openai_error_reply(400, "We could not parse the JSON body of your request.");
    }
    const auto messages = request.find("messages");
    if (messages == request.end() || !messages->is_array() || messages->empty()) {
        return openai_error_reply(400, "Missing required parameter: 'messages'.");
    }
    const std::string model = request.value("model", std::string(mock_model));
    const Question question(*messages, "content");
    const std::string text = question.answer();
    const OpenAIUsage usage(question.words(), count_words(text));
    if (!request.value("stream", false)) {
        return whole_reply(text_message(text), "stop", usage, model);
    }
    const Json options = request.value("stream_options", Json::object());
    const bool with_usage = options.is_object() && options.value("include_usage", false);
    return text_stream(words_of(text), with_usage ? &usage : nullptr, model);
}

Reply list_models() {
    Json model;
    model["id"] = mock_model;
    model["object"] = "model";
    model["created"] = mock_created;
    model["owned_by"] = "llmproc";
    Json list;
    list["object"] = "list";
    list["data"] = Json::array();
    list["data"].push_back(model);
    return Reply::json(dump(list));
}

}  // namespace

Reply openai_chat_reply(const std::string& text, const OpenAIUsage& usage) {
    return whole_reply(text_message(text), "stop", usage, mock_model);
}

Reply openai_chat_stream(const std::vector<std::string>& pieces, const OpenAIUsage& usage) {
    return text_stream(pieces, &usage, mock_model);
}

Reply openai_tool_call_reply(const std::vector<OpenAIToolCall>& calls, const OpenAIUsage& usage) {
    Json message = text_message(std::string());
    message["content"] = nullptr;
    message["tool_calls"] = Json::array();
    for (const OpenAIToolCall& call : calls) {
        message["tool_calls"].push_back(call_json(call, call.arguments));
    }
    return whole_reply(message, "tool_calls", usage, mock_model);
}

Reply openai_tool_call_stream(const std::vector<OpenAIToolCall>& calls, const OpenAIUsage& usage) {
    StreamWriter writer(mock_model);
    Json first;
    first["role"] = "assistant";
    first["content"] = nullptr;
    writer.delta(first);
    for (std::size_t i = 0; i < calls.size(); ++i) {
        Json opening = call_json(calls[i], std::string());
        opening["index"] = i;
        Json delta;
        delta["tool_calls"].push_back(opening);
        writer.delta(delta);
        const std::string& arguments = calls[i].arguments;
        const std::size_t half = arguments.size() / 2;
        for (const std::string& part : {arguments.substr(0, half), arguments.substr(half)}) {
            Json fragment;
            fragment["index"] = i;
            fragment["function"]["arguments"] = part;
            Json next;
            next["tool_calls"].push_back(fragment);
            writer.delta(next);
        }
    }
    writer.delta(Json::object(), "tool_calls");
    writer.usage(usage);
    return writer.finish();
}

Reply openai_error_reply(
    int status,
    const std::string& message,
    const std::string& type,
    const std::string& code
) {
    Json error;
    error["message"] = message;
    error["type"] = type;
    error["param"] = nullptr;
    error["code"] = nullptr;
    if (!code.empty()) {
        error["code"] = code;
    }
    Json json;
    json["error"] = error;
    return Reply::json(dump(json)).with_status(status);
}

Reply openai_chat_echo(const RecordedRequest& request) {
    const std::string_view path = path_of(request);
    return answered(
        request,
        "x-request-id",
        [&](const Json& body) {
            if (request.method == "POST" && path.ends_with("/chat/completions")) {
                return echo_chat(body);
            }
            if (request.method == "GET" && path.ends_with("/models")) {
                return list_models();
            }
            return openai_error_reply(
                404,
                "Invalid URL (" + request.method + " " + request.target + ")"
            );
        },
        [](const std::string& problem) { return openai_error_reply(400, problem); }
    );
}

}  // namespace llmproc::testing
