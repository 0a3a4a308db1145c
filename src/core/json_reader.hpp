/// @file
/// A validating pull reader of JSON text: the fast path for replies and stream events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmproc {

/// What kind of value comes next.
enum class JsonKind { object, array, string, number, boolean, null };

/// Reads one JSON text (RFC 8259, UTF-8 validated) from front to back, without a document.
///
/// Objects: `begin_object();` then `while (next_key(key))` read or `skip()` exactly one value.
/// Arrays: `begin_array();` then `while (next_element())` read or `skip()` exactly one value.
/// It is strict but for one thing: an escaped lone surrogate, which some servers send where they
/// cut a text, is read as U+FFFD. A byte order mark is refused.
///
/// Allocates only where a string with escapes is decoded. Copy it to look ahead.
/// Lifetime: the text must outlive the reader and the views it gave.
/// Throws: each function LLMError{invalid_json} naming the offset and what was expected; the
/// reader must not be used after that.
class JsonReader {
public:
    explicit JsonReader(std::string_view text, unsigned max_depth = 512) noexcept
        : text_(text),
          max_depth_(max_depth) {}

    JsonKind peek();

    void begin_object();
    /// Moves to the next member; false once the closing brace is consumed. `key` is valid until
    /// the next call of this function.
    bool next_key(std::string_view& key);
    void begin_array();
    /// Moves to the next element; false once the closing bracket is consumed.
    bool next_element();

    std::string string();
    /// Appends a string's value to `out`.
    void append_string(std::string& out);
    /// A string's value: a view into the text, or into `scratch` if it had escapes.
    std::string_view string_view_or_buffer(std::string& scratch);
    /// An integer; 1.0 and 1e3 count, 1.5 and what does not fit 64 bits do not.
    std::int64_t integer();
    /// A number; one beyond the range of double is refused, one below it is 0.
    double number();
    bool boolean();
    void null();
    /// Consumes the next value if it is null and says whether it did.
    bool consume_null();

    /// Validates and drops the next value.
    void skip();
    /// The exact text of the next value, validated, without white space around it.
    std::string_view raw();
    /// Only white space may follow.
    void finish();

    /// How far the text is consumed, in bytes.
    std::size_t offset() const noexcept { return position_; }
    /// Throws the error of this reader: "invalid JSON at offset N: expected ..., found ...".
    [[noreturn]] void fail(std::string_view expected) const;

private:
    /// A string between its quotes, as it stands in the text.
    struct StringToken {
        std::string_view content;
        bool escaped = false;
    };
    struct NumberToken {
        std::string_view content;
        bool integral = false;  ///< Neither fraction nor exponent.
    };

    /// Of one reader: who looks ahead at each of many values must not copy a long key each time.
    struct KeyBuffer {
        KeyBuffer() = default;
        KeyBuffer(const KeyBuffer& /*other*/) noexcept {}
        KeyBuffer& operator=(const KeyBuffer& /*other*/) noexcept { return *this; }
        ~KeyBuffer() = default;

        std::string text;
    };

    char current() const noexcept { return position_ < text_.size() ? text_[position_] : '\0'; }
    void skip_space() noexcept;
    void expect(char wanted, std::string_view name);
    void enter();
    bool next_member(StringToken& name);
    StringToken scan_string(std::string_view expected);
    StringToken scan_special_string();
    void scan_escape();
    NumberToken scan_number();
    void scan_digits();
    bool match(std::string_view literal) noexcept;
    void expect_literal(std::string_view literal);

    std::string_view text_;
    std::size_t position_ = 0;
    unsigned depth_ = 0;
    unsigned max_depth_;
    bool first_ = false;  ///< The innermost object or array has had nothing yet.
    KeyBuffer key_buffer_;
};

/// Throws LLMError{invalid_json} unless `text` is exactly one JSON value.
void validate_json(std::string_view text);

}  // namespace llmproc
