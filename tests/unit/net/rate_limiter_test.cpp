#include "net/rate_limiter.hpp"

#include "async/spawn.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

namespace llmproc::net {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using Clock = RateLimiter::Clock;
using Call = std::shared_ptr<async::CallContext>;

RateLimitSettings limits(std::size_t in_flight, std::int64_t requests, std::int64_t tokens) {
    RateLimitSettings made;
    made.max_in_flight = in_flight;
    made.requests_per_minute = requests;
    made.tokens_per_minute = tokens;
    return made;
}

wire::RateLimitInfo exhausted(std::chrono::microseconds reset) {
    wire::RateLimitInfo info;
    info.requests.remaining = 0;
    info.requests.reset = reset;
    return info;
}

class Events : public Observer {
public:
    void on_event(const CallEvent& event) noexcept override {
        seen.emplace_back(event.step, event.stage, event.error);
    }
    std::vector<std::tuple<CallStep, Stage, std::optional<Errc>>> seen;
};

/// Calls on one io_context that take a permit and keep it until they are notified. The clock of
/// the limiter stands still unless it is moved.
class RateLimiterTest : public testing::Test {
protected:
    void make(const RateLimitSettings& settings, bool real_clock = false) {
        RateLimiter::Now now;
        if (!real_clock) {
            now = [this] { return now_; };
        }
        limiter_ = std::make_shared<RateLimiter>(settings, now);
        ContextService::of(io_->get_executor()).enroll(limiter_);
    }

    Call enter(int number, std::int64_t tokens = 0, Timeouts timeouts = Timeouts().total(60s)) {
        auto call = std::make_shared<async::CallContext>(io_->get_executor(), timeouts);
        call->trace().attach(events_);
        async::spawn(call, hold(call, number, tokens), [this, number](std::exception_ptr error) {
            ended_[number] = std::move(error);
        });
        calls_.push_back(call);
        poll();
        return call;
    }

    asio::awaitable<void> hold(Call call, int number, std::int64_t tokens) {
        RatePermit permit = co_await limiter_->acquire(*call, tokens);
        order_.push_back(number);
        co_await call->wait_notified(Stage::body);
    }

    void poll() {
        io_->restart();
        io_->poll();
    }

    /// Moves the clock. A timer would have to wait for real time, so that the limiter is asked to
    /// look again in another way: these limits are not stricter than those it has.
    void pass(Clock::duration time) {
        now_ += time;
        limiter_->tighten(RateLimitSettings());
        poll();
    }

    void leave(const Call& call) {
        call->notify();
        poll();
    }

    void TearDown() override {
        for (const Call& call : calls_) {
            call->cancel(CancelReason::user);
        }
        poll();
        if (limiter_) {
            EXPECT_EQ(limiter_->waiting(), 0U);
            EXPECT_EQ(limiter_->in_flight(), 0U);
        }
    }

    std::unique_ptr<asio::io_context> io_ = std::make_unique<asio::io_context>();
    Clock::time_point now_{1000h};
    std::shared_ptr<RateLimiter> limiter_;
    std::shared_ptr<Events> events_ = std::make_shared<Events>();
    std::vector<Call> calls_;
    std::vector<int> order_;
    std::map<int, std::exception_ptr> ended_;
};

TEST_F(RateLimiterTest, WithoutLimitsNothingIsCounted) {
    make(RateLimitSettings());
    for (int i = 0; i < 100; ++i) {
        const auto permit = limiter_->try_acquire(1'000'000);
        ASSERT_TRUE(permit);
        EXPECT_EQ(limiter_->in_flight(), 0U);
    }
    EXPECT_TRUE(limiter_->forgettable());
}

TEST_F(RateLimiterTest, ThoseInFlightAreBoundedAndTheNextComeInOrder) {
    make(limits(2, 0, 0));
    const Call first = enter(1);
    const Call second = enter(2);
    const Call third = enter(3);
    enter(4);
    EXPECT_EQ(order_, (std::vector<int>{1, 2}));
    EXPECT_EQ(limiter_->in_flight(), 2U);
    EXPECT_EQ(limiter_->waiting(), 2U);
    leave(second);
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3}));
    leave(third);
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3, 4}));
    EXPECT_FALSE(limiter_->try_acquire(0));
    leave(first);
    EXPECT_TRUE(limiter_->try_acquire(0));
}

