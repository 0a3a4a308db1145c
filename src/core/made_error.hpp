/// @file
/// Errors for places that must not throw.
#pragma once

#include <llmproc/error.hpp>

#include <exception>

namespace llmproc {

/// An LLMError; without memory for it, what making it threw.
inline std::exception_ptr made_error(Errc code, const char* text) noexcept {
    try {
        return std::make_exception_ptr(LLMError(code, text));
    } catch (...) {
        return std::current_exception();
    }
}

}  // namespace llmproc
