#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/openai_responses.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "testing/echo_parts.hpp"

#include <cstddef>
#include <string_view>
#include <utility>

namespace llmproc::testing {

namespace {

constexpr const char* response_id = "resp_mock";
constexpr const char* message_id = "msg_mock";

Json usage_json(const MockUsage& usage) {
    Json json;
    json["input_tokens"] = usage.prompt_tokens;
    json["input_tokens_details"]["cached_tokens"] = usage.cached_tokens;
    json["output_tokens"] = usage.completion_tokens;
    json["output_tokens_details"]["reasoning_tokens"] = usage.reasoning_tokens;
    json["total_tokens"] = usage.prompt_tokens + usage.completion_tokens;
    return json;
}

/// Without usage it is still in progress.
Json response_json(const Json& output, const MockUsage* usage, const std::string& model) {
    Json json;
    json["id"] = response_id;
    json["object"] = "response";
    json["created_at"] = mock_created;
    json["status"] = usage == nullptr ? "in_progress" : "completed";
    json["error"] = nullptr;
    json["incomplete_details"] = nullptr;
    json["model"] = model;
    json["output"] = output;
    json["usage"] = nullptr;
    if (usage != nullptr) {
        json["usage"] = usage_json(*usage);
    }
    return json;
}

Json text_part(const std::string& text) {
    Json part;
    part["type"] = "output_text";
    part["text"] = text;
    part["annotations"] = Json::array();
    part["logprobs"] = Json::array();
    return part;
}

Json message_item(const Json& content, const char* status) {
    Json item;
    item["id"] = message_id;
    item["type"] = "message";
    item["status"] = status;
    item["role"] = "assistant";
    item["content"] = content;
    return item;
}

Json call_item(const MockToolCall& call, const std::string& arguments, const char* status) {
    Json item;
    item["id"] = "fc_" + call.id;
    item["type"] = "function_call";
    item["status"] = status;
    item["call_id"] = call.id;
    item["name"] = call.name;
    item["arguments"] = arguments;
    return item;
}

/// Collects the events of one stream.
class StreamWriter {
public:
    explicit StreamWriter(std::string model) : model_(std::move(model)) {
        for (const char* const type : {"response.created", "response.in_progress"}) {
            Json event;
            event["response"] = response_json(output_, nullptr, model_);
            add(type, std::move(event));
        }
    }

    void text(const std::vector<std::string>& pieces) {
        std::string whole;
        item("response.output_item.added", message_item(Json::array(), "in_progress"));
        part("response.content_part.added", "part", text_part(std::string()));
        for (const std::string& piece : pieces) {
            part("response.output_text.delta", "delta", piece);
            whole += piece;
        }
        part("response.output_text.done", "text", whole);
        part("response.content_part.done", "part", text_part(whole));
        finish_item(message_item(Json::array({text_part(whole)}), "completed"));
    }

    void call(const MockToolCall& call) {
        const std::size_t half = call.arguments.size() / 2;
        item("response.output_item.added", call_item(call, std::string(), "in_progress"));
        for (const std::string& piece :
             {call.arguments.substr(0, half), call.arguments.substr(half)}) {
            arguments("response.function_call_arguments.delta", call, "delta", piece);
        }
        arguments("response.function_call_arguments.done", call, "arguments", call.arguments);
        finish_item(call_item(call, call.arguments, "completed"));
    }

    Reply finish(const MockUsage& usage) {
        Json event;
        event["response"] = response_json(output_, &usage, model_);
        add("response.completed", std::move(event));
        return typed_sse(events_);
    }

private:
    void add(const char* type, Json members) {
        Json event;
        event["type"] = type;
        event["sequence_number"] = events_.size();
        event.update(members);
        events_.push_back(std::move(event));
    }

    void item(const char* type, const Json& item) {
        Json event;
        event["output_index"] = output_.size();
        event["item"] = item;
        add(type, std::move(event));
    }

    void finish_item(const Json& done) {
        item("response.output_item.done", done);
        output_.push_back(done);
    }

    void part(const char* type, const char* name, const Json& value) {
        Json event;
        event["item_id"] = message_id;
        event["output_index"] = output_.size();
        event["content_index"] = 0;
        event[name] = value;
        add(type, std::move(event));
    }

    void arguments(
        const char* type,
        const MockToolCall& call,
        const char* name,
        const std::string& value
    ) {
        Json event;
        event["item_id"] = "fc_" + call.id;
        event["output_index"] = output_.size();
        event[name] = value;
        add(type, std::move(event));
    }

    std::string model_;
    Json output_ = Json::array();
    std::vector<Json> events_;
};

Reply text_reply(const std::string& text, const MockUsage& usage, const std::string& model) {
    const Json message = message_item(Json::array({text_part(text)}), "completed");
    return Reply::json(dump(response_json(Json::array({message}), &usage, model)));
}

Reply text_stream(
    const std::vector<std::string>& pieces,
    const MockUsage& usage,
    const std::string& model
) {
    StreamWriter writer(model);
    writer.text(pieces);
    return writer.finish(usage);
}

/// Input that is a text is one message of the user.
Json messages_of(const Json& input) {
    if (!input.is_string()) {
        return input;
    }
    Json message;
    message["role"] = "user";
    message["content"] = input;
    return Json::array({message});
}

Reply echo_response(const Json& request, bool count_only) {
    if (!request.is_object()) {
        return openai_error_reply(400, "We could not parse the JSON body of your request.");
    }
    const auto input = request.find("input");
    if (input == request.end() || input->empty()) {
        return openai_error_reply(400, "Missing required parameter: 'input'.");
    }
    const Question question(messages_of(*input), "content");
    if (count_only) {
        Json count;
        count["object"] = "response.input_tokens";
        count["input_tokens"] = question.words();
        return Reply::json(dump(count));
    }
    const std::string model = request.value("model", std::string(mock_model));
    const std::string text = question.answer();
    const MockUsage usage(question.words(), count_words(text));
    return request.value("stream", false) ? text_stream(words_of(text), usage, model)
                                          : text_reply(text, usage, model);
}

}  // namespace

Reply openai_responses_reply(const std::string& text, const MockUsage& usage) {
    return text_reply(text, usage, mock_model);
}

Reply openai_responses_stream(const std::vector<std::string>& pieces, const MockUsage& usage) {
    return text_stream(pieces, usage, mock_model);
}

Reply openai_responses_tool_call_reply(
    const std::vector<MockToolCall>& calls,
    const MockUsage& usage
) {
    Json output = Json::array();
    for (const MockToolCall& call : calls) {
        output.push_back(call_item(call, call.arguments, "completed"));
    }
    return Reply::json(dump(response_json(output, &usage, mock_model)));
}

Reply openai_responses_tool_call_stream(
    const std::vector<MockToolCall>& calls,
    const MockUsage& usage
) {
    StreamWriter writer(mock_model);
    for (const MockToolCall& call : calls) {
        writer.call(call);
    }
    return writer.finish(usage);
}

Reply openai_responses_echo(const RecordedRequest& request) {
    const std::string_view path = path_of(request);
    const bool counts = path.ends_with("/responses/input_tokens");
    if (request.method != "POST" || !(counts || path.ends_with("/responses"))) {
        return openai_chat_echo(request);
    }
    return answered(
        request,
        "x-request-id",
        [&](const Json& body) { return echo_response(body, counts); },
        [](const std::string& problem) { return openai_error_reply(400, problem); }
    );
}

}  // namespace llmproc::testing
