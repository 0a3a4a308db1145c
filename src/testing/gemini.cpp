#include <llmproc/testing/gemini.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "testing/echo_parts.hpp"

#include <cstddef>
#include <string_view>

namespace llmproc::testing {

namespace {

constexpr const char* response_id = "mock-response";

Json usage_json(const MockUsage& usage) {
    Json json;
    json["promptTokenCount"] = usage.prompt_tokens;
    json["candidatesTokenCount"] = usage.completion_tokens - usage.reasoning_tokens;
    json["totalTokenCount"] = usage.prompt_tokens + usage.completion_tokens;
    if (usage.cached_tokens != 0) {
        json["cachedContentTokenCount"] = usage.cached_tokens;
    }
    if (usage.reasoning_tokens != 0) {
        json["thoughtsTokenCount"] = usage.reasoning_tokens;
    }
    return json;
}

Json text_part(const std::string& text) {
    Json part;
    part["text"] = text;
    return part;
}

Json call_part(const MockToolCall& call) {
    Json part;
    part["functionCall"]["id"] = call.id;
    part["functionCall"]["name"] = call.name;
    part["functionCall"]["args"] = arguments_value(call.arguments);
    return part;
}

/// One answer, or one piece of a streamed one; the last one says why it ends and what it took.
Json answer_json(const Json& parts, const MockUsage* usage, const std::string& model) {
    Json candidate;
    candidate["content"]["parts"] = parts;
    candidate["content"]["role"] = "model";
    if (usage != nullptr) {
        candidate["finishReason"] = "STOP";
    }
    candidate["index"] = 0;
    Json json;
    json["candidates"] = Json::array({candidate});
    if (usage != nullptr) {
        json["usageMetadata"] = usage_json(*usage);
    }
    json["modelVersion"] = model;
    json["responseId"] = response_id;
    return json;
}

/// One chunk per part, and one that ends the stream.
Reply stream_of(const std::vector<Json>& parts, const MockUsage& usage, const std::string& model) {
    std::vector<std::string> chunks;
    chunks.reserve(parts.size() + 1);
    for (const Json& part : parts) {
        chunks.push_back(dump(answer_json(Json::array({part}), nullptr, model)));
    }
    chunks.push_back(dump(answer_json(Json::array({text_part("")}), &usage, model)));
    return Reply::sse(chunks);
}

Reply text_stream(
    const std::vector<std::string>& pieces,
    const MockUsage& usage,
    const std::string& model
) {
    std::vector<Json> parts;
    parts.reserve(pieces.size());
    for (const std::string& piece : pieces) {
        parts.push_back(text_part(piece));
    }
    return stream_of(parts, usage, model);
}

const char* name_of_status(int status) {
    switch (status) {
        case 400: return "INVALID_ARGUMENT";
        case 401: return "UNAUTHENTICATED";
        case 403: return "PERMISSION_DENIED";
        case 404: return "NOT_FOUND";
        case 429: return "RESOURCE_EXHAUSTED";
        case 503: return "UNAVAILABLE";
        case 504: return "DEADLINE_EXCEEDED";
        default: return "INTERNAL";
    }
}

/// The model of a path like ".../models/M:generateContent", and what is asked of it.
struct Method {
    explicit Method(std::string_view path) {
        const std::size_t colon = path.rfind(':');
        const std::size_t slash = path.rfind('/');
        if (colon != std::string_view::npos && slash != std::string_view::npos && slash < colon) {
            model = path.substr(slash + 1, colon - slash - 1);
            name = path.substr(colon + 1);
        }
    }
    std::string model;
    std::string_view name;
};

Reply echo_contents(const Json& request, const Method& method) {
    const bool counts = method.name == "countTokens";
    const Json& body = counts && request.is_object() && request.contains("generateContentRequest")
                           ? request["generateContentRequest"]
                           : request;
    if (!body.is_object() || !body.contains("contents") || !body["contents"].is_array() ||
        body["contents"].empty()) {
        return gemini_error_reply(
            400,
            "GenerateContentRequest.contents: contents is not specified"
        );
    }
    const Question question(body["contents"], "parts");
    if (counts) {
        Json count;
        count["totalTokens"] = question.words();
        return Reply::json(dump(count));
    }
    const std::string text = question.answer();
    const MockUsage usage(question.words(), count_words(text));
    if (method.name == "streamGenerateContent") {
        return text_stream(words_of(text), usage, method.model);
    }
    return Reply::json(dump(answer_json(Json::array({text_part(text)}), &usage, method.model)));
}

Reply list_models() {
    Json model;
    model["name"] = std::string("models/") + mock_model;
    model["displayName"] = "Mock";
    model["supportedGenerationMethods"] = Json::array({"generateContent", "countTokens"});
    Json list;
    list["models"] = Json::array({model});
    return Reply::json(dump(list));
}

}  // namespace

Reply gemini_reply(const std::string& text, const MockUsage& usage) {
    return Reply::json(dump(answer_json(Json::array({text_part(text)}), &usage, mock_model)));
}

Reply gemini_stream(const std::vector<std::string>& pieces, const MockUsage& usage) {
    return text_stream(pieces, usage, mock_model);
}

Reply gemini_tool_call_reply(const std::vector<MockToolCall>& calls, const MockUsage& usage) {
    Json parts = Json::array();
    for (const MockToolCall& call : calls) {
        parts.push_back(call_part(call));
    }
    return Reply::json(dump(answer_json(parts, &usage, mock_model)));
}

Reply gemini_tool_call_stream(const std::vector<MockToolCall>& calls, const MockUsage& usage) {
    std::vector<Json> parts;
    parts.reserve(calls.size());
    for (const MockToolCall& call : calls) {
        parts.push_back(call_part(call));
    }
    return stream_of(parts, usage, mock_model);
}

Reply gemini_error_reply(int status, const std::string& message, const std::string& name) {
    Json json;
    json["error"]["code"] = status;
    json["error"]["message"] = message;
    json["error"]["status"] = name.empty() ? std::string(name_of_status(status)) : name;
    return Reply::json(dump(json)).with_status(status);
}

Reply gemini_echo(const RecordedRequest& request) {
    const std::string_view path = path_of(request);
    const Method method(path);
    return answered(
        request,
        "x-request-id",
        [&](const Json& body) {
            if (request.method == "POST" &&
                (method.name == "generateContent" || method.name == "streamGenerateContent" ||
                 method.name == "countTokens")) {
                return echo_contents(body, method);
            }
            if (request.method == "GET" && path.ends_with("/models")) {
                return list_models();
            }
            return gemini_error_reply(404, "Not found: " + request.target);
        },
        [](const std::string& problem) { return gemini_error_reply(400, problem); }
    );
}

}  // namespace llmproc::testing
