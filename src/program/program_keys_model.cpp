#include "program/key_suggestion.hpp"
#include "program/program_keys.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc {

namespace {

using Switch = std::optional<bool> ModelRules::*;

/// The rules that are switches, by the names that they have everywhere.
constexpr std::array<std::pair<std::string_view, Switch>, 6> switches{{
    {"sampling", &ModelRules::sampling},
    {"max_completion_tokens", &ModelRules::max_completion_tokens},
    {"developer_role", &ModelRules::developer_role},
    {"structured_output", &ModelRules::structured_output},
    {"adaptive_thinking", &ModelRules::adaptive_thinking},
    {"thinking_budget", &ModelRules::thinking_budget},
}};
constexpr std::string_view output_limit = "max_output_tokens";

[[noreturn]] void fail_unknown_rule(const ConfigField& field, std::string_view name) {
    std::vector<std::string_view> names{output_limit};
    for (const auto& [known, member] : switches) {
        names.push_back(known);
    }
    fail_unknown_key(field, name, names, "docs/program_file.md");
}

}  // namespace

void set_model_rules(ProgramDraft& draft, const ConfigField& field) {
    ModelRules& rules = draft.settings.rules;
    for (const ConfigMember& member : field.table()) {
        const ConfigField inner = field.member(member);
        const auto* const known = std::find_if(
            switches.begin(),
            switches.end(),
            [&](const auto& entry) { return entry.first == member.key; }
        );
        if (known != switches.end()) {
            rules.*(known->second) = inner.boolean();
        } else if (member.key == output_limit) {
            rules.max_output_tokens = inner.integer(1, no_upper_limit);
        } else {
            fail_unknown_rule(inner, member.key);
        }
    }
}

void set_thinking(ProgramDraft& draft, const ConfigField& field) {
    std::optional<Thinking>& thinking = draft.settings.params.thinking;
    if (std::holds_alternative<std::int64_t>(field.value().data)) {
        thinking = Thinking::budget(field.integer(1, no_upper_limit));
        return;
    }
    if (!std::holds_alternative<std::string>(field.value().data)) {
        field.fail_type(R"("off", "adaptive" or a number of tokens)");
    }
    thinking = Thinking(
        field.one_of({"off", "adaptive"}) == 0 ? Thinking::Mode::off : Thinking::Mode::adaptive
    );
}

namespace {

HostedTool hosted_tool(const ConfigField& field) {
    if (std::holds_alternative<std::string>(field.value().data)) {
        return HostedTool(field.line());
    }
    if (!std::holds_alternative<ConfigTable>(field.value().data)) {
        field.fail_type("the name of a tool, or a table with its kind and options");
    }
    ConfigTable options = field.table();
    const auto kind = std::find_if(options.begin(), options.end(), [](const ConfigMember& member) {
        return member.key == "kind";
    });
    if (kind == options.end()) {
        field.fail("has no kind; add one, for example { kind = \"web_search\", max_uses = 3 }");
    }
    HostedTool tool(field.member(*kind).line());
    options.erase(kind);
    if (!options.empty()) {
        const ConfigValue rest{std::move(options), field.value().position};
        tool.options = RawJson::trusted(field.element(rest).json());
    }
    return tool;
}

}  // namespace

void set_hosted_tools(ProgramDraft& draft, const ConfigField& field) {
    const auto* const array = std::get_if<ConfigArray>(&field.value().data);
    if (array == nullptr) {
        field.fail_type("an array of tools, for example [\"web_search\"]");
    }
    for (const ConfigValue& element : *array) {
        draft.settings.params.hosted_tools.push_back(hosted_tool(field.element(element)));
    }
}

std::vector<KeyRow> tool_rows() {
    return {
        {"tools.hosted", {}, set_hosted_tools, {}},
        {"tools.builtin", {}, nullptr, {}},
    };
}

}  // namespace llmproc
