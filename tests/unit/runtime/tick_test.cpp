#include "runtime/tick.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

const Clock::time_point start = Clock::time_point() + std::chrono::hours(1);

TEST(TickTest, IsTheNextMultipleOfThePeriod) {
    EXPECT_EQ(next_tick(start, milliseconds(10), start), start + milliseconds(10));
    EXPECT_EQ(
        next_tick(start, milliseconds(10), start + milliseconds(9)),
        start + milliseconds(10)
    );
}

TEST(TickTest, LatenessDoesNotAddUp) {
    Clock::time_point now = start;
    for (int tick = 1; tick <= 1000; ++tick) {
        const Clock::time_point due = next_tick(start, milliseconds(10), now);
        EXPECT_EQ(due, start + tick * milliseconds(10));
        now = due + milliseconds(3);
    }
}

TEST(TickTest, MultiplesThatHavePassedAreSkipped) {
    EXPECT_EQ(
        next_tick(start, milliseconds(10), start + milliseconds(35)),
        start + milliseconds(40)
    );
    EXPECT_EQ(
        next_tick(start, milliseconds(10), start + milliseconds(40)),
        start + milliseconds(50)
    );
}

TEST(TickTest, PeriodsBeyondTheClockNeverCome) {
    EXPECT_EQ(next_tick(start, milliseconds::max(), start), Clock::time_point::max());
    EXPECT_EQ(saturating_add(start, milliseconds::max()), Clock::time_point::max());
}

TEST(TickTest, NegativeDelaysAreNow) {
    EXPECT_EQ(saturating_add(start, milliseconds(-5)), start);
    EXPECT_EQ(saturating_add(start, milliseconds::min()), start);
    EXPECT_EQ(saturating_add(start, milliseconds(5)), start + milliseconds(5));
}

}  // namespace
}  // namespace llmproc
