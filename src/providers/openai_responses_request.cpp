#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "providers/extra_body.hpp"
#include "providers/hosted_tools.hpp"
#include "providers/json_members.hpp"
#include "providers/json_schema_shape.hpp"
#include "providers/model_rules.hpp"
#include "providers/openai_responses.hpp"
#include "providers/request_parts.hpp"
#include "providers/thinking.hpp"
#include "providers/tool_names.hpp"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::providers {

namespace {

void write_tool(JsonWriter& json, const ToolSpec& tool, std::optional<bool> adapt) {
    json.begin_object();
    json.key("type");
    json.string("function");
    json.key("name");
    json.string(wire_tool_name(tool.name, strict_tool_names));
    if (!tool.description.empty()) {
        json.key("description");
        json.string(tool.description);
    }
    json.key("parameters");
    write_tool_schema(json, tool, adapt, SchemaRules::openai_strict);
    // Left out it would mean true here, which most schemas are not made for.
    json.key("strict");
    json.boolean(tool.strict.value_or(false));
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
    json.key("name");
    json.string(wire_tool_name(choice.name, strict_tool_names));
    json.end_object();
}

void write_tools(JsonWriter& json, const ChatRequest& request) {
    const std::vector<HostedTool>& hosted = request.params.hosted_tools;
    if (request.tools.empty() && hosted.empty() && !brings_tools(request.params)) {
        refuse_forced_call(request.tool_choice);
        return;
    }
    check_tool_names(request.tools, strict_tool_names);
    if (!request.tools.empty() || !hosted.empty()) {
        json.key("tools");
        json.begin_array();
        for (const HostedTool& tool : hosted) {
            write_responses_tool(json, tool);
        }
        for (const ToolSpec& tool : request.tools) {
            write_tool(json, tool, request.params.adapt_schemas);
        }
        json.end_array();
    }
    if (request.tool_choice) {
        write_tool_choice(json, *request.tool_choice);
    }
    if (request.parallel_tool_calls) {
        json.key("parallel_tool_calls");
        json.boolean(*request.parallel_tool_calls);
    }
}

[[noreturn]] void parameter_not_supported(std::string_view name) {
    std::string text = "the Responses API does not know ";
    text.append(name).append("; remove parameters.").append(name);
    text += ", use the protocol openai_chat, or put it into extra_body";
    throw LLMError(Errc::not_supported, text);
}

void refuse_unknown_parameters(const SamplingParams& params, const Endpoint& endpoint) {
    if (!params.stop.empty()) {
        parameter_not_supported("stop");
    }
    if (params.seed) {
        parameter_not_supported("seed");
    }
    if (params.top_k && !endpoint.quirks.send_top_k) {
        parameter_not_supported("top_k");
    }
}

/// Settings that are part of what the model reads.
void write_input_settings(
    JsonWriter& json,
    const ChatRequest& request,
    const ModelRules& rules,
    std::string_view model
) {
    if (!request.system.empty()) {
        json.key("instructions");
        json.string(request.system);
    }
    write_tools(json, request);
    if (const auto effort = openai_effort(request.params, rules, model)) {
        json.key("reasoning");
        json.begin_object();
        json.key("effort");
        json.string(*effort);
        json.end_object();
    }
    if (request.params.response_schema) {
        json.key("text");
        json.begin_object();
        json.key("format");
        json.begin_object();
        json.key("type");
        json.string("json_schema");
        json.key("name");
        json.string("response");
        json.key("schema");
        write_schema(
            json,
            *request.params.response_schema,
            request.params.adapt_schemas,
            SchemaRules::openai_strict,
            response_schema_name
        );
        json.key("strict");
        json.boolean(true);
        json.end_object();
        json.end_object();
    }
}

void write_output_settings(JsonWriter& json, const SamplingParams& params, bool stream) {
    // The conversation is here, so the server need not keep it; then reasoning can only be sent
    // back in its encrypted form.
    json.key("store");
    json.boolean(false);
    json.key("include");
    json.begin_array();
    json.string("reasoning.encrypted_content");
    json.end_array();
    write_number(json, "temperature", params.temperature);
    write_number(json, "top_p", params.top_p);
    write_integer(json, "top_k", params.top_k);
    write_integer(json, "max_output_tokens", params.max_tokens);
    if (stream) {
        json.key("stream");
        json.boolean(true);
    }
}

void write_input(
    std::string& body,
    const ChatRequest& request,
    const ModelRules& rules,
    const EncodeCache& cache
) {
    body += ",\"input\":[";
    const std::size_t begin = body.size();
    for (const auto& message : request.messages) {
        const std::size_t before = body.size();
        if (before != begin) {
            body.push_back(',');
        }
        const std::size_t text = body.size();
        if (message->role() == Role::system) {
            append_input_items(body, *message, rules.developer_role == true);
        } else {
            body += *cache.find(message);
        }
        if (body.size() == text) {  // nothing of it means anything to this protocol
            body.resize(before);
        }
    }
    body.push_back(']');
}

std::string encode_body(
    const ChatRequest& request,
    const ModelRules& rules,
    std::string settings,
    const std::optional<RawJson>& extra,
    EncodeCache& cache
) {
    if (request.messages.empty() && request.system.empty()) {
        invalid_request("the request has no messages; add one with ChatRequest::add");
    }
    const ExtraBody extra_body(extra, {"input"});
    extra_body.merge_into_settings(settings);
    const std::size_t bytes = fill_encode_cache(request.messages, cache, append_input_items);
    std::string body = std::move(settings);
    body.reserve(body.size() + bytes + 32);
    write_input(body, request, rules, cache);
    body.push_back('}');
    extra_body.merge_into_body(body);
    return body;
}

/// The members of extra_body that the counting endpoint knows.
constexpr auto input_members = std::to_array<std::string_view>(
    {"conversation",
     "input",
     "instructions",
     "model",
     "parallel_tool_calls",
     "previous_response_id",
     "reasoning",
     "text",
     "tool_choice",
     "tools",
     "truncation"}
);

}  // namespace

std::string encode_responses_body(
    const ChatRequest& request,
    const Endpoint& endpoint,
    bool stream,
    EncodeCache& cache
) {
    refuse_unknown_parameters(request.params, endpoint);
    const std::string& model = model_of(request, endpoint);
    const ModelRules rules = rules_for(openai_responses_name, model, endpoint);
    check_model_sampling(request.params, rules, model);
    std::string settings;
    JsonWriter json(settings);
    json.begin_object();
    json.key("model");
    json.string(wire_model(request, endpoint));
    write_input_settings(json, request, rules, model);
    write_output_settings(json, request.params, stream);
    return encode_body(request, rules, std::move(settings), request.params.extra_body, cache);
}

std::string encode_input_tokens_body(const ChatRequest& request, const Endpoint& endpoint) {
    const std::string& model = model_of(request, endpoint);
    const ModelRules rules = rules_for(openai_responses_name, model, endpoint);
    std::string settings;
    JsonWriter json(settings);
    json.begin_object();
    json.key("model");
    json.string(wire_model(request, endpoint));
    write_input_settings(json, request, rules, model);
    std::optional<RawJson> extra = request.params.extra_body;
    if (extra) {
        extra = kept_members(*extra, input_members);
    }
    EncodeCache cache;
    return encode_body(request, rules, std::move(settings), extra, cache);
}

}  // namespace llmproc::providers
