#include <llmproc/error.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <exception>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

namespace llmproc {
namespace {

using namespace std::chrono_literals;

constexpr int last_code = static_cast<int>(Errc::internal);

Diagnostics diagnostics() {
    Diagnostics known;
    known.provider = "groq";
    known.model = "some-model";
    known.endpoint = "https://api.example:443";
    known.status = 429;
    known.request_id = "req_17";
    known.provider_message = "Slow\ndown";
    known.retry_after = 1500ms;
    known.attempts = 3;
    known.stage = Stage::first_byte;
    return known;
}

/// What `error.with(...)` holds; the caller says as which type it must be caught.
template <class Error>
void expect_keeps_type(const Error& error) {
    try {
        std::rethrow_exception(error.with(diagnostics()));
    } catch (const LLMError& copy) {
        EXPECT_EQ(typeid(copy), typeid(Error));
        EXPECT_EQ(copy.code(), error.code());
        EXPECT_EQ(copy.message(), error.message());
        EXPECT_EQ(copy.diagnostics().request_id, "req_17");
    }
    EXPECT_TRUE(error.diagnostics().request_id.empty());
    EXPECT_THROW(error.rethrow_with(diagnostics()), Error);
}

TEST(ErrorTest, EveryCodeHasItsOwnMessage) {
    std::set<std::string> messages;
    for (int value = 1; value <= last_code; ++value) {
        const std::string message = make_error_code(static_cast<Errc>(value)).message();
        EXPECT_GT(message.size(), 8U) << value;
        EXPECT_TRUE(messages.insert(message).second) << value << ": " << message;
    }
    EXPECT_EQ(
        error_category().message(last_code + 1),
        "unknown error " + std::to_string(last_code + 1)
    );
    EXPECT_EQ(error_category().message(0), "unknown error 0");
    EXPECT_EQ(error_category().message(-1), "unknown error -1");
}

TEST(ErrorTest, CodesMatchExactlyTheirConditions) {
    const std::vector<std::pair<Condition, std::set<Errc>>> table = {
        {Condition::retryable,
         {Errc::connect_failed,
          Errc::resolve_failed,
          Errc::connection_lost,
          Errc::truncated_response,
          Errc::truncated_stream,
          Errc::timeout,
          Errc::conflict,
          Errc::rate_limited,
          Errc::server_error,
          Errc::overloaded,
          Errc::queue_full}},
        {Condition::timeout, {Errc::timeout}},
        {Condition::cancelled, {Errc::cancelled, Errc::process_closed, Errc::interrupted}},
        {Condition::rate_limited, {Errc::rate_limited}},
        {Condition::authentication,
         {Errc::missing_api_key, Errc::authentication_failed, Errc::permission_denied}},
        {Condition::invalid_request,
         {Errc::invalid_request,
          Errc::context_length,
          Errc::content_filtered,
          Errc::request_too_large,
          Errc::not_found,
          Errc::invalid_argument,
          Errc::not_supported}},
        {Condition::closed,
         {Errc::process_closed,
          Errc::loop_closed,
          Errc::loop_died,
          Errc::loop_stopped,
          Errc::queue_closed}},
    };
    for (const auto& [condition, members] : table) {
        for (int value = 1; value <= last_code; ++value) {
            const auto code = static_cast<Errc>(value);
            EXPECT_EQ(make_error_code(code) == condition, members.contains(code))
                << make_error_code(code).message() << " / "
                << make_error_condition(condition).message();
        }
    }
}

TEST(ErrorTest, ForeignCodesAndUnknownValuesMatchNoCondition) {
    const boost::system::error_code foreign = make_error_code(boost::system::errc::timed_out);
    const boost::system::error_code unknown(last_code + 1, error_category());
    for (int value = 1; value <= static_cast<int>(Condition::closed); ++value) {
        EXPECT_FALSE(foreign == static_cast<Condition>(value));
        EXPECT_FALSE(unknown == static_cast<Condition>(value));
    }
}

TEST(ErrorTest, CodesAreErrorCodes) {
    const boost::system::error_code code = Errc::timeout;
    EXPECT_EQ(code, Errc::timeout);
    EXPECT_NE(code, Errc::cancelled);
    EXPECT_STREQ(code.category().name(), "llmproc");
    EXPECT_STREQ(condition_category().name(), "llmproc.condition");
    std::set<std::string> messages;
    for (int value = 1; value <= static_cast<int>(Condition::closed); ++value) {
        EXPECT_TRUE(
            messages.insert(make_error_condition(static_cast<Condition>(value)).message()).second
        );
    }
}

TEST(ErrorTest, WhatIsOneLineWithTheDetails) {
    const LLMError error(Errc::rate_limited, "the provider asks to slow down", diagnostics());
    EXPECT_STREQ(
        error.what(),
        "the provider asks to slow down: Slow down (provider groq, model some-model, endpoint "
        "https://api.example:443, HTTP 429, request id req_17, stage first byte, after 3 attempts)"
    );
    EXPECT_EQ(error.message(), "the provider asks to slow down");
    EXPECT_EQ(error.diagnostics().retry_after, 1500ms);
}

TEST(ErrorTest, WhatDoesNotRepeatWhatTheMessageSays) {
    Diagnostics known;
    known.provider_message = "bad key";
    known.status = 401;
    const LLMError error(Errc::authentication_failed, "groq answered HTTP 401: bad key", known);
    EXPECT_STREQ(error.what(), "groq answered HTTP 401: bad key");
}

TEST(ErrorTest, WhatHasNoCategoryTextAndNoSourcePlace) {
    for (int value = 1; value <= last_code; ++value) {
        const auto code = static_cast<Errc>(value);
        EXPECT_STREQ(LLMError(code, "the message").what(), "the message");
        EXPECT_EQ(LLMError(code, "").what(), make_error_code(code).message());
    }
}

TEST(ErrorTest, CopiesShareTheirTextAndNeverThrow) {
    static_assert(std::is_nothrow_copy_constructible_v<LLMError>);
    static_assert(std::is_nothrow_copy_assignable_v<LLMError>);
    static_assert(std::is_nothrow_copy_constructible_v<Cancelled>);
    static_assert(std::is_nothrow_copy_constructible_v<Timeout>);
    static_assert(std::is_nothrow_copy_constructible_v<ProcessClosed>);
    static_assert(std::is_nothrow_copy_constructible_v<ReentrantCall>);
    static_assert(std::is_nothrow_copy_constructible_v<ConfigError>);
    static_assert(std::is_nothrow_copy_constructible_v<ToolError>);
    const LLMError error(Errc::server_error, "text", diagnostics());
    LLMError copy = error;
    EXPECT_EQ(copy.what(), error.what());
    copy = LLMError(Errc::conflict, "other");
    EXPECT_EQ(copy.errc(), Errc::conflict);
    EXPECT_STREQ(copy.what(), "other");
    EXPECT_STREQ(error.what(), LLMError(Errc::server_error, "text", diagnostics()).what());
}

TEST(ErrorTest, OtherDiagnosticsKeepTheDynamicType) {
    expect_keeps_type(LLMError(Errc::not_found, "no such model"));
    expect_keeps_type(Cancelled(CancelReason::shutdown));
    expect_keeps_type(Timeout(Stage::connect, 10s));
    expect_keeps_type(ProcessClosed());
    expect_keeps_type(WouldDeadlock("on the loop"));
    expect_keeps_type(ReentrantCall("stream open"));
    expect_keeps_type(
        ConfigError(Errc::missing_api_key, ConfigPlace{"a.toml", 3, 4, "model"}, "no key")
    );
    expect_keeps_type(ToolError("calculator", "not there"));
}

TEST(ErrorTest, OtherDiagnosticsKeepTheOwnFields) {
    try {
        Cancelled(CancelReason::abandoned).rethrow_with(diagnostics());
    } catch (const Cancelled& error) {
        EXPECT_EQ(error.reason(), CancelReason::abandoned);
    }
    try {
        Timeout(Stage::body, 1500ms).rethrow_with(diagnostics());
    } catch (const Timeout& error) {
        EXPECT_EQ(error.stage(), Stage::body);
        EXPECT_EQ(error.limit(), 1500ms);
    }
    try {
        ConfigError(ConfigPlace{"a.toml", 3, 4, "model.name"}, "is empty")
            .rethrow_with(diagnostics());
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.file(), "a.toml");
        EXPECT_EQ(error.line(), 3U);
        EXPECT_EQ(error.column(), 4U);
        EXPECT_EQ(error.key(), "model.name");
        EXPECT_EQ(error.message(), "a.toml:3:4: model.name: is empty");
    }
    try {
        ToolError("calculator", "not there").rethrow_with(diagnostics());
    } catch (const ToolError& error) {
        EXPECT_EQ(error.tool(), "calculator");
    }
}

TEST(ErrorTest, SubclassesSayWhatHappened) {
    EXPECT_STREQ(Cancelled(CancelReason::user).what(), "the call was cancelled (reason: user)");
    EXPECT_STREQ(
        Timeout(Stage::first_byte, 600s).what(),
        "the time limit of 600 s passed (stage: first byte)"
    );
    EXPECT_STREQ(Timeout(Stage::none, 1500ms).what(), "the time limit of 1500 ms passed");
    EXPECT_STREQ(ToolError("calc", "not there").what(), "tool \"calc\": not there");
    EXPECT_EQ(Cancelled(CancelReason::user).code(), Condition::cancelled);
    EXPECT_EQ(Timeout(Stage::total, 1s).code(), Condition::timeout);
    EXPECT_EQ(ProcessClosed().code(), Condition::closed);
    EXPECT_EQ(WouldDeadlock("x").errc(), Errc::would_deadlock);
    EXPECT_EQ(ReentrantCall("x").errc(), Errc::reentrant_call);
    EXPECT_THROW(throw ReentrantCall("x"), WouldDeadlock);
    EXPECT_THROW(throw ToolError("a", "b"), boost::system::system_error);
}

TEST(ErrorTest, ConfigErrorsNameOnlyTheKnownPlace) {
    EXPECT_STREQ(ConfigError(ConfigPlace{"a.toml", 3, 0, ""}, "p").what(), "a.toml:3: p");
    EXPECT_STREQ(ConfigError(ConfigPlace{"a.toml", 0, 0, "k"}, "p").what(), "a.toml: k: p");
    EXPECT_STREQ(ConfigError(ConfigPlace{"", 3, 7, "k"}, "p").what(), "line 3:7: k: p");
    EXPECT_STREQ(ConfigError(ConfigPlace{"", 0, 0, "k"}, "p").what(), "k: p");
    EXPECT_STREQ(ConfigError(ConfigPlace(), "p").what(), "p");
}

TEST(ErrorTest, EnumeratorsHaveDistinctNames) {
    std::set<std::string_view> stages;
    for (int value = 0; value <= static_cast<int>(Stage::total); ++value) {
        EXPECT_TRUE(stages.insert(to_string(static_cast<Stage>(value))).second);
    }
    EXPECT_FALSE(stages.contains("unknown"));
    std::set<std::string_view> reasons;
    for (int value = 0; value <= static_cast<int>(CancelReason::abandoned); ++value) {
        EXPECT_TRUE(reasons.insert(to_string(static_cast<CancelReason>(value))).second);
    }
    EXPECT_FALSE(reasons.contains("unknown"));
}

}  // namespace
}  // namespace llmproc
