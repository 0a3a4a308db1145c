#include "core/fork_hold.hpp"

#include <llmproc/error.hpp>
#include "support/sanitizers.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <fstream>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

#define SKIP_WITHOUT_FORK()                                                                    \
    if (!testing::can_fork) {                                                                  \
        GTEST_SKIP() << "ThreadSanitizer does not follow a program with threads into a child"; \
    }                                                                                          \
    static_cast<void>(0)

/// The exit code of a child made by fork(), in which `body` runs.
template <typename Body>
int in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        ::_exit(body());
    }
    int status = 0;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        return -1;
    }
    return WEXITSTATUS(status);
}

bool forked_in_order() {
    try {
        check_forked_in_order();
        return true;
    } catch (const LLMError& error) {
        return error.errc() != Errc::forked_process;
    }
}

/// Whether a thread of this program is blocked, as /proc has it.
bool is_blocked(pid_t thread) {
    std::ifstream file("/proc/self/task/" + std::to_string(thread) + "/stat");
    std::string text;
    std::getline(file, text);
    const std::size_t name_end = text.rfind(')');
    return name_end != std::string::npos && text.compare(name_end, 3, ") S") == 0;
}

TEST(ForkHoldTest, AForkWaitsForWhatAnotherThreadDoes) {
    SKIP_WITHOUT_FORK();
    std::atomic<bool> forks{false};
    std::atomic<bool> over{false};
    std::latch inside(1);
    std::thread worker([&, forking = ::gettid()] {
        const ForkHold outer;
        const ForkHold inner;
        inside.count_down();
        // A fork that does not wait has its child by then, for which the other thread waits.
        while (!forks || !is_blocked(forking)) {
            std::this_thread::yield();
        }
        over = true;
    });
    inside.wait();
    forks = true;
    const int code = in_child([&over] { return over && forked_in_order() ? 0 : 1; });
    worker.join();
    EXPECT_EQ(code, 0);
    EXPECT_TRUE(forked_in_order());
}

TEST(ForkHoldTest, AForkAmongThreadsThatComeAndGoIsNotPutOffForEver) {
    SKIP_WITHOUT_FORK();
    std::atomic<bool> over{false};
    std::array<std::atomic<bool>, 4> busy{};
    std::vector<std::thread> workers;
    workers.reserve(busy.size());
    for (std::atomic<bool>& mine : busy) {
        workers.emplace_back([&over, &mine] {
            while (!over) {
                const ForkHold hold;
                mine = true;
                std::this_thread::yield();
                mine = false;
            }
        });
    }
    for (int i = 0; i < 50; ++i) {
        EXPECT_EQ(
            in_child([&busy] {
                for (const std::atomic<bool>& other : busy) {
                    if (other) {
                        return 1;
                    }
                }
                const ForkHold mine;
                return forked_in_order() ? 0 : 2;
            }),
            0
        );
    }
    over = true;
    for (std::thread& worker : workers) {
        worker.join();
    }
}

TEST(ForkHoldTest, AForkFromWithinIsRefusedInTheChildOnly) {
    SKIP_WITHOUT_FORK();
    const ForkHold hold;
    EXPECT_EQ(in_child([] { return forked_in_order() ? 1 : 0; }), 0);
    // A child's children are not better off.
    EXPECT_EQ(in_child([] { return in_child([] { return forked_in_order() ? 1 : 0; }); }), 0);
    EXPECT_TRUE(forked_in_order());
}

TEST(ForkHoldTest, AForkGoesOnWithoutAThreadThatDoesNotLeave) {
    SKIP_WITHOUT_FORK();
    std::latch inside(1);
    std::latch leave(1);
    std::thread worker([&] {
        const ForkHold hold;
        inside.count_down();
        leave.wait();
    });
    inside.wait();
    EXPECT_EQ(in_child([] { return forked_in_order() ? 1 : 0; }), 0);
    leave.count_down();
    worker.join();
    EXPECT_EQ(in_child([] { return forked_in_order() ? 0 : 1; }), 0);
}

TEST(ForkHoldTest, APauseLetsForksThrough) {
    SKIP_WITHOUT_FORK();
    const ForkHold outer;
    const ForkHold inner;
    {
        const ForkHoldPause pause;
        EXPECT_EQ(in_child([] { return forked_in_order() ? 0 : 1; }), 0);
    }
    EXPECT_EQ(in_child([] { return forked_in_order() ? 1 : 0; }), 0);
}

TEST(ForkHoldTest, TheChildOfAForkFromWithinMayLeaveAndForkAgain) {
    SKIP_WITHOUT_FORK();
    EXPECT_EQ(
        in_child([] {
            std::atomic<int> inner{-1};
            {
                const ForkHold hold;
                inner = in_child([] { return 0; });
            }
            const ForkHold again;
            return inner == 0 ? 0 : 1;
        }),
        0
    );
}

}  // namespace
}  // namespace llmproc
