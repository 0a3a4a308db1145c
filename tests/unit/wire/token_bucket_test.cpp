#include "wire/token_bucket.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <limits>
#include <random>
#include <vector>

namespace llmproc::wire {
namespace {

using namespace std::chrono_literals;
using Clock = TokenBucket::Clock;

constexpr std::int64_t no_limit = std::numeric_limits<std::int64_t>::max();

Clock::time_point start() {
    return Clock::time_point(1000h);
}

RateLimitWindow window(
    std::optional<std::int64_t> limit,
    std::optional<std::int64_t> remaining,
    std::optional<std::chrono::microseconds> reset
) {
    RateLimitWindow made;
    made.limit = limit;
    made.remaining = remaining;
    made.reset = reset;
    return made;
}

TEST(TokenBucketTest, StartsFullAndFillsEvenly) {
    TokenBucket bucket(60, start());
    EXPECT_EQ(bucket.available(start()), 60);
    EXPECT_TRUE(bucket.untouched(start()));
    EXPECT_TRUE(bucket.take(60, start()));
    EXPECT_FALSE(bucket.untouched(start()));
    EXPECT_EQ(bucket.available(start()), 0);
    EXPECT_FALSE(bucket.take(1, start()));
    EXPECT_EQ(bucket.time_until(1, start()), 1s);
    EXPECT_EQ(bucket.time_until(30, start()), 30s);
    EXPECT_EQ(bucket.available(start() + 10s), 10);
    EXPECT_FALSE(bucket.take(11, start() + 10s));
    EXPECT_TRUE(bucket.take(10, start() + 10s));
    EXPECT_EQ(bucket.available(start() + 24h), 60);
    EXPECT_TRUE(bucket.untouched(start() + 24h));
}

TEST(TokenBucketTest, AfterTheTimeItNamesItGives) {
    std::mt19937_64 random(7);
    for (int round = 0; round < 20'000; ++round) {
        const auto limit = static_cast<std::int64_t>(1 + random() % 3'000'000);
        TokenBucket bucket(limit, start());
        Clock::time_point now = start();
        for (int i = 0; i < 4; ++i) {
            const auto n = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(limit));
            const Clock::duration wait = bucket.time_until(n, now);
            if (wait > 1us) {
                ASSERT_FALSE(bucket.take(n, now + wait - 1us - wait / 1000)) << limit << ' ' << n;
            }
            now += wait;
            ASSERT_TRUE(bucket.take(n, now)) << limit << ' ' << n;
        }
    }
}

TEST(TokenBucketTest, ARequestLargerThanTheBucketPassesWhenItIsFull) {
    TokenBucket bucket(100, start());
    ASSERT_TRUE(bucket.take(1, start()));
    EXPECT_FALSE(bucket.take(1000, start()));
    EXPECT_EQ(bucket.time_until(1000, start()), 600ms);
    const auto full = start() + 600ms;
    EXPECT_TRUE(bucket.take(1000, full));
    EXPECT_EQ(bucket.available(full), -900);
    // The debt is paid off before anybody else passes.
    EXPECT_FALSE(bucket.take(0, full));
    EXPECT_FALSE(bucket.take(1, full + 9min));
    EXPECT_TRUE(bucket.take(1, full + 9min + 600ms));
}

TEST(TokenBucketTest, AnAbsurdDebtEndsWithinTheHour) {
    TokenBucket bucket(100, start());
    EXPECT_TRUE(bucket.take(no_limit, start()));
    EXPECT_FALSE(bucket.take(1, start() + 59min));
    EXPECT_TRUE(bucket.take(1, start() + 61min));
}

TEST(TokenBucketTest, TheActualUseCorrectsTheEstimate) {
    TokenBucket bucket(1000, start());
    ASSERT_TRUE(bucket.take(400, start()));
    bucket.correct(100, start());
    EXPECT_EQ(bucket.available(start()), 500);
    bucket.correct(-300, start());
    EXPECT_EQ(bucket.available(start()), 800);
    bucket.correct(-5000, start());
    EXPECT_EQ(bucket.available(start()), 1000) << "never more than full";
    bucket.correct(1200, start());
    EXPECT_EQ(bucket.available(start()), -200);
}

TEST(TokenBucketTest, WithoutALimitEverythingPasses) {
    for (const std::int64_t none : {std::int64_t(0), std::int64_t(-5)}) {
        TokenBucket bucket(none, start());
        EXPECT_EQ(bucket.limit(), 0);
        EXPECT_EQ(bucket.available(start()), no_limit);
        EXPECT_TRUE(bucket.take(no_limit, start()));
        bucket.correct(no_limit, start());
        bucket.observe(window(100, 1, 60s), start());
        EXPECT_EQ(bucket.time_until(no_limit, start()), 0s);
        EXPECT_TRUE(bucket.untouched(start()));
    }
}

TEST(TokenBucketTest, WithoutALimitAnEmptyBudgetOfTheProviderHolds) {
    TokenBucket bucket(0, start());
    bucket.observe(window(100, 0, 5s), start());
    EXPECT_FALSE(bucket.untouched(start()));
    EXPECT_EQ(bucket.available(start()), 0);
    EXPECT_EQ(bucket.time_until(1, start()), 5s);
    EXPECT_FALSE(bucket.take(1, start() + 4999ms));
    // The answers to older requests, which come in now, do not lift it.
    bucket.observe(window(100, 3, 2s), start() + 1s);
    bucket.observe(window(100, 0, 1s), start() + 1s);
    EXPECT_EQ(bucket.time_until(1, start() + 1s), 4s);
    EXPECT_TRUE(bucket.take(1, start() + 5s));
    EXPECT_EQ(bucket.available(start() + 5s), no_limit);
}

TEST(TokenBucketTest, AHoldIsBounded) {
    TokenBucket bucket(0, start());
    bucket.observe(window(10'000, 0, 24h), start());
    EXPECT_EQ(bucket.time_until(1, start()), TokenBucket::max_hold);
}

TEST(TokenBucketTest, AnEmptyBudgetWithoutAResetHoldsNobody) {
    TokenBucket bucket(0, start());
    bucket.observe(window(100, 0, std::nullopt), start());
    bucket.observe(window(100, 0, 0s), start());
    EXPECT_TRUE(bucket.take(1, start()));
}

TEST(TokenBucketTest, TheProviderLowersAndNeverRaises) {
    TokenBucket bucket(100, start());
    bucket.observe(window(std::nullopt, 30, std::nullopt), start());
    EXPECT_EQ(bucket.available(start()), 30);
    bucket.observe(window(std::nullopt, 90, std::nullopt), start());
    EXPECT_EQ(bucket.available(start()), 30);
    bucket.observe(window(std::nullopt, std::nullopt, 10s), start());
    EXPECT_EQ(bucket.available(start()), 30);
    bucket.observe(window(1'000'000, 1'000'000, 10s), start() + 24h);
    EXPECT_EQ(bucket.available(start() + 24h), 100);
}

TEST(TokenBucketTest, ASmallerBudgetOfTheProviderBoundsTheBurst) {
    TokenBucket bucket(100, start());
    bucket.observe(window(40, 40, 0s), start());
    EXPECT_EQ(bucket.available(start() + 1h), 40);
    bucket.observe(window(60, 60, 0s), start() + 1h);
    EXPECT_EQ(bucket.available(start() + 2h), 60);
    bucket.observe(window(0, 60, 0s), start() + 2h);
    EXPECT_EQ(bucket.available(start() + 3h), 60) << "a limit of 0 is not believed";
    // What is larger than that burst passes when it is full.
    EXPECT_TRUE(bucket.take(100, start() + 3h));
}

TEST(TokenBucketTest, AnotherLimitKeepsWhatWasUsed) {
    TokenBucket bucket(100, start());
    ASSERT_TRUE(bucket.take(70, start()));
    bucket.set_limit(200, start());
    EXPECT_EQ(bucket.available(start()), 130);
    bucket.set_limit(80, start());
    EXPECT_EQ(bucket.available(start()), 10);
    bucket.set_limit(50, start());
    EXPECT_EQ(bucket.available(start()), -20);
    bucket.set_limit(0, start());
    EXPECT_EQ(bucket.available(start()), no_limit);
    bucket.set_limit(10, start());
    EXPECT_EQ(bucket.available(start()), 10);
}

TEST(TokenBucketTest, AClockThatGoesBackAddsNothing) {
    TokenBucket bucket(60, start());
    ASSERT_TRUE(bucket.take(60, start() + 10s));
    EXPECT_EQ(bucket.available(start()), 0);
    EXPECT_FALSE(bucket.take(1, start()));
    bucket.correct(1, start());
    EXPECT_EQ(bucket.available(start() + 10s), -1);
}

struct Grant {
    Clock::time_point at;
    std::int64_t n;
};

/// In no stretch of time more was granted than it brings and `burst`.
void expect_bounded(const std::vector<Grant>& grants, std::int64_t limit, double burst) {
    for (std::size_t first = 0; first < grants.size(); ++first) {
        double sum = 0.0;
        for (std::size_t last = first; last < grants.size(); ++last) {
            sum += static_cast<double>(grants[last].n);
            const std::chrono::duration<double> width = grants[last].at - grants[first].at;
            const double earned = static_cast<double>(limit) * width.count() / 60.0;
            ASSERT_LE(sum, earned + burst + 0.01) << first << " to " << last;
        }
    }
}

class TokenBucketProperty : public testing::TestWithParam<std::uint64_t> {};

TEST_P(TokenBucketProperty, NoWindowSeesMoreThanLimitAndBurst) {
    std::mt19937_64 random(GetParam());
    const auto up_to = [&random](std::int64_t most) {
        return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most + 1));
    };
    const std::int64_t limit = 1 + up_to(GetParam() % 2 == 0 ? 100 : 2'000'000);
    TokenBucket bucket(limit, start());
    Clock::time_point now = start();
    std::vector<Grant> grants;
    // With requests that are larger than the bucket there may be one of them more.
    const bool oversize = GetParam() % 4 == 3;
    for (int step = 0; step < 600; ++step) {
        // Mostly hurried, sometimes idle for minutes, sometimes exactly when it is promised.
        const std::int64_t n = up_to(5) == 0 ? up_to(oversize ? 2 * limit : limit)
                                             : up_to(limit / 10 + 1);
        switch (up_to(9)) {
            case 0: now += std::chrono::milliseconds(up_to(300'000)); break;
            case 1: now += bucket.time_until(n, now); break;
            case 2: bucket.observe(window(limit + up_to(limit), 1 + up_to(limit), 1s), now); break;
            default: now += std::chrono::microseconds(up_to(200'000)); break;
        }
        if (bucket.take(n, now)) {
            grants.push_back(Grant{now, n});
        }
    }
    EXPECT_GT(grants.size(), 20U);
    expect_bounded(grants, limit, static_cast<double>(oversize ? 3 * limit : limit));
}

INSTANTIATE_TEST_SUITE_P(Seeds, TokenBucketProperty, testing::Range<std::uint64_t>(0, 40));

}  // namespace
}  // namespace llmproc::wire
