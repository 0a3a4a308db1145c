/// @file
/// What the lint reports of a line.
#pragma once

#include <cstddef>
#include <string>

namespace llmproc::lint {

struct Finding {
    std::size_t line = 0;
    std::string message;
};

}  // namespace llmproc::lint
