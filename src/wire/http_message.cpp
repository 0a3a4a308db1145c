#include <llmproc/http_message.hpp>
#include "wire/field_text.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace llmproc {
namespace {

bool same_name(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() &&
           std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) noexcept {
               return wire::lower(x) == wire::lower(y);
           });
}

// RFC 9110, 5.6.2.
constexpr auto token_chars = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789"
                                         "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
        table[static_cast<unsigned char>(c)] = true;
    }
    return table;
}();

constexpr bool is_token_char(char c) noexcept {
    return token_chars[static_cast<unsigned char>(c)];
}

constexpr bool is_forbidden_in_value(char c) noexcept {
    return c == '\r' || c == '\n' || c == '\0';
}

std::string hex_byte(char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    const auto byte = static_cast<unsigned char>(c);
    return {'0', 'x', digits[byte >> 4U], digits[byte & 15U]};
}

void check_field(std::string_view name, std::string_view value) {
    if (name.empty()) {
        throw std::invalid_argument("a header needs a name: the given one is empty");
    }
    const auto* const bad = std::find_if_not(name.begin(), name.end(), is_token_char);
    if (bad != name.end()) {
        // The name itself is left out: a key pasted in the wrong place would be printed.
        throw std::invalid_argument(
            "a header name has the byte " + hex_byte(*bad) + " at position " +
            std::to_string(bad - name.begin()) +
            ": use letters, digits and -_.!#$%&'*+^`|~ only (no space, colon or line break)"
        );
    }
    const auto* const forbidden = std::find_if(value.begin(), value.end(), is_forbidden_in_value);
    if (forbidden != value.end()) {
        const auto position = static_cast<std::size_t>(forbidden - value.begin());
        throw std::invalid_argument(
            "the value of header '" + std::string(name) + "' has the byte " +
            hex_byte(value[position]) + " at position " + std::to_string(position) +
            ": remove line breaks and NUL (a key read from a file may end with a newline)"
        );
    }
}

}  // namespace

Headers::Headers(std::initializer_list<value_type> fields) {
    fields_.reserve(fields.size());
    for (const auto& [name, value] : fields) {
        add(name, value);
    }
}

void Headers::add(std::string name, std::string value) {
    check_field(name, value);
    fields_.emplace_back(std::move(name), std::move(value));
}

void Headers::set(std::string name, std::string value) {
    check_field(name, value);
    const auto named = [&name](const value_type& field) { return same_name(field.first, name); };
    const auto first = std::find_if(fields_.begin(), fields_.end(), named);
    if (first == fields_.end()) {
        fields_.emplace_back(std::move(name), std::move(value));
        return;
    }
    fields_.erase(std::remove_if(first + 1, fields_.end(), named), fields_.end());
    *first = value_type(std::move(name), std::move(value));
}

std::optional<std::string_view> Headers::get(std::string_view name) const noexcept {
    for (const auto& [key, value] : fields_) {
        if (same_name(key, name)) {
            return value;
        }
    }
    return std::nullopt;
}

std::vector<std::string_view> Headers::get_all(std::string_view name) const {
    std::vector<std::string_view> values;
    for (const auto& [key, value] : fields_) {
        if (same_name(key, name)) {
            values.emplace_back(value);
        }
    }
    return values;
}

std::size_t Headers::erase(std::string_view name) {
    // The caller's view may point into a field that is about to go.
    const std::string kept(name);
    return std::erase_if(fields_, [&kept](const value_type& field) {
        return same_name(field.first, kept);
    });
}

}  // namespace llmproc
