#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/bridge_support.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>

namespace llmproc::testing {
namespace {

using namespace std::chrono_literals;

std::atomic<int> user_handler_runs{0};
void user_handler(int) {
    ++user_handler_runs;
}

class BridgeSignalTest : public ::testing::Test {
protected:
    void SetUp() override {
        GTEST_FLAG_SET(death_test_style, "threadsafe");
        user_handler_runs = 0;
    }
};

asio::awaitable<int> signalled_by_itself(int runs) {
    send_signal(SIGINT);
    const auto handled = [runs] { return user_handler_runs == runs; };
    co_await until(handled);
    co_return 42;
}

TEST_F(BridgeSignalTest, F22_AUserHandlerLeavesABlockedCallAlone) {
    const Disposition user(SIGINT, user_handler);
    for (int runs = 1; runs <= 3; ++runs) {
        EXPECT_EQ(run_sync(signalled_by_itself(runs)), 42);
    }
}

void expect_interrupted(const std::function<void()>& call) {
    try {
        call();
        ADD_FAILURE() << "no error";
    } catch (const Cancelled& error) {
        EXPECT_EQ(error.reason(), CancelReason::signal);
        EXPECT_EQ(error.errc(), Errc::interrupted);
    }
}

TEST_F(BridgeSignalTest, F22_AnInterruptScopeCancelsCleansUpAndThenThrows) {
    const Disposition user(SIGINT, user_handler);
    Order order;
    {
        const InterruptScope scope;
        EXPECT_TRUE(scope.active());
        EXPECT_FALSE(scope.interrupted());
        expect_interrupted([&] { run_sync(with_clean_up(order, [] { send_signal(SIGINT); })); });
        order.add("thrown");
        EXPECT_TRUE(scope.interrupted());
    }
    EXPECT_EQ(order.steps(), (Steps{"cancelled", "clean-up", "thrown"}));
    EXPECT_EQ(user_handler_runs, 0);
    send_signal(SIGINT);
    EXPECT_EQ(user_handler_runs, 1);
}

TEST_F(BridgeSignalTest, A2_10_AnInterruptCancelsCleansUpAndThenThrows) {
    Order order;
    const InterruptScope scope;
    expect_interrupted([&] { run_sync(with_clean_up(order, [] { send_signal(SIGINT); })); });
    order.add("thrown");
    EXPECT_EQ(order.steps(), (Steps{"cancelled", "clean-up", "thrown"}));
}

TEST_F(BridgeSignalTest, F22_CallsAfterTheSignalThrowUntilReset) {
    InterruptScope scope;
    send_signal(SIGINT);
    bool begun = false;
    const auto call = [&] {
        const auto body = [](bool* ran) -> asio::awaitable<int> {
            *ran = true;
            co_return 1;
        };
        return run_sync(body(&begun));
    };
    expect_interrupted([&] { call(); });
    expect_interrupted([&] { call(); });
    EXPECT_FALSE(begun);
    scope.reset();
    EXPECT_FALSE(scope.interrupted());
    EXPECT_EQ(call(), 1);
    Order order;
    expect_interrupted([&] { run_sync(with_clean_up(order, [] { send_signal(SIGINT); })); });
    scope.reset();
    EXPECT_EQ(call(), 1);
}

TEST_F(BridgeSignalTest, F22_OnlyTheThreadOfTheScopeIsInterrupted) {
    const InterruptScope scope;
    send_signal(SIGINT);
    std::thread([] { run_sync(turns(2)); }).join();
    expect_interrupted([] { run_sync(turns(2)); });
}

TEST_F(BridgeSignalTest, F22_ASecondScopeHasNoEffect) {
    const InterruptScope scope;
    {
        const InterruptScope inner;
        EXPECT_FALSE(inner.active());
    }
    std::thread([] { EXPECT_FALSE(InterruptScope().active()); }).join();
    send_signal(SIGINT);
    EXPECT_TRUE(scope.interrupted());
}

/// Does not let itself be cancelled, and keeps the loop from everything else.
asio::awaitable<void> stubborn() {
    send_signal(SIGINT);
    std::cerr << "first" << std::endl;
    send_signal(SIGINT);
    stuck();
    co_return;
}

void be_interrupted_twice() {
    const InterruptScope scope;
    run_sync(stubborn());
    std::exit(1);
}

TEST_F(BridgeSignalTest, F22_TheSecondSignalKillsEvenIfTheLoopIsStuck) {
    EXPECT_EXIT(be_interrupted_twice(), ::testing::KilledBySignal(SIGINT), "first");
}

TEST_F(BridgeSignalTest, F22_ACallOfAProcessIsInterrupted) {
    ScriptedServer server;
    server.handle([](const RecordedRequest& request) {
        if (request.body.find("hold") != std::string::npos) {
            send_signal(SIGINT);
            return Reply().hold();
        }
        return openai_chat_echo(request);
    });
    SyncLLMProcess process = program_for(server).start_sync();
    {
        InterruptScope scope;
        expect_interrupted([&] { process.run("hold"); });
        expect_interrupted([&] { process.run("hello"); });
        EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
        scope.reset();
        EXPECT_EQ(process.run("hello").text(), "You said: hello");
    }
    EXPECT_EQ(process.messages().size(), 2U);
}

TEST_F(BridgeSignalTest, F22_AStreamIsInterrupted) {
    ScriptedServer server;
    Reply half = openai_chat_stream({"one ", "two"});
    half.hold_after(700);
    server.push(half);
    SyncLLMProcess process = program_for(server).start_sync();
    const InterruptScope scope;
    std::string text;
    expect_interrupted([&] {
        SyncStream stream = process.stream("go");
        send_signal(SIGINT);
        for (const StreamEvent& event : stream) {
            text += event.text();
        }
    });
    EXPECT_TRUE(process.messages().empty());
}

/// Stops this program, and lets it go on when `pause` is over; made before any thread. Real time
/// has to pass here: a stopped program has no clock that a test could set, and what it must meet
/// when it goes on is that the system's clock has passed its deadline.
class Pauser {
public:
    Pauser() {
        if (::pipe(ends_.data()) != 0) {
            std::abort();
        }
        const pid_t program = ::getpid();
        child_ = ::fork();
        if (child_ == 0) {
            ::close(ends_[1]);
            useconds_t asked = 0;
            while (::read(ends_[0], &asked, sizeof asked) == sizeof asked) {
                ::kill(program, SIGSTOP);
                ::usleep(asked);
                ::kill(program, SIGCONT);
            }
            ::_exit(0);
        }
    }
    Pauser(const Pauser&) = delete;
    Pauser& operator=(const Pauser&) = delete;
    ~Pauser() {
        ::close(ends_[0]);
        ::close(ends_[1]);
        ::waitpid(child_, nullptr, 0);
    }

