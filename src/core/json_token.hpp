/// @file
/// Decoding of single JSON tokens whose grammar was checked before.
#pragma once

#include <string>
#include <string_view>

namespace llmproc {

/// The value of a hexadecimal digit; -1 for any other character.
inline int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Appends the content of a string (between its quotes), escapes decoded. An escaped lone
/// surrogate becomes U+FFFD.
void append_unescaped(std::string& out, std::string_view content);

/// A number's value: infinity (positive, whatever the sign) if it is too large for double, 0 if it
/// is too small.
double to_double(std::string_view number) noexcept;

}  // namespace llmproc
