/// @file
/// Functions and errors that the tests of the executor hand to it.
#pragma once

#include <stdexcept>

namespace llmproc::testing {

inline int add(int a, int b) {
    return a + b;
}

/// An error of the caller's, with its text.
struct OwnError : std::runtime_error {
    using std::runtime_error::runtime_error;
};

}  // namespace llmproc::testing
