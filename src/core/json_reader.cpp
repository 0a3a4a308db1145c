#include "core/json_reader.hpp"

#include <llmproc/error.hpp>
#include "core/json_token.hpp"
#include "core/text_scan.hpp"

#include <charconv>
#include <cmath>
#include <system_error>

namespace llmproc {

namespace {

constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}

std::size_t end_of_space(std::string_view text, std::size_t position) noexcept {
    while (position < text.size()) {
        const char c = text[position];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            break;
        }
        ++position;
    }
    return position;
}

}  // namespace

void JsonReader::fail(std::string_view expected) const {
    std::string message = "invalid JSON at offset " + std::to_string(position_) + ": expected ";
    message += expected;
    if (position_ >= text_.size()) {
        message += ", found the end of the text";
    } else if (const char c = text_[position_]; c > 0x20 && c < 0x7f) {
        message += std::string(", found '") + c + "'";
    } else {
        constexpr std::string_view hex = "0123456789abcdef";
        const auto byte = static_cast<unsigned char>(c);
        message += std::string(", found byte 0x") + hex[byte >> 4U] + hex[byte & 0xfU];
    }
    throw LLMError(Errc::invalid_json, message);
}

// These are inline, as they are most of the work: servers send JSON without white space, and most
// strings are plain.
inline void JsonReader::skip_space() noexcept {
    if (position_ < text_.size() && static_cast<unsigned char>(text_[position_]) <= ' ') {
        position_ = end_of_space(text_, position_);
    }
}

inline void JsonReader::expect(char wanted, std::string_view name) {
    skip_space();
    if (position_ >= text_.size() || text_[position_] != wanted) {
        fail(name);
    }
    ++position_;
}

inline void JsonReader::enter() {
    if (depth_ >= max_depth_) {
        --position_;
        fail("at most " + std::to_string(max_depth_) + " nested objects and arrays");
    }
    ++depth_;
    first_ = true;
}

inline JsonReader::StringToken JsonReader::scan_string(std::string_view expected) {
    expect('"', expected);
    const char* const begin = text_.data() + position_;
    const char* const end = text_.data() + text_.size();
    const char* const found = find_special(begin, end);
    if (found == end || *found != '"') {
        return scan_special_string();
    }
    const auto size = static_cast<std::size_t>(found - begin);
    position_ += size + 1;
    return StringToken{std::string_view(begin, size), false};
}

inline bool JsonReader::next_member(StringToken& name) {
    skip_space();
    if (current() == '}') {
        ++position_;
        --depth_;
        first_ = false;
        return false;
    }
    if (!first_) {
        expect(',', "',' or '}'");
        skip_space();
    }
    constexpr std::string_view first_name = "a member name in quotes or '}'";
    constexpr std::string_view other_name = "a member name in quotes";
    name = scan_string(first_ ? first_name : other_name);
    first_ = false;
    expect(':', "':'");
    return true;
}

/// Goes on behind the opening quote, with escapes, bytes beyond ASCII or an error ahead.
JsonReader::StringToken JsonReader::scan_special_string() {
    const std::size_t begin = position_;
    const char* const end = text_.data() + text_.size();
    StringToken token;
    for (;;) {
        const char* const found = find_special(text_.data() + position_, end);
        position_ = static_cast<std::size_t>(found - text_.data());
        if (found == end || static_cast<unsigned char>(*found) < 0x20) {
            fail("'\"' or an escaped character");
        }
        if (*found == '"') {
            token.content = text_.substr(begin, position_ - begin);
            ++position_;
            return token;
        }
        if (*found == '\\') {
            token.escaped = true;
            scan_escape();
            continue;
        }
        const unsigned length = utf8_sequence(found, end);
        if (length == 0) {
            fail("valid UTF-8");
        }
        position_ += length;
    }
}

JsonKind JsonReader::peek() {
    skip_space();
    switch (current()) {
        case '{': return JsonKind::object;
        case '[': return JsonKind::array;
        case '"': return JsonKind::string;
        case 't':
        case 'f': return JsonKind::boolean;
        case 'n': return JsonKind::null;
        default:
            if (current() != '-' && !is_digit(current())) {
                fail("a value");
            }
            return JsonKind::number;
    }
}

void JsonReader::begin_object() {
    expect('{', "an object");
    enter();
}

void JsonReader::begin_array() {
    expect('[', "an array");
    enter();
}

bool JsonReader::next_key(std::string_view& key) {
    StringToken name;
    if (!next_member(name)) {
        return false;
    }
    key = name.content;
    if (name.escaped) {
        key_buffer_.text.clear();
        append_unescaped(key_buffer_.text, name.content);
        key = key_buffer_.text;
    }
    return true;
}

