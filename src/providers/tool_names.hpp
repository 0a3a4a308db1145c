/// @file
/// Names of tools that a provider refuses, changed for the wire and back.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/stream_event.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

/// What a protocol takes as the name of a tool.
struct ToolNameRules {
    std::size_t max_bytes = 64;
    std::string_view more = "-";  ///< Beside letters, digits and '_'.
    bool any_start = true;        ///< A digit or one of `more` may come first.
};

/// OpenAI's and Anthropic's.
inline constexpr ToolNameRules strict_tool_names{};
inline constexpr ToolNameRules gemini_tool_names{128, ".:-", false};

/// The name as it is, or, if the protocol refuses it, `safe_tool_name`.
std::string wire_tool_name(std::string_view name, const ToolNameRules& rules);

/// A name of the form [A-Za-z_][A-Za-z0-9_-]{0,63}, which every provider takes: what is not allowed
/// becomes '_', and a hash of the whole name tells those apart that would become equal. The same
/// name becomes the same one always, since encoded messages are kept.
std::string safe_tool_name(std::string_view name);

/// Throws LLMError{invalid_argument} if two tools of the request would have one name on the wire.
void check_tool_names(const std::vector<ToolSpec>& tools, const ToolNameRules& rules);

/// Gives calls the names that the request's tools have.
class ToolNames {
public:
    ToolNames() = default;
    explicit ToolNames(const std::vector<ToolSpec>& tools);

    /// Whether there is nothing to change, as nearly always.
    bool empty() const noexcept { return changed_.empty(); }
    void restore(std::string& name) const;
    void restore(Message& message) const;
    void restore(StreamEvent& event) const;

private:
    std::vector<std::pair<std::string, std::string>> changed_;  ///< Wire name, own name.
};

}  // namespace llmproc::providers