TEST_F(RateLimiterTest, APermitIsGivenBackOnce) {
    make(limits(3, 0, 0));
    auto taken = limiter_->try_acquire(0);
    ASSERT_TRUE(taken);
    RatePermit moved = std::move(*taken);
    taken.reset();
    EXPECT_EQ(limiter_->in_flight(), 1U);
    moved = std::move(*limiter_->try_acquire(0));
    EXPECT_EQ(limiter_->in_flight(), 1U);
    moved.release();
    moved.release();
    moved.settle(5);
    EXPECT_EQ(limiter_->in_flight(), 0U);
}

TEST_F(RateLimiterTest, ACancelledCallLeavesTheLine) {
    make(limits(1, 0, 0));
    const Call first = enter(1);
    const Call second = enter(2);
    enter(3);
    second->cancel(CancelReason::user);
    poll();
    EXPECT_THROW(std::rethrow_exception(ended_.at(2)), Cancelled);
    EXPECT_EQ(limiter_->waiting(), 1U);
    leave(first);
    EXPECT_EQ(order_, (std::vector<int>{1, 3}));
}

TEST_F(RateLimiterTest, AGrantThatIsCancelledGoesToTheNextAndUsesNothing) {
    make(limits(1, 3, 300));
    auto held = limiter_->try_acquire(100);
    const Call second = enter(2, 100);
    enter(3, 100);
    held.reset();
    EXPECT_EQ(limiter_->waiting(), 1U) << "the second has the permit and does not know it yet";
    second->cancel(CancelReason::user);
    poll();
    EXPECT_EQ(order_, (std::vector<int>{3}));
    leave(calls_.back());
    EXPECT_TRUE(limiter_->try_acquire(100)) << "what the cancelled call did not use is there";
    EXPECT_FALSE(limiter_->try_acquire(0));
}

TEST_F(RateLimiterTest, RequestsWaitForTheirMinute) {
    make(limits(0, 2, 0));
    enter(1);
    enter(2);
    enter(3);
    enter(4);
    EXPECT_EQ(order_, (std::vector<int>{1, 2}));
    pass(29s);
    EXPECT_EQ(order_, (std::vector<int>{1, 2}));
    pass(1s);
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3}));
    pass(30s);
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3, 4}));
}

TEST_F(RateLimiterTest, ALargeRequestIsNotOvertaken) {
    make(limits(0, 0, 600));
    enter(1, 500);
    enter(2, 400);
    enter(3, 1);
    enter(4, 1);
    EXPECT_FALSE(limiter_->try_acquire(1));
    pass(29s);
    EXPECT_EQ(order_, (std::vector<int>{1}));
    pass(1s);
    EXPECT_EQ(order_, (std::vector<int>{1, 2}));
    pass(1s);
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3, 4}));
}

TEST_F(RateLimiterTest, WhatWasNotUsedLetsTheNextIn) {
    make(limits(0, 0, 1000));
    auto permit = limiter_->try_acquire(1000);
    ASSERT_TRUE(permit);
    enter(1, 300);
    enter(2, 300);
    enter(3, 300);
    EXPECT_TRUE(order_.empty());
    permit->settle(600);
    poll();
    EXPECT_EQ(order_, (std::vector<int>{1}));
    permit->settle(100);
    poll();
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3}));
    permit->settle(3000);
    permit.reset();
    EXPECT_FALSE(limiter_->try_acquire(0)) << "a debt is paid off first";
}

TEST_F(RateLimiterTest, APauseHoldsEverybodyAndIsBounded) {
    make(RateLimitSettings());
    limiter_->pause_until(now_ + 10s);
    limiter_->pause_until(now_ + 5s);
    enter(1);
    enter(2);
    pass(9s);
    EXPECT_TRUE(order_.empty());
    pass(1s);
    EXPECT_EQ(order_, (std::vector<int>{1, 2}));
    limiter_->pause_until(Clock::time_point::max());
    enter(3);
    pass(RateLimiter::max_pause - 1s);
    EXPECT_EQ(order_.size(), 2U);
    pass(1s);
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3}));
}

TEST_F(RateLimiterTest, WithoutOwnLimitsAnEmptyBudgetOfTheProviderHolds) {
    make(RateLimitSettings());
    wire::RateLimitInfo info;
    info.requests.limit = 100;
    info.requests.remaining = 1;
    info.requests.reset = 60s;
    limiter_->learn(info);
    EXPECT_TRUE(limiter_->try_acquire(5));
    EXPECT_TRUE(limiter_->forgettable());
    limiter_->learn(exhausted(7s));
    EXPECT_FALSE(limiter_->try_acquire(5));
    EXPECT_FALSE(limiter_->forgettable());
    enter(1);
    pass(6s);
    EXPECT_TRUE(order_.empty());
    pass(1s);
    EXPECT_EQ(order_, (std::vector<int>{1}));
    EXPECT_TRUE(limiter_->try_acquire(5));
}

