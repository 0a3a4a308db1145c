#include "process/fallback_rule.hpp"

#include <llmproc/error.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <set>
#include <stdexcept>

namespace llmproc {
namespace {

bool moves_on(const LLMError& error) {
    return another_model_may_do(error.with(error.diagnostics()));
}

TEST(FallbackRuleTest, EveryCodeHasItsDecision) {
    const std::set<Errc> passing{
        Errc::resolve_failed,
        Errc::connect_failed,
        Errc::tls_handshake_failed,
        Errc::connection_lost,
        Errc::truncated_response,
        Errc::truncated_stream,
        Errc::conflict,
        Errc::rate_limited,
        Errc::server_error,
        Errc::overloaded,
        Errc::timeout,
        Errc::queue_full};
    for (int code = 1; code <= static_cast<int>(Errc::internal); ++code) {
        const auto errc = static_cast<Errc>(code);
        EXPECT_EQ(moves_on(LLMError(errc, "x")), passing.contains(errc)) << code;
    }
}

TEST(FallbackRuleTest, LimitsOfTheCallEndIt) {
    const std::set<Stage> of_the_call{Stage::queue, Stage::consumer, Stage::close, Stage::total};
    for (int number = 0; number <= static_cast<int>(Stage::total); ++number) {
        const auto stage = static_cast<Stage>(number);
        const Timeout timeout(stage, std::chrono::seconds(1));
        EXPECT_EQ(moves_on(timeout), !of_the_call.contains(stage)) << to_string(stage);
    }
}

TEST(FallbackRuleTest, WhatEndsACallFromOutsideEndsIt) {
    EXPECT_FALSE(moves_on(Cancelled(CancelReason::user)));
    EXPECT_FALSE(moves_on(Cancelled(CancelReason::signal)));
    EXPECT_FALSE(moves_on(ProcessClosed()));
}

TEST(FallbackRuleTest, ABugIsNotHidden) {
    EXPECT_FALSE(another_model_may_do(std::make_exception_ptr(std::logic_error("bug"))));
    EXPECT_FALSE(another_model_may_do(std::make_exception_ptr(1)));
}

}  // namespace
}  // namespace llmproc
