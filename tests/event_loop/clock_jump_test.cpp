// F38, a program of its own, because it replaces clock_gettime: the wall clock jumps, calls and
// timers do not care.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <string>
#include <thread>

namespace {

std::atomic<long> jumped{0};

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
    const long result = ::syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) {
        now->tv_sec += jumped.load(std::memory_order_relaxed);
    }
    return static_cast<int>(result);
}

namespace llmproc {
namespace {

using std::chrono::milliseconds;
using std::chrono::system_clock;
using testing::openai_chat_echo;
using testing::program_for;
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

INSTANTIATE_TEST_SUITE_P(BothWays, ClockJumpTest, ::testing::Values(24, -24));

}  // namespace
}  // namespace llmproc
