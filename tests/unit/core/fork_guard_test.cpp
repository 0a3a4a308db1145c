#include "core/fork_guard.hpp"

#include <llmproc/error.hpp>
#include <llmproc/log.hpp>
#include "core/log_line.hpp"

#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <latch>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

/// Runs `holds` in a child made by fork(); says whether it was true there.
template <typename Holds>
bool in_child(Holds holds) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(60);
        ::_exit(holds() ? 0 : 1);
    }
    int status = 0;
    return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

struct Number {
    int value = 7;
};
constinit PerProcess<Number> number;
constinit PerProcess<std::mutex> contended;

TEST(ForkGuardTest, GenerationsGrowInChildrenOnly) {
    const unsigned mine = fork_generation();
    EXPECT_FALSE(inherited(mine));
    EXPECT_TRUE(in_child([mine] {
        const unsigned childs = fork_generation();
        const bool in_grandchild = in_child([mine, childs] {
            return inherited(mine) && inherited(childs);
        });
        return inherited(mine) && !inherited(childs) && in_grandchild;
    }));
    EXPECT_EQ(fork_generation(), mine);
}

TEST(ForkGuardTest, TheErrorNamesTheThingAndTheRemedy) {
    check_not_forked(fork_generation(), "this thing");
    try {
        check_not_forked(fork_generation() + 1, "this thing");
        FAIL() << "a parent's object was accepted";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::forked_process);
        EXPECT_EQ(
            error.message(),
            "this thing was made before fork() and belongs to the parent; start a new one in the "
            "child"
        );
    }
}

TEST(ForkGuardTest, AChildGetsANewObjectAndTheParentKeepsIts) {
    number.get().value = 8;
    EXPECT_TRUE(in_child([] {
        const bool fresh = number.get().value == 7;
        number.get().value = 9;
        return fresh && number.get().value == 9;
    }));
    EXPECT_EQ(number.get().value, 8);
}

TEST(ForkGuardTest, ALockThatAnotherThreadHeldIsFreeInTheChild) {
    std::latch locked(1);
    std::latch forked(1);
    std::thread holder([&] {
        const std::lock_guard lock(contended.get());
        locked.count_down();
        forked.wait();
    });
    locked.wait();
    EXPECT_TRUE(in_child([] {
        const std::lock_guard lock(contended.get());
        return true;
    }));
    forked.count_down();
    holder.join();
}

TEST(ForkGuardTest, ThreadsThatRaceForTheFirstUseGetTheSameObject) {
    constexpr std::size_t threads = 8;
    for (int round = 0; round < 100; ++round) {
        PerProcess<Number> raced;
        std::latch start(threads);
        std::vector<const Number*> seen(threads);
        std::vector<std::jthread> racers;
        racers.reserve(threads);
        for (std::size_t i = 0; i < threads; ++i) {
            racers.emplace_back([&, i] {
                start.arrive_and_wait();
                seen[i] = &raced.get();
            });
        }
        racers.clear();
        EXPECT_EQ(std::set<const Number*>(seen.begin(), seen.end()).size(), 1U);
        // A local one is not what the class is for; what it leaks is kept as the library would.
        KeptForParent::keep(&raced.get());
    }
}

TEST(ForkGuardTest, TheLogSinkAndLevelAreInherited) {
    std::string seen;
    set_log_sink(LogLevel::info, [&seen](LogLevel, std::string_view text) { seen = text; });
    EXPECT_TRUE(in_child([&seen] {
        log_line(LogLevel::info, "from the child");
        const bool inherited_sink = seen == "from the child";
        set_log_sink(LogLevel::off, nullptr);
        return inherited_sink;
    }));
    log_line(LogLevel::info, "from the parent");
    EXPECT_EQ(seen, "from the parent");
    set_log_sink(LogLevel::warning, nullptr);
}

}  // namespace
}  // namespace llmproc
