#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "providers/extra_body.hpp"
#include "providers/hosted_tools.hpp"
#include "providers/json_schema_shape.hpp"
#include "providers/model_rules.hpp"
#include "providers/openai_chat.hpp"
#include "providers/request_parts.hpp"
#include "providers/thinking.hpp"
#include "providers/tool_names.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

namespace {

/// Appends messages to the array, keeping back what may only follow a run of tool results.
class MessageList {
public:
    MessageList(std::string& out, EncodeCache& cache, bool developer_role) noexcept
        : out_(out),
          cache_(cache),
          developer_role_(developer_role) {}

    void add(const std::shared_ptr<const Message>& message) {
        if (message->role() != Role::tool) {
            flush();
        }
        if (message->role() == Role::system) {
            separate();
            append_chat_message(out_, *message, developer_role_);
            return;
        }
        const std::string* cached = cache_.find(message);
        const std::string_view text = *cached;
        // Only results can have a second part; JSON text has no NUL byte.
        const std::size_t cut = may_hold_results(*message) ? text.find('\0')
                                                           : std::string_view::npos;
        if (const std::string_view now = text.substr(0, cut); !now.empty()) {
            separate();
            out_ += now;
        }
        if (cut != std::string_view::npos) {
            later_ += later_.empty() ? "" : ",";
            later_ += text.substr(cut + 1);
        }
    }

    void flush() {
        if (!later_.empty()) {
            separate();
            out_ += later_;
            later_.clear();
        }
    }