    /// From any thread.
    void pause(std::chrono::milliseconds time) const {
        const auto asked = static_cast<useconds_t>(std::chrono::microseconds(time).count());
        if (::write(ends_[1], &asked, sizeof asked) != sizeof asked) {
            std::abort();
        }
    }

private:
    std::array<int, 2> ends_{};
    pid_t child_ = -1;
};

/// What became of a call while this program was stopped.
struct Suspended {
    bool begun = false;
    bool cancelled = false;
};

asio::awaitable<void> paused(
    const Pauser* pauser,
    std::chrono::milliseconds time,
    Suspended* seen
) {
    seen->begun = true;
    pauser->pause(time);
    try {
        co_await for_ever();
    } catch (const boost::system::system_error&) {
        seen->cancelled = true;
        throw;
    }
}

/// Whether a call that is suspended past its deadline is cancelled and times out. A limit that is
/// over before the call begins shows nothing: then a longer one is tried.
bool times_out(const Pauser& pauser) {
    Suspended seen;
    Errc code = Errc::timeout;
    for (auto limit = 200ms; !seen.begun && code == Errc::timeout && limit < watchdog; limit *= 4) {
        code = code_of([&] {
            run_sync(paused(&pauser, 2 * limit, &seen), RunOptions().timeout(limit));
        });
    }
    return code == Errc::timeout && seen.cancelled;
}

void be_suspended() {
    const Pauser pauser;
    ScriptedServer server;
    server.handle([&pauser](const RecordedRequest& request) {
        if (request.body.find("hold") != std::string::npos) {
            pauser.pause(400ms);
            return Reply().hold();
        }
        return openai_chat_echo(request);
    });
    const bool call = times_out(pauser);
    const auto next = []() -> asio::awaitable<int> { co_return 7; };
    const int after = run_sync(next(), RunOptions().timeout(watchdog));
    SyncLLMProcess process = program_for(server).start_sync();
    process.run("connects");
    const Errc run = code_of([&] { process.run("hold", RunOptions().timeout(200ms)); });
    const std::string text = process.run("hi", RunOptions().timeout(watchdog)).text();
    if (!call || after != 7 || run != Errc::timeout) {
        std::cerr << "call " << call << ", code " << static_cast<int>(run) << '\n';
        std::exit(1);
    }
    std::cerr << text << std::endl;
    process.close();
    server.stop();
    std::exit(0);
}

TEST_F(BridgeSignalTest, F39_SuspendedPastADeadline) {
    EXPECT_EXIT(be_suspended(), ::testing::ExitedWithCode(0), "You said: hi");
}

}  // namespace
}  // namespace llmproc::testing
