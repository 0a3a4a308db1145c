#include "runtime/signal_trap.hpp"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace llmproc {
namespace {

std::atomic<int> user_handler_runs{0};

void user_handler(int) {
    ++user_handler_runs;
}

bool readable(int descriptor) {
    pollfd asked{descriptor, POLLIN, 0};
    return ::poll(&asked, 1, 0) == 1;
}

/// SIGUSR1 as the program had it before.
class SignalTrapTest : public ::testing::Test {
protected:
    void SetUp() override {
        user_handler_runs = 0;
        struct sigaction action {};
        action.sa_handler = user_handler;
        ::sigemptyset(&action.sa_mask);
        ::sigaction(SIGUSR1, &action, &before_);
    }
    void TearDown() override { ::sigaction(SIGUSR1, &before_, nullptr); }

private:
    struct sigaction before_ {};
};

TEST_F(SignalTrapTest, TheFirstSignalMakesTheDescriptorReadable) {
    const auto trap = SignalTrap::set({SIGUSR1, SIGUSR2});
    ASSERT_TRUE(trap);
    EXPECT_EQ(trap->caught(), 0);
    EXPECT_FALSE(readable(trap->descriptor()));
    errno = ENOENT;
    ::raise(SIGUSR1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(trap->caught(), SIGUSR1);
    EXPECT_TRUE(readable(trap->descriptor()));
    trap->drain();
    EXPECT_FALSE(readable(trap->descriptor()));
    EXPECT_EQ(user_handler_runs, 0);
}

TEST_F(SignalTrapTest, TheFormerHandlerWorksAgainAfterwards) {
    for (int i = 1; i <= 3; ++i) {
        {
            const auto trap = SignalTrap::set({SIGUSR1});
            ASSERT_TRUE(trap);
            ::raise(SIGUSR1);
        }
        EXPECT_EQ(user_handler_runs, i - 1);
        ::raise(SIGUSR1);
        EXPECT_EQ(user_handler_runs, i);
    }
}

TEST_F(SignalTrapTest, AHandlerThatSomebodySetsMeanwhileStays) {
    struct sigaction other {};
    other.sa_handler = SIG_IGN;
    {
        const auto trap = SignalTrap::set({SIGUSR1});
        ::sigaction(SIGUSR1, &other, nullptr);
    }
    struct sigaction now {};
    ::sigaction(SIGUSR1, nullptr, &now);
    EXPECT_EQ(now.sa_handler, SIG_IGN);
}

TEST_F(SignalTrapTest, ThereIsOneInTheProgram) {
    auto trap = SignalTrap::set({SIGUSR1});
    ASSERT_TRUE(trap);
    EXPECT_FALSE(SignalTrap::set({SIGUSR2}));
    trap.reset();
    EXPECT_TRUE(SignalTrap::set({SIGUSR2}));
}

TEST_F(SignalTrapTest, ItsDescriptorIsNotInheritedByPrograms) {
    const auto trap = SignalTrap::set({SIGUSR1});
    ASSERT_TRUE(trap);
    EXPECT_NE(::fcntl(trap->descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(SignalTrapTest, RearmForgetsTheSignal) {
    const auto trap = SignalTrap::set({SIGUSR1});
    ASSERT_TRUE(trap);
    ::raise(SIGUSR1);
    trap->drain();
    trap->rearm();
    EXPECT_EQ(trap->caught(), 0);
    ::raise(SIGUSR1);
    EXPECT_EQ(trap->caught(), SIGUSR1);
}

TEST_F(SignalTrapTest, TheSecondSignalKills) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    const auto twice = [](int second) {
        const auto trap = SignalTrap::set({SIGUSR1, SIGUSR2});
        ::raise(SIGUSR1);
        ::raise(second);
        std::exit(1);
    };
    EXPECT_EXIT(twice(SIGUSR1), ::testing::KilledBySignal(SIGUSR1), "");
    EXPECT_EXIT(twice(SIGUSR2), ::testing::KilledBySignal(SIGUSR2), "");
}

TEST_F(SignalTrapTest, AForkedChildIsEndedByTheFirstSignal) {
    const auto trap = SignalTrap::set({SIGUSR1});
    ASSERT_TRUE(trap);
    const pid_t child = ::fork();
    if (child == 0) {
        ::raise(SIGUSR1);
        ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFSIGNALED(status));
    EXPECT_EQ(WTERMSIG(status), SIGUSR1);
    EXPECT_EQ(trap->caught(), 0);
    EXPECT_FALSE(readable(trap->descriptor()));
}

}  // namespace
}  // namespace llmproc