    void separate() {
        if (std::exchange(comma_, true)) {
            out_.push_back(',');
        }
    }

private:
    std::string& out_;
    EncodeCache& cache_;
    std::string later_;
    bool developer_role_;
    bool comma_ = false;
};

void write_messages(
    std::string& body,
    const ChatRequest& request,
    EncodeCache& cache,
    bool developer_role
) {
    body += ",\"messages\":[";
    MessageList list(body, cache, developer_role);
    if (!request.system.empty()) {
        list.separate();
        body += developer_role ? R"({"role":"developer","content":)"
                               : R"({"role":"system","content":)";
        append_json_string(body, request.system);
        body.push_back('}');
    }
    for (const auto& message : request.messages) {
        list.add(message);
    }
    list.flush();
    body.push_back(']');
}

void write_tool(JsonWriter& json, const ToolSpec& tool, std::optional<bool> adapt) {
    json.begin_object();
    json.key("type");
    json.string("function");
    json.key("function");
    json.begin_object();
    json.key("name");
    json.string(wire_tool_name(tool.name, strict_tool_names));
    if (!tool.description.empty()) {
        json.key("description");
        json.string(tool.description);
    }
    if (tool.parameters.text() != "null") {
        json.key("parameters");
        write_tool_schema(json, tool, adapt, SchemaRules::openai_strict);
    }
    if (tool.strict) {
        json.key("strict");
        json.boolean(*tool.strict);
    }
    json.end_object();
    json.end_object();
}

void write_tool_choice(JsonWriter& json, const ToolChoice& choice) {
    json.key("tool_choice");
    if (write_choice_mode(json, choice)) {
        return;
    }
    json.begin_object();
    json.key("type");
    json.string("function");
    json.key("function");
    json.begin_object();
    json.key("name");
    json.string(wire_tool_name(choice.name, strict_tool_names));
    json.end_object();
    json.end_object();
}

void write_search(JsonWriter& json, const std::vector<HostedTool>& hosted) {
    const auto search = std::find_if(hosted.begin(), hosted.end(), is_chat_search);
    if (search != hosted.end()) {
        json.key("web_search_options");
        write_chat_search(json, *search);
    }
}

void write_tools(JsonWriter& json, const ChatRequest& request) {
    const std::vector<HostedTool>& hosted = request.params.hosted_tools;
    write_search(json, hosted);
    if (!request.tools.empty() || !std::all_of(hosted.begin(), hosted.end(), is_chat_search)) {
        check_tool_names(request.tools, strict_tool_names);
        json.key("tools");
        json.begin_array();
        for (const HostedTool& tool : hosted) {
            if (!is_chat_search(tool)) {
                write_chat_tool(json, tool);
            }
        }
        for (const ToolSpec& tool : request.tools) {
            write_tool(json, tool, request.params.adapt_schemas);
        }
        json.end_array();
    } else if (!brings_tools(request.params)) {
        refuse_forced_call(request.tool_choice);
        // The API refuses tool_choice and parallel_tool_calls without tools.
        return;
    }
    if (request.tool_choice) {
        write_tool_choice(json, *request.tool_choice);
    }
    if (request.parallel_tool_calls) {
        json.key("parallel_tool_calls");
        json.boolean(*request.parallel_tool_calls);
    }
}

void write_params(
    JsonWriter& json,
    const SamplingParams& params,
    const Endpoint& endpoint,
    const ModelRules& rules,
    std::string_view model
) {
    check_model_sampling(params, rules, model);
    if (params.top_k && !endpoint.quirks.send_top_k) {
        throw LLMError(
            Errc::not_supported,
            "the provider " + endpoint.provider +
                " does not know top_k; remove parameters.top_k, or put it into extra_body"
        );
    }
    write_number(json, "temperature", params.temperature);
    write_number(json, "top_p", params.top_p);
    write_integer(json, "top_k", params.top_k);
    write_integer(
        json,
        rules.max_completion_tokens == true ? "max_completion_tokens" : "max_tokens",
        params.max_tokens
    );
    write_integer(json, "seed", params.seed);
    if (!params.stop.empty()) {
        json.key("stop");
        json.begin_array();
        for (const std::string& text : params.stop) {
            json.string(text);
        }
        json.end_array();
    }
    if (const auto effort = openai_effort(params, rules, model)) {
        json.key("reasoning_effort");
        json.string(*effort);
    }
    if (params.response_schema) {
        json.key("response_format");
        json.begin_object();
        json.key("type");
        json.string("json_schema");
        json.key("json_schema");
        json.begin_object();
        json.key("name");
        json.string("response");
        json.key("schema");
        write_schema(
            json,
            *params.response_schema,
            params.adapt_schemas,
            SchemaRules::openai_strict,
            response_schema_name
        );
        json.key("strict");
        json.boolean(true);
        json.end_object();
        json.end_object();
    }
}

void write_stream(JsonWriter& json, bool stream, const Endpoint& endpoint) {
    if (!stream) {
        return;
    }
    json.key("stream");
    json.boolean(true);
    if (endpoint.quirks.stream_usage) {
        json.key("stream_options");
        json.begin_object();
        json.key("include_usage");
        json.boolean(true);
        json.end_object();
    }
}

}  // namespace

std::string encode_chat_body(
    const ChatRequest& request,
    const Endpoint& endpoint,
    bool stream,
    EncodeCache& cache
) {
    if (request.messages.empty() && request.system.empty()) {
        invalid_request("the request has no messages; add one with ChatRequest::add");
    }
    // The small settings first: then the size is known and the body is reserved once.
    std::string settings;
    JsonWriter json(settings);
    json.begin_object();
    json.key("model");
    const std::string& model = model_of(request, endpoint);
    const ModelRules rules = rules_for(openai_chat_name, model, endpoint);
    json.string(wire_model(request, endpoint));
    write_tools(json, request);
    write_params(json, request.params, endpoint, rules, model);
    write_stream(json, stream, endpoint);
    const ExtraBody extra_body(request.params.extra_body, {"messages"});
    extra_body.merge_into_settings(settings);

    const std::size_t bytes = fill_encode_cache(request.messages, cache, append_chat_message);
    std::string body;
    body.reserve(settings.size() + bytes + request.system.size() + request.system.size() / 8 + 128);
    body += settings;
    write_messages(body, request, cache, rules.developer_role == true);
    body.push_back('}');
    extra_body.merge_into_body(body);
    return body;
}

}  // namespace llmproc::providers
