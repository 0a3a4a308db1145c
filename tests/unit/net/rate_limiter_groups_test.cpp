#include "net/rate_limiter.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace llmproc::net {
namespace {

namespace asio = boost::asio;

RateLimitSettings limits(std::size_t in_flight, std::int64_t requests, std::int64_t tokens) {
    RateLimitSettings made;
    made.max_in_flight = in_flight;
    made.requests_per_minute = requests;
    made.tokens_per_minute = tokens;
    return made;
}

TEST(RateLimiterGroupsTest, AGroupIsSharedByServerAndKeyOnOneContext) {
    asio::io_context io;
    asio::io_context other;
    const auto one = RateLimiter::of(io.get_executor(), "a", limits(5, 0, 0));
    EXPECT_EQ(RateLimiter::of(asio::make_strand(io), "a", limits(5, 0, 0)), one);
    EXPECT_NE(RateLimiter::of(io.get_executor(), "b", limits(5, 0, 0)), one);
    EXPECT_NE(RateLimiter::of(other.get_executor(), "a", limits(5, 0, 0)), one);
}

TEST(RateLimiterGroupsTest, TheStricterLimitWins) {
    asio::io_context io;
    const auto one = RateLimiter::of(io.get_executor(), "a", limits(2, 0, 0));
    const auto two = RateLimiter::of(io.get_executor(), "a", limits(9, 1, 0));
    auto first = one->try_acquire(0);
    EXPECT_TRUE(first);
    EXPECT_FALSE(one->try_acquire(0)) << "one request a minute";
    const auto three = RateLimiter::of(io.get_executor(), "a", limits(1, 50, 0));
    EXPECT_FALSE(three->try_acquire(0));
}

TEST(RateLimiterGroupsTest, LimitsOfThoseThatAreGoneDoNotCountButTheirUseDoes) {
    asio::io_context io;
    { EXPECT_TRUE(RateLimiter::of(io.get_executor(), "a", limits(0, 0, 100))->try_acquire(100)); }
    const auto next = RateLimiter::of(io.get_executor(), "a", limits(0, 0, 150));
    EXPECT_FALSE(next->try_acquire(90));
    EXPECT_TRUE(next->try_acquire(50));
}

TEST(RateLimiterGroupsTest, GroupsThatKnowNothingAreForgotten) {
    RateLimiterGroups groups;
    bool made = false;
    const auto used = groups.find_or_make("used", limits(1, 0, 0), made);
    EXPECT_TRUE(made);
    for (int i = 0; i < 5000; ++i) {
        const auto limiter = groups.find_or_make(std::to_string(i), limits(0, 10, 0), made);
        ASSERT_TRUE(made);
        if (i < 10) {
            EXPECT_TRUE(limiter->try_acquire(0));
        }
    }
    EXPECT_LE(groups.size(), 64U);
    EXPECT_EQ(groups.find_or_make("used", limits(1, 0, 0), made), used);
    EXPECT_FALSE(made);
    groups.find_or_make("3", limits(0, 10, 0), made);
    EXPECT_FALSE(made) << "one of its ten requests has been used";
}

TEST(RateLimiterGroupsTest, ADeadContextClosesItsGroups) {
    auto io = std::make_unique<asio::io_context>();
    const auto limiter = RateLimiter::of(io->get_executor(), "a", RateLimitSettings());
    EXPECT_TRUE(limiter->try_acquire(0));
    io.reset();
    EXPECT_THROW(limiter->try_acquire(0), LLMError);
}

}  // namespace
}  // namespace llmproc::net
