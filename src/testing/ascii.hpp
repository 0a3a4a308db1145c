#pragma once

#include <algorithm>
#include <string_view>

namespace llmproc::testing {

/// Header names are ASCII; the locale must not take part.
inline bool equal_ignoring_case(std::string_view left, std::string_view right) {
    const auto lower = [](char letter) {
        return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    };
    return std::equal(
        left.begin(),
        left.end(),
        right.begin(),
        right.end(),
        [lower](char a, char b) { return lower(a) == lower(b); }
    );
}

}  // namespace llmproc::testing
