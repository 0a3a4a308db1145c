#include "providers/tool_names.hpp"

#include "providers/request_parts.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <variant>

namespace llmproc::providers {

namespace {

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_allowed(char c, std::string_view more) {
    return is_letter(c) || (c >= '0' && c <= '9') || more.find(c) != more.npos;
}

bool is_taken(std::string_view name, const ToolNameRules& rules) {
    return !name.empty() && name.size() <= rules.max_bytes &&
           (rules.any_start || is_letter(name.front())) &&
           std::all_of(name.begin(), name.end(), [&](char c) { return is_allowed(c, rules.more); });
}

/// FNV-1a, the same on every machine: names end up in stored conversations of providers.
std::uint64_t hash_of(std::string_view text) {
    std::uint64_t hash = 14695981039346656037U;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
    }
    return hash;
}

}  // namespace

std::string wire_tool_name(std::string_view name, const ToolNameRules& rules) {
    return is_taken(name, rules) ? std::string(name) : safe_tool_name(name);
}

std::string safe_tool_name(std::string_view name) {
    constexpr std::size_t max_bytes = 64;
    constexpr std::size_t hash_digits = 12;
    constexpr std::string_view digits = "0123456789abcdef";
    std::string safe;
    safe.reserve(max_bytes);
    for (const char c : name.substr(0, max_bytes - hash_digits - 2)) {
        if (safe.empty() && !is_letter(c)) {
            safe.push_back('_');
        }
        safe.push_back(is_allowed(c, "-") ? c : '_');
    }
    safe += safe.empty() ? "tool_" : "_";
    std::uint64_t hash = hash_of(name);
    for (std::size_t i = 0; i < hash_digits; ++i) {
        safe.push_back(digits[hash & 0xfU]);
        hash >>= 4U;
    }
    return safe;
}

void check_tool_names(const std::vector<ToolSpec>& tools, const ToolNameRules& rules) {
    const bool all_taken = std::all_of(tools.begin(), tools.end(), [&](const ToolSpec& tool) {
        return is_taken(tool.name, rules);
    });
    if (all_taken) {
        return;
    }
    std::map<std::string, std::string_view, std::less<>> seen;
    for (const ToolSpec& tool : tools) {
        std::string name = wire_tool_name(tool.name, rules);
        const auto [other, fresh] = seen.emplace(std::move(name), tool.name);
        if (!fresh && other->second != tool.name) {
            invalid_request(
                "the tools \"" + std::string(other->second) + "\" and \"" + tool.name +
                "\" would both be called \"" + other->first + "\"; rename one of them"
            );
        }
    }
}

ToolNames::ToolNames(const std::vector<ToolSpec>& tools) {
    for (const ToolSpec& tool : tools) {
        // A name that some provider takes as it is may be changed for another.
        if (is_taken(tool.name, strict_tool_names) && is_taken(tool.name, gemini_tool_names)) {
            continue;
        }
        changed_.emplace_back(safe_tool_name(tool.name), tool.name);
    }
    // A tool that has such a name itself is meant by it.
    std::erase_if(changed_, [&](const auto& change) {
        return std::any_of(tools.begin(), tools.end(), [&](const ToolSpec& tool) {
            return tool.name == change.first;
        });
    });
}

void ToolNames::restore(std::string& name) const {
    const auto change = std::find_if(changed_.begin(), changed_.end(), [&](const auto& candidate) {
        return candidate.first == name;
    });
    if (change != changed_.end()) {
        name = change->second;
    }
}

void ToolNames::restore(StreamEvent& event) const {
    if (!changed_.empty() && event.type == StreamEvent::Type::tool_call_begin) {
        restore(event.tool_name);
    }
}

void ToolNames::restore(Message& message) const {
    if (changed_.empty()) {
        return;
    }
    for (ContentBlock& block : message.content()) {
        if (auto* const call = std::get_if<ToolCallBlock>(&block)) {
            restore(call->name);
        }
    }
}

}  // namespace llmproc::providers