bool JsonReader::next_element() {
    skip_space();
    if (current() == ']') {
        ++position_;
        --depth_;
        first_ = false;
        return false;
    }
    if (!first_) {
        expect(',', "',' or ']'");
        skip_space();
        if (current() == ']') {
            fail("a value");
        }
    }
    first_ = false;
    return true;
}

void JsonReader::scan_escape() {
    ++position_;
    const char letter = current();
    if (letter != 'u') {
        if (letter == '\0' ||
            std::string_view("\"\\/bfnrt").find(letter) == std::string_view::npos) {
            fail(R"(one of "\/bfnrtu after '\')");
        }
        ++position_;
        return;
    }
    ++position_;
    for (int i = 0; i < 4; ++i, ++position_) {
        if (hex_value(current()) < 0) {
            fail("four hexadecimal digits after '\\u'");
        }
    }
}

std::string JsonReader::string() {
    const StringToken token = scan_string("a string");
    if (!token.escaped) {
        return std::string(token.content);
    }
    std::string value;
    value.reserve(token.content.size());
    append_unescaped(value, token.content);
    return value;
}

void JsonReader::append_string(std::string& out) {
    const StringToken token = scan_string("a string");
    if (token.escaped) {
        append_unescaped(out, token.content);
    } else {
        out.append(token.content);
    }
}

std::string_view JsonReader::string_view_or_buffer(std::string& scratch) {
    const StringToken token = scan_string("a string");
    if (!token.escaped) {
        return token.content;
    }
    scratch.clear();
    append_unescaped(scratch, token.content);
    return scratch;
}

void JsonReader::scan_digits() {
    if (!is_digit(current())) {
        fail("a digit");
    }
    while (is_digit(current())) {
        ++position_;
    }
}

JsonReader::NumberToken JsonReader::scan_number() {
    skip_space();
    const std::size_t begin = position_;
    if (current() != '-' && !is_digit(current())) {
        fail("a number");
    }
    NumberToken token;
    token.integral = true;
    if (current() == '-') {
        ++position_;
    }
    if (current() == '0') {
        ++position_;
    } else {
        scan_digits();
    }
    if (current() == '.') {
        ++position_;
        token.integral = false;
        scan_digits();
    }
    if (current() == 'e' || current() == 'E') {
        ++position_;
        token.integral = false;
        if (current() == '+' || current() == '-') {
            ++position_;
        }
        scan_digits();
    }
    token.content = text_.substr(begin, position_ - begin);
    return token;
}

double JsonReader::number() {
    const NumberToken token = scan_number();
    const double value = to_double(token.content);
    if (!std::isfinite(value)) {
        position_ -= token.content.size();
        fail("a number within the range of double");
    }
    return value;
}

std::int64_t JsonReader::integer() {
    const NumberToken token = scan_number();
    if (token.integral) {
        const char* const begin = token.content.data();
        std::int64_t value = 0;
        const auto parsed = std::from_chars(begin, begin + token.content.size(), value);
        if (parsed.ec == std::errc()) {
            return value;
        }
    } else if (const double value = to_double(token.content);
               value >= -0x1p63 && value < 0x1p63 && std::trunc(value) == value) {
        return static_cast<std::int64_t>(value);
    }
    position_ -= token.content.size();
    fail("an integer of 64 bits");
}

bool JsonReader::match(std::string_view literal) noexcept {
    if (!text_.substr(position_).starts_with(literal)) {
        return false;
    }
    position_ += literal.size();
    return true;
}

void JsonReader::expect_literal(std::string_view literal) {
    skip_space();
    if (!match(literal)) {
        fail(literal);
    }
}

bool JsonReader::boolean() {
    skip_space();
    if (match("true")) {
        return true;
    }
    if (!match("false")) {
        fail("true or false");
    }
    return false;
}

void JsonReader::null() {
    expect_literal("null");
}

bool JsonReader::consume_null() {
    if (peek() != JsonKind::null) {
        return false;
    }
    null();
    return true;
}

void JsonReader::skip() {
    switch (peek()) {
        case JsonKind::object: {
            StringToken name;
            begin_object();
            while (next_member(name)) {
                skip();
            }
            return;
        }
        case JsonKind::array:
            begin_array();
            while (next_element()) {
                skip();
            }
            return;
        case JsonKind::string: static_cast<void>(scan_string("a string")); return;
        case JsonKind::number: static_cast<void>(scan_number()); return;
        case JsonKind::boolean: static_cast<void>(boolean()); return;
        case JsonKind::null: null(); return;
    }
}

std::string_view JsonReader::raw() {
    skip_space();
    const std::size_t begin = position_;
    skip();
    return text_.substr(begin, position_ - begin);
}

void JsonReader::finish() {
    skip_space();
    if (position_ < text_.size()) {
        fail("the end of the text");
    }
}

void validate_json(std::string_view text) {
    JsonReader reader(text);
    reader.skip();
    reader.finish();
}

}  // namespace llmproc
