#include "program/key_suggestion.hpp"
#include "program/program_keys.hpp"

namespace llmproc {

namespace {

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
            fail_unknown_key(
                field,
                member.key,
                {"max_requests", "max_tokens", "max_cost_usd", "max_tool_calls"},
                "docs/program_file.md"
            );
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
