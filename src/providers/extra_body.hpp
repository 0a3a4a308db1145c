/// @file
/// What users add to the bodies of requests themselves.
#pragma once

#include <llmproc/chat.hpp>

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::providers {

/// extra_body, for all protocols alike: objects are merged at every depth, the array `tools` is
/// appended to the request's own, anything else replaces what has its name. Bodies are written as
/// settings first and messages last, and only the settings, which are small, are read again, unless
/// it names what stands behind them.
class ExtraBody {
public:
    /// `behind` are the members behind the settings. Lifetime: `extra` is kept by address.
    /// Throws LLMError{invalid_argument} if it is no object.
    ExtraBody(const std::optional<RawJson>& extra, std::initializer_list<std::string_view> behind);
    /// Merges into an object that is still open.
    void merge_into_settings(std::string& settings) const;
    /// Merges into the whole body, if that is still to be done.
    void merge_into_body(std::string& body) const;

private:
    const RawJson* extra_ = nullptr;
    bool names_messages_ = false;
};

/// Whether extra_body brings tools: then a choice among tools is no mistake.
bool brings_tools(const SamplingParams& params);

}  // namespace llmproc::providers
