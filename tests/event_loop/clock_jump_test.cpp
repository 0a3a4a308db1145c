// A program of its own, because it replaces clock_gettime. F38: the wall clock jumps, calls and
// timers do not care. And what takes hours, without waiting for them.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <exception>
#include <string>
#include <thread>
#include <utility>

namespace {

std::atomic<long> jumped{0};
std::atomic<long> passed{0};  ///< Seconds of the steady clock that nobody waited for.

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const long result = ::syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        now->tv_sec += jumped.load(std::memory_order_relaxed);
    }
    if (result == 0 && clock == CLOCK_MONOTONIC) {
        now->tv_sec += passed.load(std::memory_order_relaxed);
    }
    return static_cast<int>(result);
}

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;
using testing::openai_chat_echo;
using testing::program_for;
using testing::Reply;
using testing::ScriptedServer;

constexpr std::chrono::seconds hour = std::chrono::hours(1);

/// The clock stands so far from its true time while this lives.
class Jump {
public:
    explicit Jump(std::chrono::seconds by) { jumped = by.count(); }
    Jump(const Jump&) = delete;
    Jump& operator=(const Jump&) = delete;
    ~Jump() { jumped = 0; }
};

class ClockJumpTest : public ::testing::TestWithParam<int> {
protected:
    void SetUp() override { server_.handle(openai_chat_echo); }
    std::chrono::seconds by() const { return GetParam() * hour; }

    ScriptedServer server_;
};

TEST_P(ClockJumpTest, F38_TheClockOfThisTestJumps) {
    const system_clock::time_point before = system_clock::now();
    const auto steady = std::chrono::steady_clock::now();
    const Jump jump(by());
    EXPECT_GE(std::chrono::abs(system_clock::now() - before), hour / 2);
    EXPECT_LT(std::chrono::steady_clock::now() - steady, hour / 2);
}

TEST_P(ClockJumpTest, F38_ADeadlineInProgressNeitherStrikesNorIsLost) {
    server_.hold_until_open_requests(2);
    SyncLLMProcess process = program_for(server_).start_sync();
    RunOptions patient;
    patient.timeout(std::chrono::minutes(30));
    std::string text;
    std::thread caller([&] { text = process.run("hi", patient).text(); });
    ASSERT_TRUE(server_.wait_for_requests(1, testing::watchdog));
    {
        const Jump jump(by());
        EventLoop loop;
        run_sync(loop, llmproc::sleep(milliseconds(1)));
        server_.hold_until_open_requests(0);
        caller.join();
    }
    EXPECT_EQ(text, "You said: hi");

    server_.hold_until_open_requests(2);
    const Jump jump(by());
    EXPECT_THROW(process.run("hi", RunOptions().timeout(milliseconds(50))), Timeout);
}

TEST_P(ClockJumpTest, F38_TimersStartedBeforeTheJumpFireAfterTheirOwnTime) {
    EventLoop loop;
    std::atomic<bool> far_fired{false};
    loop.call_later(std::chrono::minutes(30), [&] { far_fired = true; });
    Task<void> near = loop.create_task(llmproc::sleep(milliseconds(50)));
    const Jump jump(by());
    near.get();
    EXPECT_FALSE(far_fired);
    EXPECT_TRUE(near.get_for(milliseconds(0)));
}

TEST_P(ClockJumpTest, F38_AConnectionStaysUsable) {
    SyncLLMProcess process = program_for(server_).start_sync();
    process.run("hi");
    const Jump jump(by());
    EXPECT_EQ(process.run("hi").text(), "You said: hi");
    EXPECT_EQ(server_.stats().accepts, 1U);
}

TEST_P(ClockJumpTest, F38_ShutdownTakesItsOwnTime) {
    EventLoop loop;
    loop.create_task(llmproc::sleep(std::chrono::hours(2)));
    const Jump jump(by());
    EXPECT_TRUE(loop.shutdown().drained);
}

/// One stream, on a context that the test drives.
class IdleLimitTest : public ::testing::Test {
protected:
    void start(const Reply& reply) {
        server_.push(reply);
        boost::asio::co_spawn(io_, read(), [this](std::exception_ptr error) {
            ended_ = true;
            error_ = std::move(error);
        });
    }

    /// Lets so much time pass at once, and the timers see it.
    void pass(std::chrono::minutes time) {
        passed += std::chrono::seconds(time).count();
        // Asio looks at its timers when the earliest one ends, and this is that.
        boost::asio::steady_timer tick(io_, std::chrono::steady_clock::time_point());
        bool seen = false;
        tick.async_wait([&seen](const boost::system::error_code&) { seen = true; });
        io_.restart();  // It has stopped if the stream has ended.
        while (!seen) {
            io_.run_one();
        }
    }

    /// Until so many handlers have run. At most two of them are of timers: the others read.
    void work(std::size_t handlers) {
        for (std::size_t ran = 0; ran < handlers && !ended_; ++ran) {
            io_.run_one();
        }
    }

    void begin() {
        while (!begun_ && !ended_) {
            io_.run_one();
        }
    }

    ScriptedServer server_;
    boost::asio::io_context io_;
    bool ended_ = false;
    std::exception_ptr error_;

private:
    bool begun_ = false;

    boost::asio::awaitable<void> read() {
        const LLMProgram program = program_for(server_);
        AsyncLLMProcess process = co_await program.start();
        const Timeouts limits = Timeouts().idle(std::chrono::hours(1));
        const RunOptions options = RunOptions().timeouts(limits);
        Stream stream = co_await process.stream("hi", options);
        begun_ = true;
        for (;;) {
            const auto event = co_await stream.next();
            if (!event) {
                break;
            }
        }
    }
};

TEST_F(IdleLimitTest, Trap19_PingsKeepItAway) {
    Reply pings;
    pings.header("Content-Type", "text/event-stream");
    for (int i = 0; i < 30'000; ++i) {
        pings.piece(": ping\n\n", milliseconds(1));
    }
    start(pings);
    begin();
    for (int i = 0; i < 4; ++i) {
        work(6);
        pass(std::chrono::minutes(40));
    }
    work(6);
    EXPECT_FALSE(ended_) << "four times 40 minutes, and never an hour without a ping";
}

TEST_F(IdleLimitTest, Trap19_SilenceEndsIt) {
    Reply silent;
    silent.header("Content-Type", "text/event-stream");
    silent.piece(": ping\n\n").piece(": late\n\n", std::chrono::hours(24));
    start(silent);
    begin();
    // The ping may still be on its way when the first hour passes.
    for (int hours = 0; hours < 3 && !ended_; ++hours) {
        pass(std::chrono::minutes(61));
        io_.poll();
    }
    ASSERT_TRUE(ended_);
    try {
        std::rethrow_exception(error_);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::body);
    }
}

INSTANTIATE_TEST_SUITE_P(BothWays, ClockJumpTest, ::testing::Values(24, -24));

}  // namespace
}  // namespace llmproc
