/// @file
/// The tokens that a call's value says it cost.
#pragma once

#include <llmproc/usage.hpp>

namespace llmproc {

/// Null if a value of that kind does not say.
template <typename T>
const Usage* usage_of(const T& value) noexcept {
    if constexpr (requires { value.usage(); }) {
        return &value.usage();
    } else if constexpr (requires { value.usage; }) {
        return &value.usage;
    } else {
        return nullptr;
    }
}

}  // namespace llmproc
