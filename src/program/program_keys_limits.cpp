#include "program/key_suggestion.hpp"
#include "program/program_keys.hpp"

#include <array>
#include <string>
#include <string_view>

namespace llmproc {

namespace {

constexpr std::array<std::string_view, 4> limit_names{
    "max_requests",
    "max_tokens",
    "max_cost_usd",
    "max_tool_calls"};

[[noreturn]] void fail_unknown(const ConfigField& field, std::string_view name) {
    std::string problem = "unknown key";
    const std::string_view close = closest(name, {limit_names.begin(), limit_names.end()});
    if (!close.empty()) {
        problem += "; did you mean " + std::string(close) + "?";
    }
    throw ConfigError(field.key_place(), problem + "; docs/program_file.md lists all keys");
}

/// A limit of nothing would be a program that cannot do anything.
double amount(const ConfigField& field) {
    const double usd = field.number(0, 1e9);
    if (usd <= 0) {
        field.fail("expected more than 0 US dollars; remove the key for no limit");
    }
    return usd;
}

SpendingLimits read_limits(const ConfigField& table) {
    SpendingLimits limits;
    for (const ConfigMember& member : table.table()) {
        const ConfigField field = table.member(member);
        if (member.key == "max_requests") {
            limits.max_requests = field.integer(1, no_upper_limit);
        } else if (member.key == "max_tokens") {
            limits.max_tokens = field.integer(1, no_upper_limit);
        } else if (member.key == "max_cost_usd") {
            limits.max_cost_usd = amount(field);
        } else if (member.key == "max_tool_calls") {
            limits.max_tool_calls = field.integer(1, no_upper_limit);
        } else {
            fail_unknown(field, member.key);
        }
    }
    return limits;
}

}  // namespace

std::vector<KeyRow> spending_rows() {
    return {
        {"limits.run",
         {},
         [](auto& d, const auto& f) { d.settings.spending.run = read_limits(f); },
         {}},
        {"limits.process",
         {},
         [](auto& d, const auto& f) { d.settings.spending.process = read_limits(f); },
         {}},
    };
}

}  // namespace llmproc
