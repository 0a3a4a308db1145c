#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/process_support.hpp"
#include "support/drive.hpp"
#include "support/resources.hpp"
#include "support/sanitizers.hpp"
#include "support/scarcity.hpp"
#include "support/test_program.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <future>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::errc_from;
using testing::Resources;
using testing::settled;
using testing::watchdog;

constexpr std::size_t mebibyte = 1024UL * 1024;

class ProcessIsolationTest : public testing::ProcessFixture {};

TEST_F(ProcessIsolationTest, A1_12a_ABlockedLoopDelaysNoOtherProcess) {
    SyncLLMProcess blocked = program().start_sync();
    SyncLLMProcess other = program().start_sync();
    std::promise<void> release;
    std::promise<void> begun;
    asio::post(blocked.get_executor(), [&] {
        begun.set_value();
        release.get_future().wait();
    });
    begun.get_future().get();
    auto waiting = std::async(std::launch::async, [&] { return blocked.run("later").text(); });
    // Its loop stands still all the time that these take.
    for (int i = 0; i < 10; ++i) {
        EXPECT_EQ(other.run(std::to_string(i)).text(), "You said: " + std::to_string(i));
    }
    EXPECT_EQ(server.stats().requests, 10U);
    release.set_value();
    EXPECT_EQ(waiting.get(), "You said: later");
}

TEST_F(ProcessIsolationTest, A1_12b_F19_TwoThousandProcessesOnOneLoop) {
    constexpr std::size_t count = testing::sanitized ? 200 : 2'000;
    const LLMProgram shared = program();
    const EventLoop loop;
    shared.start_sync(SyncOptions().on(loop)).run("connects");
    const Resources before = Resources::now();
    {
        std::vector<SyncLLMProcess> processes;
        processes.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            processes.push_back(shared.start_sync(SyncOptions().on(loop)));
        }
        EXPECT_EQ(Resources::now(), before) << "a process on a shared loop took one of its own";
        for (std::size_t i = 0; i < count; ++i) {
            const std::string prompt = std::to_string(i);
            ASSERT_EQ(processes[i].run(prompt).text(), "You said: " + prompt);
        }
        for (const SyncLLMProcess& process : processes) {
            ASSERT_EQ(process.messages().size(), 2U);
        }
    }
    EXPECT_EQ(settled(before, watchdog), before);
    EXPECT_EQ(server.stats().accepts, 1U) << "they share the loop's connections";
}

TEST_F(ProcessIsolationTest, F19_ThreeHundredPrivateLoops) {
    constexpr std::size_t count = testing::sanitized ? 50 : 300;
    testing::raise_descriptor_limit();
    warm_up();
    const Resources before = Resources::now();
    {
        std::vector<SyncLLMProcess> processes;
        for (std::size_t i = 0; i < count; ++i) {
            processes.push_back(program().start_sync());
        }
        EXPECT_EQ(Resources::now().threads, before.threads + count);
        EXPECT_EQ(Resources::now().descriptors, before.descriptors + 3 * count);
        for (SyncLLMProcess& process : processes) {
            ASSERT_GT(process.count_tokens().input_tokens, 0);
        }
    }
    EXPECT_EQ(settled(before, watchdog), before);
}

[[noreturn]] void start_until_refused() {
    testing::ScriptedServer server;
    server.handle(testing::openai_chat_echo);
    const LLMProgram program = testing::program_for(server);
    bool good = true;
    {
        SyncLLMProcess first = program.start_sync();
        first.run("connects");
        testing::limit_descriptors(60);
        std::vector<SyncLLMProcess> others;
        std::optional<Errc> refused;
        while (!refused && others.size() < 1'000) {
            refused = errc_from([&] {
                others.push_back(program.start_sync());
                return 0;
            });
        }
        good = refused == Errc::limit_reached && others.size() > 5;
        for (SyncLLMProcess& other : others) {
            good = other.count_tokens().input_tokens > 0 && good;
        }
        good = first.run("still").text() == "You said: still" && good;
        others.pop_back();
        others.push_back(program.start_sync());
    }
    std::exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
}

TEST_F(ProcessIsolationTest, A1_12c_PrivateLoopsUntilTheDescriptorsEnd) {
    if (testing::needs_descriptors_itself()) {
        GTEST_SKIP() << testing::needs_descriptors_because;
    }
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(start_until_refused(), ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

[[noreturn]] void start_with_ever_fewer_descriptors() {
    testing::ScriptedServer server;
    const LLMProgram program = testing::program_for(server);
    { const SyncLLMProcess fills_caches = program.start_sync(); }
    const Resources before = Resources::now();
    testing::limit_descriptors(64);
    // Asio's reactor opens an eventfd, an epoll and a timer descriptor, in this order. It fails
    // without one of the first two; without the third the next timer is epoll_wait's timeout.
    constexpr std::size_t needed = 2;
    bool good = true;
    for (std::size_t room = 0; room < 8; ++room) {
        std::optional<Errc> error;
        {
            const testing::FewDescriptors few(room);
            error = errc_from([&] { return program.start_sync(); });
        }
        const std::optional<Errc> expected = room < needed ? std::optional(Errc::limit_reached)
                                                           : std::nullopt;
        if (error != expected) {
            const std::string what = error ? make_error_code(*error).message() : "it started";
            std::cerr << room << " descriptors: " << what << '\n';
            good = false;
        }
        const Resources after = settled(before, std::chrono::seconds(10));
        if (after != before) {
            std::cerr << room << " descriptors: " << after << " instead of " << before << '\n';
            good = false;
        }
    }
    std::exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
}

TEST_F(ProcessIsolationTest, F14_AStartThatRunsOutOfDescriptorsLeavesNothing) {
    if (testing::needs_descriptors_itself()) {
        GTEST_SKIP() << testing::needs_descriptors_because;
    }
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(start_with_ever_fewer_descriptors(), ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

TEST_F(ProcessIsolationTest, F14_AStartWithoutAThreadLeavesNothing) {
    warm_up();
    SyncLLMProcess earlier = program().start_sync();
    const Resources before = Resources::now();
    {
        const testing::NoThreads none;
        EXPECT_EQ(errc_from([&] { return program().start_sync(); }), Errc::limit_reached);
        EXPECT_EQ(errc_from([&] { return EventLoop(); }), Errc::limit_reached);
        EXPECT_EQ(settled(before, watchdog), before);
        EXPECT_EQ(earlier.run("goes on").text(), "You said: goes on");
    }
    EXPECT_EQ(program().start_sync().run("again").text(), "You said: again");
}

TEST_F(ProcessIsolationTest, F13_StartRunAndDestroyLeaveNothing) {
    constexpr int rounds = testing::sanitized ? 50 : 1'000;
    warm_up();
    const Resources before = Resources::now();
    const auto start_and_destroy = [this] {
        for (int i = 0; i < rounds; ++i) {
            SyncLLMProcess process = program().start_sync();
            if (i % 10 == 0) {
                ASSERT_EQ(process.run("hi").text(), "You said: hi");
            }
        }
    };
    start_and_destroy();
    const std::size_t half = testing::resident_bytes();
    start_and_destroy();
    const std::size_t whole = testing::resident_bytes();
    EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    EXPECT_EQ(settled(before, watchdog), before);
    if (!testing::sanitized) {
        EXPECT_LT(whole, half + 2 * mebibyte) << "the second half took memory";
    }
}

}  // namespace
}  // namespace llmproc
