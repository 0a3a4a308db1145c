#include "providers/hosted_tools.hpp"

#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "providers/json_members.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

namespace llmproc::providers {

namespace {

/// A neutral kind and what a protocol calls it; empty = it has none.
using Name = std::pair<std::string_view, std::string_view>;
using Names = std::array<Name, 5>;

// The newest types of 2026-11; older ones are asked for by their own name.
constexpr Names anthropic_names{{
    {"web_search", "web_search_20260318"},
    {"web_fetch", "web_fetch_20260318"},
    {"code_execution", "code_execution_20260521"},
    {"file_search", ""},
    {"url_context", ""},
}};
constexpr Names responses_names{{
    {"web_search", "web_search"},
    {"web_fetch", ""},
    {"code_execution", "code_interpreter"},
    {"file_search", "file_search"},
    {"url_context", ""},
}};
constexpr Names gemini_names{{
    {"web_search", "googleSearch"},
    {"web_fetch", "urlContext"},
    {"code_execution", "codeExecution"},
    {"file_search", "fileSearch"},
    {"url_context", "urlContext"},
}};
constexpr Names chat_names{{
    {"web_search", ""},
    {"web_fetch", ""},
    {"code_execution", ""},
    {"file_search", ""},
    {"url_context", ""},
}};

/// The protocol's own type for a kind.
std::string type_of(
    const HostedTool& tool,
    const Names& names,
    std::string_view protocol,
    std::string_view remedy
) {
    if (tool.kind.empty()) {
        invalid_request("a hosted tool needs a kind, for example \"web_search\"");
    }
    const auto* const known = std::find_if(names.begin(), names.end(), [&](const Name& name) {
        return name.first == tool.kind;
    });
    if (known == names.end()) {
        return tool.kind;
    }
    if (known->second.empty()) {
        std::string text(protocol);
        text.append(" has no hosted tool ").append(tool.kind).append("; ").append(remedy);
        throw LLMError(Errc::not_supported, text);
    }
    return std::string(known->second);
}

std::string_view options_of(const HostedTool& tool) {
    if (!tool.options) {
        return "{}";
    }
    if (JsonReader(tool.options->text()).peek() != JsonKind::object) {
        invalid_request("the options of the hosted tool " + tool.kind + " must be a JSON object");
    }
    return tool.options->text();
}

/// {"type":TYPE} with `more`, and the options, which win.
void write_typed(
    JsonWriter& json,
    const HostedTool& tool,
    std::string_view type,
    std::string_view more
) {
    std::string entry = R"({"type":)";
    append_json_string(entry, type);
    entry.append(more).push_back('}');
    json.raw(merge_members(entry, options_of(tool)));
}

/// "bash" of "bash_20250124".
std::string_view without_date(std::string_view type) {
    constexpr std::size_t date = 8;
    const std::size_t mark = type.rfind('_');
    const bool dated = mark != type.npos && type.size() - mark - 1 == date &&
                       std::all_of(
                           type.begin() + static_cast<std::ptrdiff_t>(mark) + 1,
                           type.end(),
                           [](char c) { return c >= '0' && c <= '9'; }
                       );
    return dated ? type.substr(0, mark) : type;
}

}  // namespace

void write_anthropic_tool(JsonWriter& json, const HostedTool& tool) {
    const std::string type = type_of(
        tool,
        anthropic_names,
        "Anthropic Messages",
        "use web_search, web_fetch or code_execution, or remove it"
    );
    std::string name = R"(,"name":)";
    append_json_string(name, without_date(type));
    write_typed(json, tool, type, name);
}

void write_responses_tool(JsonWriter& json, const HostedTool& tool) {
    const std::string type = type_of(
        tool,
        responses_names,
        "the Responses API",
        "use web_search, which reads pages too, or remove it"
    );
    // The API demands to be told where code runs.
    const bool code = type == "code_interpreter";
    write_typed(json, tool, type, code ? R"(,"container":{"type":"auto"})" : "");
}

void write_gemini_tool(JsonWriter& json, const HostedTool& tool) {
    const std::string name = type_of(tool, gemini_names, "Gemini", "remove it");
    json.begin_object();
    json.key(name);
    json.raw(options_of(tool));
    json.end_object();
}

void write_chat_tool(JsonWriter& json, const HostedTool& tool) {
    const std::string type = type_of(
        tool,
        chat_names,
        "Chat Completions",
        "use a provider whose protocol has it (openai_responses, anthropic, gemini), or write the "
        "server's own field into extra_body"
    );
    write_typed(json, tool, type, "");
}

bool is_chat_search(const HostedTool& tool) {
    return tool.kind == "web_search";
}

void write_chat_search(JsonWriter& json, const HostedTool& tool) {
    json.raw(options_of(tool));
}

}  // namespace llmproc::providers
