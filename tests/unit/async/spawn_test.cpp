#include "async/spawn.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>

namespace llmproc::async {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

asio::awaitable<void> wait_for_notify(std::shared_ptr<CallContext> call) {
    co_await call->wait_notified(Stage::queue);
}

asio::awaitable<void> fail() {
    throw std::out_of_range("mine");
    co_return;
}

asio::awaitable<void> await_it(std::shared_ptr<CallContext> call, BodyFactory body, bool& resumed) {
    co_await await_call(std::move(call), std::move(body));
    resumed = true;
}

struct Ending {
    int completions = 0;
    std::exception_ptr error;
};

void spawn_waiter(
    asio::any_io_executor executor,
    std::shared_ptr<CallContext> call,
    BodyFactory body,
    asio::cancellation_signal& signal,
    bool& resumed,
    Ending& ending
) {
    asio::co_spawn(
        executor,
        await_it(std::move(call), std::move(body), resumed),
        asio::bind_cancellation_slot(
            signal.slot(),
            [&ending](std::exception_ptr error) {
                ++ending.completions;
                ending.error = std::move(error);
            }
        )
    );
}

TEST(AwaitCallTest, KeepsTheTypeOfTheError) {
    asio::io_context io;
    const auto call = std::make_shared<CallContext>(asio::make_strand(io), milliseconds(600'000));
    asio::cancellation_signal signal;
    bool resumed = false;
    Ending ending;
    spawn_waiter(
        io.get_executor(),
        call,
        [] { return fail(); },
        signal,
        resumed,
        ending
    );
    io.run();
    ASSERT_EQ(ending.completions, 1);
    EXPECT_FALSE(resumed);
    EXPECT_THROW(std::rethrow_exception(ending.error), std::out_of_range);
}

TEST(AwaitCallTest, CancellingTheWaiterEndsTheCallWithReasonUser) {
    asio::io_context io;
    const auto call = std::make_shared<CallContext>(asio::make_strand(io), milliseconds(600'000));
    asio::cancellation_signal signal;
    bool resumed = false;
    Ending ending;
    spawn_waiter(
        io.get_executor(),
        call,
        [call] { return wait_for_notify(call); },
        signal,
        resumed,
        ending
    );
    asio::post(io, [&signal] { signal.emit(asio::cancellation_type::terminal); });
    io.run();
    ASSERT_EQ(ending.completions, 1);
    try {
        std::rethrow_exception(ending.error);
    } catch (const Cancelled& error) {
        EXPECT_EQ(error.reason(), CancelReason::user);
    }
}

TEST(AwaitCallTest, ResumesOnTheWaitersContextWhenTheCallRunsOnAnother) {
    asio::io_context mine;
    asio::io_context other;
    auto guard = asio::make_work_guard(other);
    std::thread loop([&other] { other.run(); });
    std::thread::id ran_on;
    bool resumed = false;
    Ending ending;
    asio::cancellation_signal signal;
    const auto call =
        std::make_shared<CallContext>(asio::make_strand(other), milliseconds(600'000));
    BodyFactory body = [&ran_on]() -> asio::awaitable<void> {
        ran_on = std::this_thread::get_id();
        co_return;
    };
    spawn_waiter(mine.get_executor(), call, std::move(body), signal, resumed, ending);
    mine.run();
    EXPECT_TRUE(resumed);
    EXPECT_EQ(ran_on, loop.get_id());
    EXPECT_EQ(ending.completions, 1);
    EXPECT_FALSE(ending.error);
    guard.reset();
    loop.join();
}

TEST(AwaitCallTest, CancelRacesWithTheEndOnAnotherThread) {
    asio::io_context mine;
    asio::io_context other;
    auto guard = asio::make_work_guard(other);
    std::thread loop([&other] { other.run(); });
    constexpr int rounds = 2'000;
    int completions = 0;
    for (int i = 0; i < rounds; ++i) {
        bool resumed = false;
        Ending ending;
        asio::cancellation_signal signal;
        const auto call =
            std::make_shared<CallContext>(asio::make_strand(other), milliseconds(600'000));
        spawn_waiter(
            mine.get_executor(),
            call,
            [call] { return wait_for_notify(call); },
            signal,
            resumed,
            ending
        );
        call->notify_from_anywhere();
        asio::post(mine, [&signal] { signal.emit(asio::cancellation_type::terminal); });
        mine.run();
        mine.restart();
        completions += ending.completions;
    }
    EXPECT_EQ(completions, rounds);
    guard.reset();
    loop.join();
}

TEST(AwaitCallTest, TheDeathOfTheCallsContextEndsAWaiterElsewhere) {
    asio::io_context mine;
    bool resumed = false;
    Ending ending;
    asio::cancellation_signal signal;
    {
        asio::io_context other;
        const auto call =
            std::make_shared<CallContext>(asio::make_strand(other), milliseconds(600'000));
        spawn_waiter(
            mine.get_executor(),
            call,
            [call] { return wait_for_notify(call); },
            signal,
            resumed,
            ending
        );
        mine.poll();
        other.poll();
        EXPECT_EQ(ending.completions, 0);
        call->finish();  // what the registry of the context does when it dies
    }
    mine.restart();
    mine.run();
    ASSERT_EQ(ending.completions, 1);
    try {
        std::rethrow_exception(ending.error);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::loop_closed);
    }
}

TEST(AwaitCallTest, FramesOfADestroyedContextAreUnwoundOnce) {
    bool resumed = false;
    Ending ending;
    asio::cancellation_signal signal;
    {
        asio::io_context io;
        const auto call =
            std::make_shared<CallContext>(asio::make_strand(io), milliseconds(600'000));
        spawn_waiter(
            io.get_executor(),
            call,
            [call] { return wait_for_notify(call); },
            signal,
            resumed,
            ending
        );
        io.poll();
    }
    EXPECT_FALSE(resumed);
    EXPECT_EQ(ending.completions, 0);
}

}  // namespace
}  // namespace llmproc::async