TEST_F(RateLimiterTest, TheProviderLowersWhatRemains) {
    make(limits(0, 100, 1000));
    wire::RateLimitInfo info;
    info.tokens.remaining = 10;
    limiter_->learn(info);
    EXPECT_FALSE(limiter_->try_acquire(11));
    EXPECT_TRUE(limiter_->try_acquire(10));
}

TEST_F(RateLimiterTest, OnlyARealWaitIsReported) {
    make(limits(1, 0, 0));
    const Call first = enter(1);
    EXPECT_TRUE(events_->seen.empty());
    enter(2);
    EXPECT_TRUE(events_->seen.empty());
    leave(first);
    ASSERT_EQ(events_->seen.size(), 1U);
    EXPECT_EQ(
        events_->seen.front(),
        std::make_tuple(CallStep::wait, Stage::rate_limit, std::optional<Errc>())
    );
}

TEST_F(RateLimiterTest, TheLimitOfTheStageEndsTheWait) {
    make(limits(1, 0, 0));
    const auto permit = limiter_->try_acquire(0);
    enter(1, 0, Timeouts().rate_limit(1ms));
    io_->restart();
    io_->run();
    try {
        std::rethrow_exception(ended_.at(1));
    } catch (const Timeout& error) {
        EXPECT_EQ(error.stage(), Stage::rate_limit);
    }
    ASSERT_EQ(events_->seen.size(), 1U);
    EXPECT_EQ(std::get<2>(events_->seen.front()), Errc::timeout);
    EXPECT_EQ(limiter_->waiting(), 0U);
}

TEST_F(RateLimiterTest, TheFirstInLineWakesByItsOwnTimer) {
    make(limits(0, 0, 60'000), true);
    const auto permit = limiter_->try_acquire(60'000);
    for (int number = 1; number <= 5; ++number) {
        enter(number, 1);
        calls_.back()->notify();
    }
    io_->restart();
    io_->run();
    EXPECT_EQ(order_, (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST_F(RateLimiterTest, WhenTheFirstLeavesTheNextTakesOverItsWatch) {
    make(limits(0, 0, 60'000), true);
    const auto permit = limiter_->try_acquire(60'000);
    const Call first = enter(1, 59'000);
    const Call second = enter(2, 1);
    second->notify();
    first->cancel(CancelReason::user);
    io_->restart();
    io_->run();
    EXPECT_EQ(order_, (std::vector<int>{2})) << "else it slept until its own limit";
    EXPECT_FALSE(ended_.at(2));
}

TEST_F(RateLimiterTest, APauseThatEndsWakesByTimer) {
    make(RateLimitSettings(), true);
    limiter_->pause_until(Clock::now() + 5ms);
    enter(1);
    enter(2);
    calls_[0]->notify();
    calls_[1]->notify();
    io_->restart();
    io_->run();
    EXPECT_EQ(order_, (std::vector<int>{1, 2}));
}

TEST_F(RateLimiterTest, PermitsAndLimiterOutliveTheirContext) {
    make(limits(1, 600, 600));
    auto permit = limiter_->try_acquire(10);
    enter(1, 10);
    enter(2, 10);
    limiter_->pause_until(now_ + 10s);
    calls_.clear();
    io_.reset();
    EXPECT_EQ(limiter_->waiting(), 0U);
    permit->settle(100);
    permit.reset();
    limiter_->learn(exhausted(1s));
    limiter_->pause_until(now_ + 1s);
    try {
        limiter_->try_acquire(1);
        FAIL() << "no context, no permit";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::loop_closed);
    }
    limiter_.reset();
    io_ = std::make_unique<asio::io_context>();
}

TEST_F(RateLimiterTest, GrantedCallsMayDieWithTheirContext) {
    make(limits(1, 0, 0));
    auto permit = limiter_->try_acquire(0);
    enter(1);
    enter(2);
    permit.reset();
    calls_.clear();
    io_.reset();
    EXPECT_TRUE(order_.empty());
    EXPECT_EQ(limiter_->in_flight(), 0U);
    limiter_.reset();
    io_ = std::make_unique<asio::io_context>();
}

}  // namespace
}  // namespace llmproc::net
