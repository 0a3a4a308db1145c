#include "wire/retry_policy.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>

namespace llmproc::wire {
namespace {

using namespace std::chrono_literals;
using std::chrono::microseconds;
using std::chrono::system_clock;

// Sat, 21 Nov 2026 00:00:00 GMT
const system_clock::time_point now = std::chrono::sys_days(std::chrono::year(2026) / 11 / 21);

nlohmann::json recorded() {
    std::ifstream file(LLMPROC_CASSETTE_DIR "/retry/retry-cases.json");
    return nlohmann::json::parse(file);
}

RetryPolicy sdk_policy() {
    RetryPolicy policy;
    policy.jitter = Jitter::sdk;
    return policy;
}

Failure with_status(int status, const Headers* headers = nullptr) {
    Failure failure;
    failure.status = status;
    failure.headers = headers;
    return failure;
}

microseconds from_ms(const nlohmann::json& value) {
    return microseconds(std::llround(value.get<double>() * 1000.0));
}

std::string date_header(const std::string& label) {
    if (label.find("10 s ahead") != std::string::npos) {
        return "Sat, 21 Nov 2026 00:00:10 GMT";
    }
    if (label.find("10 s ago") != std::string::npos) {
        return "Fri, 20 Nov 2026 23:59:50 GMT";
    }
    return label.find("600 s ahead") != std::string::npos ? "Sat, 21 Nov 2026 00:10:00 GMT" : "";
}

TEST(RetryPolicyTest, Trap16_DecidesAsTheRecordedSdk) {
    int count = 0;
    const auto document = recorded();
    for (const auto& entry : document.at("cases")) {
        SCOPED_TRACE(entry.dump());
        ++count;
        Headers headers;
        const auto given = entry.value("headers", nlohmann::json::object());
        for (const auto& [name, value] : given.items()) {
            headers.add(name, value.get<std::string>());
        }
        Failure failure;
        failure.headers = &headers;
        if (entry.contains("status")) {
            failure.status = entry.at("status").get<int>();
            if (entry.contains("label")) {
                const auto date = date_header(entry.at("label").get<std::string>());
                ASSERT_FALSE(date.empty());
                headers.add("Retry-After", date);
            }
        } else {
            failure.connection_error = true;
        }
        const auto longest = decide(sdk_policy(), failure, 0.0, now);
        const auto shortest = decide(sdk_policy(), failure, 1.0, now);
        const auto& expected = entry.at("openai");
        EXPECT_EQ(longest.retry, !expected.is_null());
        EXPECT_EQ(shortest.retry, longest.retry);
        if (expected.is_null()) {
            continue;
        }
        EXPECT_EQ(longest.hinted, expected.is_number());
        EXPECT_EQ(longest.delay, from_ms(expected.is_array() ? expected[0] : expected));
        EXPECT_EQ(shortest.delay, from_ms(expected.is_array() ? expected[1] : expected));
    }
    EXPECT_EQ(count, 59);
}

TEST(RetryPolicyTest, BacksOffAsTheRecordedSdk) {
    const nlohmann::json document = recorded();
    const auto& backoffs = document.at("backoff").at("openai");
    auto policy = sdk_policy();
    EXPECT_EQ(policy.max_attempts, backoffs.at("max_retries_default").get<int>() + 1);
    policy.max_attempts = 100;
    const auto& longest = backoffs.at("longest_ms");
    ASSERT_EQ(longest.size(), 7U);
    for (std::size_t i = 0; i < longest.size(); ++i) {
        Failure failure = with_status(503);
        failure.attempt = static_cast<int>(i) + 1;
        EXPECT_EQ(decide(policy, failure, 0.0, now).delay, from_ms(longest[i]));
        EXPECT_EQ(decide(policy, failure, 1.0, now).delay, from_ms(backoffs.at("shortest_ms")[i]));
        policy.jitter = Jitter::full;
        EXPECT_EQ(decide(policy, failure, 0.0, now).delay, from_ms(longest[i]));
        EXPECT_EQ(decide(policy, failure, 0.75, now).delay * 4, from_ms(longest[i]));
        EXPECT_EQ(decide(policy, failure, 1.0, now).delay, 0us);
        policy.jitter = Jitter::sdk;
    }
}

TEST(RetryPolicyTest, FullJitterIsTheDefault) {
    EXPECT_EQ(RetryPolicy().jitter, Jitter::full);
    EXPECT_EQ(decide(RetryPolicy(), with_status(500), 0.5, now).delay, 250ms);
}

TEST(RetryPolicyTest, StopsAfterTheLastAttempt) {
    RetryPolicy policy;
    Failure failure = with_status(500);
    failure.attempt = 2;
    EXPECT_TRUE(decide(policy, failure, 0.0, now).retry);
    failure.attempt = 3;
    EXPECT_FALSE(decide(policy, failure, 0.0, now).retry);
    EXPECT_EQ(decide(policy, failure, 0.0, now).reason, RetryReason::attempts_exhausted);
    policy.max_attempts = 1;
    failure.attempt = 1;
    EXPECT_FALSE(decide(policy, failure, 0.0, now).retry);
    EXPECT_EQ(decide(policy, with_status(400), 0.0, now).reason, RetryReason::not_retryable);
}

TEST(RetryPolicyTest, Trap17_NeverRepeatsWhatReachedTheUser) {
    const Headers headers{{"x-should-retry", "true"}, {"retry-after", "1"}};
    Failure failure = with_status(500, &headers);
    failure.delivered = true;
    EXPECT_FALSE(decide(RetryPolicy(), failure, 0.0, now).retry);
    EXPECT_EQ(decide(RetryPolicy(), failure, 0.0, now).reason, RetryReason::delivered);
}

TEST(RetryPolicyTest, Trap18_NeverRetriesASpentQuota) {
    const Headers headers{{"x-should-retry", "true"}, {"retry-after", "1"}};
    for (const std::string code : {"insufficient_quota", "credit_balance_exhausted"}) {
        Failure failure = with_status(429, &headers);
        failure.provider_code = code;
        EXPECT_FALSE(decide(RetryPolicy(), failure, 0.0, now).retry) << code;
        EXPECT_EQ(decide(RetryPolicy(), failure, 0.0, now).reason, RetryReason::quota);
    }
    Failure failure = with_status(429);
    failure.provider_code = "rate_limit_exceeded";
    EXPECT_TRUE(decide(RetryPolicy(), failure, 0.0, now).retry);
}

TEST(RetryPolicyTest, SaysWhy) {
    const Headers yes{{"X-Should-Retry", " true "}};
    const Headers no{{"X-Should-Retry", "false"}};
    Failure lost;
    EXPECT_EQ(decide(RetryPolicy(), lost, 0.0, now).reason, RetryReason::not_retryable);
    lost.connection_error = true;
    EXPECT_EQ(decide(RetryPolicy(), lost, 0.0, now).reason, RetryReason::connection_error);
    EXPECT_EQ(
        decide(RetryPolicy(), with_status(400, &yes), 0.0, now).reason,
        RetryReason::server_asks
    );
    EXPECT_EQ(
        decide(RetryPolicy(), with_status(500, &no), 0.0, now).reason,
        RetryReason::server_forbids
    );
    EXPECT_EQ(
        decide(RetryPolicy(), with_status(500), 0.0, now).reason,
        RetryReason::retryable_status
    );
    EXPECT_EQ(to_string(RetryReason::quota), "quota exhausted");
}

TEST(RetryPolicyTest, ObeysTheConfiguredCapOfHints) {
    const Headers headers{{"retry-after", "90"}};
    RetryPolicy policy = sdk_policy();
    EXPECT_EQ(decide(policy, with_status(429, &headers), 0.0, now).delay, 500ms);
    policy.max_retry_after = 90s;
    EXPECT_EQ(decide(policy, with_status(429, &headers), 0.0, now).delay, 90s);
}

TEST(RetryPolicyTest, ReadsHintsBeyondTheCapForReports) {
    const Headers hour{{"retry-after", "3600"}};
    const Headers rfc850{{"retry-after", "Saturday, 21-Nov-26 00:00:07 GMT"}};
    const Headers asctime{{"retry-after", "Sat Nov 21 00:00:07 2026"}};
    EXPECT_EQ(retry_after_hint(hour, now), 1h);
    EXPECT_EQ(retry_after_hint(rfc850, now), 7s);
    EXPECT_EQ(retry_after_hint(asctime, now), 7s);
    for (const std::string text :
         {"nan", "inf", "-Infinity", "1e400", "1e30", "-0.1", "+", ".", "", "  ", "e5"}) {
        const Headers bad{{"retry-after", text}};
        EXPECT_EQ(retry_after_hint(bad, now), std::nullopt) << text;
    }
}

TEST(RetryPolicyTest, StaysInBoundsForOddInput) {
    RetryPolicy policy;
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const double chance : {nan, -1.0, 2.0, infinity, -infinity}) {
        for (const int retries : {-5, 0, 70, std::numeric_limits<int>::max()}) {
            const auto wait = backoff(policy, retries, chance);
            EXPECT_GE(wait, 0us);
            EXPECT_LE(wait, policy.max_delay);
        }
    }
    policy.initial_delay = 0ms;
    EXPECT_EQ(backoff(policy, 100, 0.0), 0us);
    policy.initial_delay = std::chrono::milliseconds::max();
    policy.max_delay = std::chrono::milliseconds::max();
    EXPECT_GT(backoff(policy, 100, 0.0), 0us);
}

}  // namespace
}  // namespace llmproc::wire
