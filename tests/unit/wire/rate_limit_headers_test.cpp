#include "wire/rate_limit_headers.hpp"

#include "wire/http_time.hpp"

#include <gtest/gtest.h>

#include <string>

namespace llmproc::wire {
namespace {

using namespace std::chrono_literals;
using std::chrono::system_clock;

system_clock::time_point noon() {
    return std::chrono::sys_days(std::chrono::year(2026) / 1 / 31) + 12h;
}

TEST(RateLimitHeadersTest, ReadsOpenAi) {
    const Headers headers{
        {"content-type", "application/json"},
        {"x-ratelimit-limit-requests", "500"},
        {"x-ratelimit-limit-tokens", "30000"},
        {"x-ratelimit-remaining-requests", "499"},
        {"X-RateLimit-Remaining-Tokens", " 29900 "},
        {"x-ratelimit-reset-requests", "120ms"},
        {"x-ratelimit-reset-tokens", "6m0s"},
    };
    const RateLimitInfo info = parse_rate_limits(headers, noon());
    EXPECT_EQ(info.requests.limit, 500);
    EXPECT_EQ(info.requests.remaining, 499);
    EXPECT_EQ(info.requests.reset, 120ms);
    EXPECT_EQ(info.tokens.limit, 30000);
    EXPECT_EQ(info.tokens.remaining, 29900);
    EXPECT_EQ(info.tokens.reset, 6min);
    EXPECT_TRUE(info.known());
    EXPECT_FALSE(info.exhausted());
}

TEST(RateLimitHeadersTest, ReadsAnthropic) {
    const Headers headers{
        {"anthropic-ratelimit-requests-limit", "50"},
        {"anthropic-ratelimit-requests-remaining", "0"},
        {"anthropic-ratelimit-requests-reset", "2026-01-31T12:00:01Z"},
        {"anthropic-ratelimit-tokens-limit", "40000"},
        {"anthropic-ratelimit-tokens-remaining", "39000"},
        {"Anthropic-RateLimit-Tokens-Reset", "2026-01-31T12:00:01.5Z"},
    };
    const RateLimitInfo info = parse_rate_limits(headers, noon());
    EXPECT_EQ(info.requests.limit, 50);
    EXPECT_EQ(info.requests.remaining, 0);
    EXPECT_EQ(info.requests.reset, 1s);
    EXPECT_TRUE(info.requests.exhausted());
    EXPECT_TRUE(info.exhausted());
    EXPECT_EQ(info.tokens.limit, 40000);
    EXPECT_EQ(info.tokens.remaining, 39000);
    EXPECT_EQ(info.tokens.reset, 1500ms);
}

TEST(RateLimitHeadersTest, OfSeveralBudgetsTheScarcestCounts) {
    const Headers headers{
        {"anthropic-ratelimit-tokens-limit", "90000"},
        {"anthropic-ratelimit-tokens-remaining", "5000"},
        {"anthropic-ratelimit-input-tokens-limit", "80000"},
        {"anthropic-ratelimit-input-tokens-remaining", "70000"},
        {"anthropic-ratelimit-output-tokens-limit", "8000"},
        {"anthropic-ratelimit-output-tokens-remaining", "40"},
    };
    const RateLimitInfo info = parse_rate_limits(headers, noon());
    EXPECT_EQ(info.tokens.limit, 8000);
    EXPECT_EQ(info.tokens.remaining, 40);
    EXPECT_FALSE(info.requests.known());
}

TEST(RateLimitHeadersTest, OfEqualBudgetsTheLaterResetCounts) {
    const Headers headers{
        {"anthropic-ratelimit-input-tokens-remaining", "0"},
        {"anthropic-ratelimit-input-tokens-reset", "2026-01-31T12:00:05Z"},
        {"anthropic-ratelimit-output-tokens-remaining", "0"},
        {"anthropic-ratelimit-output-tokens-reset", "2026-01-31T12:00:09Z"},
    };
    EXPECT_EQ(parse_rate_limits(headers, noon()).tokens.reset, 9s);
}

TEST(RateLimitHeadersTest, TheDateOfTheAnswerReplacesAWrongClock) {
    const Headers headers{
        {"Date", "Sat, 31 Jan 2026 12:00:00 GMT"},
        {"anthropic-ratelimit-requests-remaining", "0"},
        {"anthropic-ratelimit-requests-reset", "2026-01-31T12:00:10Z"},
    };
    EXPECT_EQ(parse_rate_limits(headers, noon() + 24h).requests.reset, 10s);
    EXPECT_EQ(parse_rate_limits(headers, noon() - 24h).requests.reset, 10s);
}

TEST(RateLimitHeadersTest, AResetInThePastIsNow) {
    const Headers headers{
        {"anthropic-ratelimit-requests-remaining", "0"},
        {"anthropic-ratelimit-requests-reset", "2026-01-31T11:00:00Z"},
    };
    const RateLimitInfo info = parse_rate_limits(headers, noon());
    EXPECT_EQ(info.requests.reset, 0s);
    EXPECT_FALSE(info.exhausted());
}

TEST(RateLimitHeadersTest, GarbageIsUnknown) {
    for (const char* const value :
         {"",
          " ",
          "-1",
          "+1",
          "1.5",
          "0x10",
          "many",
          "12 34",
          "99999999999999999999",
          "1, 2",
          "100;w=60"}) {
        const Headers headers{
            {"x-ratelimit-limit-requests", value},
            {"x-ratelimit-remaining-tokens", value},
            {"anthropic-ratelimit-output-tokens-limit", value},
        };
        EXPECT_FALSE(parse_rate_limits(headers, noon()).known()) << '"' << value << '"';
    }
    for (const char* const value : {"", "-1s", "60", "soon", "2026-02-31T00:00:00Z", "1s2"}) {
        const Headers headers{
            {"x-ratelimit-reset-requests", value},
            {"anthropic-ratelimit-tokens-reset", value},
        };
        EXPECT_FALSE(parse_rate_limits(headers, noon()).known()) << '"' << value << '"';
    }
}

TEST(RateLimitHeadersTest, OtherHeadersAreLeftAlone) {
    const Headers headers{
        {"x-ratelimit-", "1"},
        {"x-ratelimit-limit", "1"},
        {"x-ratelimit-limit-", "1"},
        {"x-ratelimit--requests", "1"},
        {"x-ratelimit-requests", "1"},
        {"x-ratelimit-remaining-project-tokens", "1"},
        {"x-ratelimit-limit-requests-day", "1"},
        {"x-ratelimit-limitremaining-requests", "1"},
        {"anthropic-ratelimit-tokens", "1"},
        {"anthropic-ratelimit-tokens-", "1"},
        {"anthropic-ratelimit-tokens-remaining-now", "1"},
        {"anthropic-ratelimit-unified-remaining", "1"},
        {"retry-after", "1"},
    };
    EXPECT_FALSE(parse_rate_limits(headers, noon()).known());
    EXPECT_FALSE(parse_rate_limits(Headers(), noon()).known());
}

TEST(RateLimitHeadersTest, TheFirstReadableOfRepeatedHeadersCounts) {
    const Headers headers{
        {"x-ratelimit-remaining-requests", "?"},
        {"x-ratelimit-remaining-requests", "7"},
        {"x-ratelimit-remaining-requests", "9"},
    };
    EXPECT_EQ(parse_rate_limits(headers, noon()).requests.remaining, 7);
}

TEST(RateLimitHeadersTest, ReadsRfc3339) {
    EXPECT_EQ(parse_rfc3339("2026-01-31T12:00:00Z"), noon());
    EXPECT_EQ(parse_rfc3339("2026-01-31t12:00:00z"), noon());
    EXPECT_EQ(parse_rfc3339("2026-01-31 12:00:00Z"), noon());
    EXPECT_EQ(parse_rfc3339("2026-01-31T14:30:00+02:30"), noon());
    EXPECT_EQ(parse_rfc3339("2026-01-31T04:00:00-08:00"), noon());
    EXPECT_EQ(parse_rfc3339("2026-01-31T12:00:00.25Z"), noon() + 250ms);
    EXPECT_EQ(parse_rfc3339("2026-01-31T12:00:00.123456789Z"), noon() + 123456us);
    EXPECT_EQ(parse_rfc3339("2026-01-31T11:59:60Z"), noon());
    EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00Z"), system_clock::time_point());
    EXPECT_TRUE(parse_rfc3339("2024-02-29T00:00:00Z"));
}

TEST(RateLimitHeadersTest, RefusesWhatIsNotRfc3339) {
    const std::string good = "2026-01-31T12:00:00.5+01:00";
    ASSERT_TRUE(parse_rfc3339(good));
    for (std::size_t size = 0; size < good.size(); ++size) {
        EXPECT_FALSE(parse_rfc3339(good.substr(0, size))) << good.substr(0, size);
    }
    for (const char* const text :
         {"2026-01-31T12:00:00",
          "2026-01-31T12:00:00.Z",
          "2026-01-31T24:00:00Z",
          "2026-01-31T12:60:00Z",
          "2026-01-31T12:00:61Z",
          "2026-13-01T12:00:00Z",
          "2026-00-01T12:00:00Z",
          "2025-02-29T12:00:00Z",
          "2026-01-31T12:00:00Zx",
          "2026-01-31T12:00:00+24:00",
          "1969-12-31T00:00:00Z",
          "9999-01-01T00:00:00Z",
          "2026-1-31T12:00:00Z",
          "-026-01-31T12:00:00Z",
          "2026/01/31T12:00:00Z"}) {
        EXPECT_FALSE(parse_rfc3339(text)) << text;
    }
}

}  // namespace
}  // namespace llmproc::wire
