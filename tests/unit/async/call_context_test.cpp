#include "async/call_context.hpp"

#include "async/spawn.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <optional>
#include <thread>

namespace llmproc::async {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

/// A call on an io_context of its own, run to its end.
class CallContextTest : public testing::Test {
protected:
    std::shared_ptr<CallContext> make(milliseconds total = milliseconds::max()) {
        return std::make_shared<CallContext>(io_.get_executor(), total);
    }
    std::shared_ptr<CallContext> make(const Timeouts& limits) {
        return std::make_shared<CallContext>(io_.get_executor(), limits);
    }

    void spawn_on(const std::shared_ptr<CallContext>& call, asio::awaitable<void> body) {
        spawn(call, std::move(body), [this](std::exception_ptr error) {
            ++completions_;
            error_ = std::move(error);
        });
    }

    template <typename E>
    std::optional<E> thrown() const {
        try {
            if (error_) {
                std::rethrow_exception(error_);
            }
        } catch (const E& error) {
            return error;
        }
        return std::nullopt;
    }

    asio::io_context io_;
    int completions_ = 0;
    std::exception_ptr error_;
};

asio::awaitable<void> wait_in(std::shared_ptr<CallContext> call, Stage stage) {
    co_await call->wait_notified(stage);
}

asio::awaitable<void> nothing() {
    co_return;
}

asio::awaitable<void> limited(std::shared_ptr<CallContext> call) {
    call->enter(Stage::connect);
    asio::steady_timer never(call->executor(), Clock::time_point::max());
    co_await never.async_wait(asio::use_awaitable);
}

TEST_F(CallContextTest, CompletesWithoutErrorAndWithoutSuspending) {
    const auto call = make();
    spawn_on(call, nothing());
    io_.run();
    EXPECT_EQ(completions_, 1);
    EXPECT_FALSE(error_);
}

TEST_F(CallContextTest, TotalLimitBecomesATimeoutThatNamesTheStage) {
    const auto call = make(milliseconds(1));
    spawn_on(call, wait_in(call, Stage::first_byte));
    io_.run();
    const auto error = thrown<Timeout>();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->stage(), Stage::first_byte);
    EXPECT_EQ(error->limit(), milliseconds(1));
    EXPECT_TRUE(error->code() == Condition::timeout);
    EXPECT_TRUE(error->code() == Condition::retryable);
}

