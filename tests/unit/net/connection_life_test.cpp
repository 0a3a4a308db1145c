#include "net/connection_life.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

namespace llmproc::net {
namespace {

using namespace std::chrono_literals;
const PoolTime start{1h};
const ReuseLimits limits(60s, 1h);

wire::KeepAlive hint(
    std::optional<std::chrono::seconds> timeout,
    std::optional<std::uint32_t> max = std::nullopt
) {
    wire::KeepAlive said;
    said.timeout = timeout;
    said.max = max;
    return said;
}

/// One request from `at` on; whether the connection may be kept afterwards.
bool serve(ConnectionLife& life, PoolTime at, const wire::KeepAlive& said = wire::KeepAlive()) {
    life.begin_request();
    life.note(said);
    return life.rest(at, limits.max_age);
}

TEST(ConnectionLifeTest, IsUsableUntilTheIdleTimeout) {
    ConnectionLife life(start);
    EXPECT_TRUE(serve(life, start + 10s));
    EXPECT_TRUE(life.usable(start + 10s, limits));
    EXPECT_TRUE(life.usable(start + 69'999ms, limits));
    EXPECT_FALSE(life.usable(start + 70s, limits));
    EXPECT_TRUE(life.usable(start + 70s, ReuseLimits(61s, 1h)));
}

TEST(ConnectionLifeTest, AnIdleTimeoutOfZeroReusesNothing) {
    ConnectionLife life(start);
    serve(life, start);
    EXPECT_FALSE(life.usable(start, ReuseLimits(0ms, 1h)));
}

TEST(ConnectionLifeTest, EndsAtItsAgeHoweverBusy) {
    ConnectionLife life(start);
    EXPECT_TRUE(serve(life, start + 1h - 1ms));
    EXPECT_TRUE(life.usable(start + 1h - 1ms, limits));
    EXPECT_FALSE(life.usable(start + 1h, limits));
    EXPECT_FALSE(serve(life, start + 1h));
}

TEST(ConnectionLifeTest, AnAgeOfZeroReusesNothing) {
    ConnectionLife life(start);
    life.begin_request();
    EXPECT_FALSE(life.rest(start, 0s));
    EXPECT_FALSE(life.usable(start, ReuseLimits(60s, 0ms)));
}

TEST(ConnectionLifeTest, HugeLimitsAreNone) {
    const ReuseLimits huge(std::chrono::milliseconds::max(), std::chrono::milliseconds::max());
    ConnectionLife life(start);
    serve(life, start);
    EXPECT_TRUE(life.usable(start + 876'000h, huge));
}

TEST(ConnectionLifeTest, StopsASecondBeforeTheServer) {
    ConnectionLife life(start);
    EXPECT_TRUE(serve(life, start, hint(5s)));
    EXPECT_TRUE(life.usable(start + 3'999ms, limits));
    EXPECT_FALSE(life.usable(start + 4s, limits));
}

TEST(ConnectionLifeTest, UsesHalfOfAShortTimeout) {
    ConnectionLife life(start);
    EXPECT_TRUE(serve(life, start, hint(1s)));
    EXPECT_TRUE(life.usable(start + 499ms, limits));
    EXPECT_FALSE(life.usable(start + 500ms, limits));
    EXPECT_FALSE(serve(life, start, hint(0s)));
    EXPECT_FALSE(life.usable(start, limits));
}

TEST(ConnectionLifeTest, ALongServerTimeoutDoesNotExtendOurs) {
    ConnectionLife life(start);
    serve(life, start, hint(3600s));
    EXPECT_FALSE(life.usable(start + 60s, limits));
}

TEST(ConnectionLifeTest, AnAnswerWithoutAHintKeepsTheLastOne) {
    ConnectionLife life(start);
    serve(life, start, hint(5s));
    serve(life, start + 1s);
    EXPECT_TRUE(life.usable(start + 4'999ms, limits));
    EXPECT_FALSE(life.usable(start + 5s, limits));
}

TEST(ConnectionLifeTest, MaxAllowsSoManyFurtherRequests) {
    ConnectionLife life(start);
    EXPECT_TRUE(serve(life, start, hint(std::nullopt, 2)));
    EXPECT_TRUE(serve(life, start));
    EXPECT_FALSE(serve(life, start));
    EXPECT_FALSE(life.usable(start, limits));
}

TEST(ConnectionLifeTest, AMaxThatCountsDownIsNotCountedTwice) {
    ConnectionLife life(start);
    EXPECT_TRUE(serve(life, start, hint(std::nullopt, 2)));
    EXPECT_TRUE(serve(life, start, hint(std::nullopt, 1)));
    EXPECT_FALSE(serve(life, start, hint(std::nullopt, 0)));
}

TEST(ConnectionLifeTest, AMaxThatIsRepeatedTakesNothingBack) {
    ConnectionLife life(start);
    EXPECT_TRUE(serve(life, start, hint(std::nullopt, 2)));
    EXPECT_TRUE(serve(life, start, hint(std::nullopt, 2)));
    EXPECT_FALSE(serve(life, start, hint(std::nullopt, 2)));
}

TEST(ConnectionLifeTest, WithoutMaxThereIsNoEnd) {
    ConnectionLife life(start);
    for (int i = 0; i < 100'000; ++i) {
        ASSERT_TRUE(serve(life, start));
    }
}

}  // namespace
}  // namespace llmproc::net
