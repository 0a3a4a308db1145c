/// @file
/// OpenRouter's `reasoning_details`, put together from the pieces of a stream.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

/// Joins pieces of one detail: texts and summaries append, later members replace earlier ones.
/// What is no text (encrypted data, new types) stays an element of its own, as it came.
class ReasoningDetails {
public:
    /// Adds one element of a `reasoning_details` array. Throws LLMError{invalid_json}.
    void add(std::string_view element);
    bool empty() const noexcept { return entries_.empty(); }
    /// The whole array as JSON text.
    std::string json() const;

private:
    struct Entry {
        std::string raw;        ///< The element as it came, if it is not put together.
        std::string type;       ///< "reasoning.text" or "reasoning.summary", else empty.
        std::string index;      ///< JSON text; empty if there was none.
        std::string text_name;  ///< "text" or "summary".
        std::string text;
        std::vector<std::pair<std::string, std::string>> members;  ///< The others, as JSON text.
    };

    static Entry read(std::string_view element);
    static void merge(Entry& entry, Entry piece);

    std::vector<Entry> entries_;
};

}  // namespace llmproc::providers