TEST_F(CallContextTest, StageLimitPrevailsOverALaterTotal) {
    const auto call = make(Timeouts().total(milliseconds(600'000)).connect(milliseconds(1)));
    spawn_on(call, limited(call));
    io_.run();
    const auto error = thrown<Timeout>();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->stage(), Stage::connect);
    EXPECT_EQ(error->limit(), milliseconds(1));
}

asio::awaitable<void> two_stages(std::shared_ptr<CallContext> call) {
    call->enter(Stage::connect);
    // The next stage has no limit of its own, so the armed one must not count any more.
    call->enter(Stage::body);
    asio::steady_timer later(call->executor(), milliseconds(20));
    co_await later.async_wait(asio::use_awaitable);
}

TEST_F(CallContextTest, LeavingAStageLiftsItsLimit) {
    const auto call = make(Timeouts().total(milliseconds(600'000)).connect(milliseconds(1)));
    spawn_on(call, two_stages(call));
    io_.run();
    EXPECT_EQ(completions_, 1);
    EXPECT_FALSE(error_);
}

TEST_F(CallContextTest, ZeroNegativeAndHugeLimitsAreDefined) {
    for (const milliseconds limit : {milliseconds(0), milliseconds(-5), milliseconds::min()}) {
        const auto call = make(limit);
        spawn_on(call, wait_in(call, Stage::pool));
        io_.restart();
        io_.run();
        EXPECT_TRUE(thrown<Timeout>()) << limit.count();
    }
    const auto call = make(milliseconds::max());
    spawn_on(call, wait_in(call, Stage::pool));
    call->notify();
    io_.restart();
    io_.run();
    EXPECT_FALSE(error_);
}

asio::awaitable<void> enter_and_note(std::shared_ptr<CallContext> call, bool& entered) {
    call->enter(Stage::write);
    entered = true;
    co_return;
}

TEST_F(CallContextTest, TimeThatIsOverStartsNothing) {
    const auto call = make(milliseconds(0));
    bool entered = false;
    spawn_on(call, enter_and_note(call, entered));
    io_.run();
    EXPECT_FALSE(entered);
    const auto error = thrown<Timeout>();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->stage(), Stage::write);
}

/// Waits until a limit ends the attempt, then `after` decides what to do next.
asio::awaitable<void> fail_then_sleep(std::shared_ptr<CallContext> call, Stage stage) {
    call->begin_attempt();
    bool failed = false;
    try {
        co_await call->wait_notified(stage);
    } catch (...) {
        failed = true;
    }
    if (!failed || !call->recover()) {
        call->throw_if_interrupted();
    }
    const asio::enable_terminal_cancellation terminal;
    co_await asio::this_coro::reset_cancellation_state(terminal);
    // Suspends although the coroutine was cancelled before.
    co_await call->sleep(Stage::retry, milliseconds(2));
}

TEST_F(CallContextTest, ALimitOfAStageLeavesTheCallUsable) {
    const auto call = make(Timeouts().first_byte(milliseconds(1)));
    spawn_on(call, fail_then_sleep(call, Stage::first_byte));
    io_.run();
    EXPECT_EQ(completions_, 1);
    EXPECT_FALSE(error_);
}

TEST_F(CallContextTest, TheLimitOfAnAttemptNamesTheStage) {
    const auto call = make(Timeouts().attempt(milliseconds(1)).first_byte(milliseconds(600'000)));
    spawn_on(call, [](std::shared_ptr<CallContext> own) -> asio::awaitable<void> {
        own->begin_attempt();
        co_await own->wait_notified(Stage::first_byte);
    }(call));
    io_.run();
    const auto error = thrown<Timeout>();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->stage(), Stage::first_byte);
    EXPECT_EQ(error->limit(), milliseconds(1));
}

TEST_F(CallContextTest, AnEndedAttemptHasNoLimit) {
    const auto call = make(Timeouts().attempt(milliseconds(5)));
    spawn_on(call, [](std::shared_ptr<CallContext> own) -> asio::awaitable<void> {
        own->begin_attempt();
        own->enter(Stage::first_byte);
        own->end_attempt();
        co_await own->sleep(Stage::body, milliseconds(30));
    }(call));
    io_.run();
    EXPECT_EQ(completions_, 1);
    EXPECT_FALSE(error_);
}

TEST_F(CallContextTest, TheTotalLimitIsFinal) {
    const auto call = make(Timeouts().total(milliseconds(1)).attempt(milliseconds(600'000)));
    spawn_on(call, fail_then_sleep(call, Stage::body));
    io_.run();
    const auto error = thrown<Timeout>();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->limit(), milliseconds(1));
}

TEST_F(CallContextTest, TheTotalLimitHoldsInTheWaitAfterAnAttempt) {
    const auto call = make(Timeouts().total(milliseconds(30)).first_byte(milliseconds(1)));
    spawn_on(call, [](std::shared_ptr<CallContext> own) -> asio::awaitable<void> {
        co_await fail_then_sleep(own, Stage::first_byte);
        co_await own->sleep(Stage::retry, std::chrono::hours(1));
    }(call));
    io_.run();
    const auto error = thrown<Timeout>();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->stage(), Stage::retry);
    EXPECT_EQ(error->limit(), milliseconds(30));
}

/// A cancel that arrives while the coroutine still unwinds from a limit must not be forgotten.
TEST_F(CallContextTest, ACancelAfterALimitOfAnAttemptPrevails) {
    const auto call = make(Timeouts().first_byte(milliseconds(1)));
    bool recovered = true;
    spawn_on(call, [](std::shared_ptr<CallContext> own, bool& went_on) -> asio::awaitable<void> {
        std::exception_ptr error;
        try {
            co_await own->wait_notified(Stage::first_byte);
        } catch (...) {
            error = std::current_exception();
        }
        own->cancel(CancelReason::user);
        went_on = own->recover();
        std::rethrow_exception(error);
    }(call, recovered));
    io_.run();
    EXPECT_FALSE(recovered);
    EXPECT_TRUE(thrown<Cancelled>());
}

TEST_F(CallContextTest, ASleepIsCancelled) {
    const auto call = make();
    spawn_on(call, call->sleep(Stage::retry, std::chrono::hours(1)));
    io_.poll();  // it sleeps now
    call->cancel(CancelReason::user);
    io_.run();
    EXPECT_TRUE(thrown<Cancelled>());
}

TEST_F(CallContextTest, ANotificationDoesNotEndASleep) {
    const auto call = make();
    spawn_on(call, call->sleep(Stage::retry, std::chrono::hours(1)));
    io_.poll();
    call->notify();
    io_.poll();
    EXPECT_EQ(completions_, 0);
    call->cancel(CancelReason::user);
    io_.run();
    EXPECT_EQ(completions_, 1);
}

TEST_F(CallContextTest, FirstCauseCounts) {
    const auto call = make();
    spawn_on(call, wait_in(call, Stage::queue));
    io_.poll();  // it waits now
    call->cancel(CancelReason::shutdown);
    call->cancel(CancelReason::user);
    io_.run();
    const auto error = thrown<Cancelled>();
    ASSERT_TRUE(error);
    EXPECT_EQ(error->reason(), CancelReason::shutdown);
}

TEST_F(CallContextTest, ClosedBecomesProcessClosed) {
    const auto call = make();
    spawn_on(call, wait_in(call, Stage::queue));
    io_.poll();  // it waits now
    call->cancel(CancelReason::closed);
    io_.run();
    EXPECT_TRUE(thrown<ProcessClosed>());
}

TEST_F(CallContextTest, CancelBeforeTheFirstSuspensionStillCompletes) {
    const auto call = make();
    call->cancel(CancelReason::user);
    spawn_on(call, wait_in(call, Stage::queue));
    io_.run();
    EXPECT_EQ(completions_, 1);
    EXPECT_TRUE(thrown<Cancelled>());
}

asio::awaitable<void> cancel_itself(std::shared_ptr<CallContext> call) {
    call->cancel(CancelReason::user);
    co_await call->wait_notified(Stage::body);
}

asio::awaitable<void> cancel_itself_and_return(std::shared_ptr<CallContext> call) {
    call->cancel(CancelReason::user);
    co_return;
}

TEST_F(CallContextTest, CancelWhileTheBodyRunsBeforeItsFirstSuspension) {
    const auto call = make();
    spawn_on(call, cancel_itself(call));
    io_.run();
    EXPECT_EQ(completions_, 1);
    EXPECT_TRUE(thrown<Cancelled>());
}

TEST_F(CallContextTest, AValueThatWasReachedIsKeptDespiteACancel) {
    const auto call = make();
    spawn_on(call, cancel_itself_and_return(call));
    io_.run();
    EXPECT_EQ(completions_, 1);
    EXPECT_FALSE(error_);
}

TEST_F(CallContextTest, AfterTheEndNothingHappens) {
    const auto call = make(milliseconds(1));
    spawn_on(call, nothing());
    io_.run();
    call->cancel(CancelReason::user);
    call->cancel_from_anywhere(CancelReason::user);
    call->notify_from_anywhere();
    EXPECT_FALSE(call->interrupted());
    EXPECT_EQ(completions_, 1);
}

TEST_F(CallContextTest, NotifyBeforeTheWaitIsNotLost) {
    const auto call = make();
    call->notify();
    spawn_on(call, wait_in(call, Stage::queue));
    io_.run();
    EXPECT_EQ(completions_, 1);
    EXPECT_FALSE(error_);
}

TEST_F(CallContextTest, CancelFromAnotherThreadAtRandomMoments) {
    constexpr int rounds = 2'000;
    auto guard = asio::make_work_guard(io_);
    std::thread loop([this] { io_.run(); });
    std::atomic<int> ended{0};
    for (int i = 0; i < rounds; ++i) {
        const auto call =
            std::make_shared<CallContext>(asio::make_strand(io_), milliseconds(600'000));
        start(*call, [call, &ended] {
            spawn(call, wait_in(call, Stage::queue), [&ended](const std::exception_ptr&) {
                ++ended;
            });
        });
        if (i % 2 == 0) {
            call->notify_from_anywhere();
        }
        call->cancel_from_anywhere(CancelReason::user);
    }
    guard.reset();
    loop.join();
    EXPECT_EQ(ended.load(), rounds);
}

TEST_F(CallContextTest, OutlivesItsIoContext) {
    std::shared_ptr<CallContext> call;
    {
        asio::io_context io;
        call = std::make_shared<CallContext>(asio::make_strand(io), milliseconds(600'000));
        start(*call, [call] {
            spawn(call, wait_in(call, Stage::queue), [](const std::exception_ptr&) {
                ADD_FAILURE() << "the frame is destroyed, not resumed";
            });
        });
        io.poll();
        call->finish();  // what the registry of the context does when it dies
    }
    call->cancel_from_anywhere(CancelReason::user);
    EXPECT_FALSE(call->interrupted());
}

}  // namespace
}  // namespace llmproc::async
