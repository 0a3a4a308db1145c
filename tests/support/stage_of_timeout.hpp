/// @file
/// Time limits of real time that a slow machine does not turn into another test.
#pragma once

#include <llmproc/error.hpp>
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace llmproc::testing {

/// Where the limit ends `run(limit)`. On a slow machine a short one may end it before `wanted`, so
/// longer ones are tried then.
template <typename Run>
Stage stage_of_the_timeout(Stage wanted, Run run) {
    using std::chrono::milliseconds;
    Stage stage = Stage::none;
    for (milliseconds limit(400); stage != wanted && limit < watchdog; limit *= 4) {
        try {
            run(limit);
            ADD_FAILURE() << "no timeout";
        } catch (const Timeout& timeout) {
            EXPECT_EQ(timeout.limit(), limit);
            stage = timeout.stage();
        }
    }
    return stage;
}

}  // namespace llmproc::testing
