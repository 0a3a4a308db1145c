/// @file
/// Writes JSON text straight into a string, without a document.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace llmproc {

/// Appends `text` as a JSON string with its quotes; invalid UTF-8 is replaced by U+FFFD.
void append_json_string(std::string& out, std::string_view text);

/// Appends JSON to one string and sets the commas itself. Nesting is the caller's duty.
/// Lifetime: `out` must outlive the writer.
class JsonWriter {
public:
    explicit JsonWriter(std::string& out) noexcept : out_(out) {}

    void begin_object();
    void end_object();
    void begin_array();
    void end_array();
    /// A member's name; its value must follow.
    void key(std::string_view name);

    void string(std::string_view value);
    void integer(std::int64_t value);
    /// The shortest text that reads back as the same double.
    /// Throws LLMError{invalid_argument} for NaN and infinity, which JSON does not have.
    void number(double value);
    void boolean(bool value);
    void null();
    /// JSON text as it is; not checked.
    void raw(std::string_view text);

private:
    void separate();

    std::string& out_;
    bool comma_ = false;
};

}  // namespace llmproc
