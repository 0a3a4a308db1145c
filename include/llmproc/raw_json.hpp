/// @file
/// JSON kept as the exact text it came in.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/json_fwd.hpp>

#include <string>
#include <string_view>

namespace llmproc {

/// One JSON value as text: key order, number spelling and white space stay as they were.
///
/// Providers compare replayed values byte for byte (signatures, encrypted reasoning), and a parse
/// and dump would lose digits of large numbers. `parse()` gives a document when one is wanted.
class LLMPROC_API RawJson {
public:
    /// The value `null`.
    RawJson();
    /// Keeps `text` as it is, but for white space around the value.
    /// Throws LLMError{invalid_json} naming the offset if it is not one JSON value (RFC 8259).
    explicit RawJson(std::string text);
    /// Keeps text that is already known to be one JSON value; not checked.
    static RawJson trusted(std::string text);
    /// The dump of a document. Needs <llmproc/json.hpp> at the caller.
    static RawJson from(const Json& document);

    const std::string& text() const noexcept { return text_; }
    /// A document of it. Throws LLMError{invalid_json}. Needs <llmproc/json.hpp> at the caller.
    Json parse() const;

    friend bool operator==(const RawJson&, const RawJson&) = default;

private:
    struct Trusted {};
    RawJson(Trusted, std::string text) noexcept;
    std::string text_;
};

}  // namespace llmproc
