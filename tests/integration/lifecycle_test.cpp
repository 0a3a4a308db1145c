#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/resources.hpp"
#include "support/sanitizers.hpp"
#include "support/scarcity.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using testing::openai_chat_echo;
using testing::openai_chat_stream;
using testing::program_for;
using testing::Resources;
using testing::ScriptedServer;
using testing::settled;
using testing::watchdog;

constexpr int starts = testing::sanitized ? 500 : 10'000;
constexpr int runs = testing::sanitized ? 30 : 200;
constexpr std::size_t mebibyte = 1024UL * 1024;

void start_and_destroy(const LLMProgram& program, int count) {
    for (int i = 0; i < count; ++i) {
        const SyncLLMProcess process = program.start_sync();
    }
}

void start_run_and_destroy(const LLMProgram& program, int count) {
    for (int i = 0; i < count; ++i) {
        SyncLLMProcess process = program.start_sync();
        ASSERT_EQ(process.run("hi").text(), "You said: hi");
    }
}

/// What this process holds once the server has seen every connection end.
Resources quiet(const ScriptedServer& server) {
    EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    return Resources::now();
}

TEST(LifecycleTest, StartAndDestroyLeaveNothingBehind) {
    ScriptedServer server;
    const LLMProgram program = program_for(server);
    // The first ones fill caches (TLS contexts, OpenSSL's and glibc's own).
    start_and_destroy(program, 10);
    const Resources before = quiet(server);
    start_and_destroy(program, starts / 2);
    const std::size_t half = testing::resident_bytes();
    start_and_destroy(program, starts / 2);
    const std::size_t whole = testing::resident_bytes();
    EXPECT_EQ(settled(before, watchdog), before);
    if (!testing::sanitized) {
        EXPECT_LT(whole, half + mebibyte) << "the second half of the starts took memory";
    }
    EXPECT_EQ(server.stats().accepts, 0U) << "a start connects";
}

TEST(LifecycleTest, ProcessesThatRanLeaveNothingBehind) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const LLMProgram program = program_for(server);
    start_run_and_destroy(program, 3);
    const Resources before = quiet(server);
    start_run_and_destroy(program, runs);
    quiet(server);
    EXPECT_EQ(settled(before, watchdog), before);
    EXPECT_EQ(server.stats().accepts, static_cast<std::size_t>(runs) + 3U);
}

TEST(LifecycleTest, ManyProcessesAtOnceLeaveNothingBehind) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const LLMProgram program = program_for(server);
    start_run_and_destroy(program, 3);
    const Resources before = quiet(server);
    {
        std::vector<SyncLLMProcess> processes;
        for (int i = 0; i < runs; ++i) {
            processes.push_back(program.start_sync());
            ASSERT_EQ(processes.back().run("hi").text(), "You said: hi");
        }
        EXPECT_EQ(server.stats().open_connections, static_cast<std::size_t>(runs));
        EXPECT_GE(Resources::now().threads, before.threads + static_cast<std::size_t>(runs));
    }
    quiet(server);
    EXPECT_EQ(settled(before, watchdog), before);
}

TEST(LifecycleTest, ProcessesOnOneLoopLeaveNothingButTheLoop) {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const LLMProgram program = program_for(server);
    EventLoop loop;
    program.start_sync(SyncOptions().on(loop)).run("hi");
    const Resources before = Resources::now();
    for (int i = 0; i < runs; ++i) {
        SyncLLMProcess process = program.start_sync(SyncOptions().on(loop));
        ASSERT_EQ(process.run("hi").text(), "You said: hi");
    }
    EXPECT_EQ(settled(before, watchdog), before);
    EXPECT_EQ(server.stats().accepts, 1U);
}

TEST(LifecycleTest, AStartThatFailsLeavesNothingBehind) {
    ScriptedServer server(testing::ServerOptions().https(false));
    const LLMProgram good = program_for(server);
    const LLMProgram bad = LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\n"
        "base_url = \"https://localhost:1/v1\"\napi_key_env = \"\"\n"
        "[connection]\nca_file = \"/nonexistent/ca.pem\"\n",
        "bad.toml"
    );
    start_and_destroy(good, 1);
    const Resources before = Resources::now();
    for (int i = 0; i < 50; ++i) {
        try {
            static_cast<void>(bad.start_sync());
            FAIL() << "started without its CA file";
        } catch (const ConfigError& error) {
            EXPECT_EQ(error.key(), "connection.ca_file");
            EXPECT_EQ(error.line(), 7U) << error.what();
        }
    }
    EXPECT_EQ(settled(before, watchdog), before);
}

/// Never destroyed before main has returned.
std::optional<SyncLLMProcess> at_namespace_scope;
std::optional<SyncStream> stream_at_namespace_scope;

/// The rest of a program whose processes nobody closes; ends it as `return` from main would.
[[noreturn]] void end_with_open_processes() {
    // Outlives its clients, as a server elsewhere would.
    auto* const server = new ScriptedServer;  // NOLINT(cppcoreguidelines-owning-memory)
    server->handle(openai_chat_echo);
    const LLMProgram program = program_for(*server);
    static SyncLLMProcess in_function = program.start_sync();
    bool good = in_function.run("a").text() == "You said: a";
    at_namespace_scope.emplace(program.start_sync());
    good = at_namespace_scope->run("b").text() == "You said: b" && good;
    server->push(openai_chat_stream({"c", "d"}).hold_after(400));
    stream_at_namespace_scope.emplace(at_namespace_scope->stream("c"));
    std::exit(good ? EXIT_SUCCESS : EXIT_FAILURE);
}

TEST(LifecycleDeathTest, AProgramMayEndWithProcessesOfStaticStorage) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(end_with_open_processes(), ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

int failures = 0;

void require(bool holds, const std::string& what) {
    if (!holds) {
        std::cerr << "not so: " << what << '\n';
        ++failures;
    }
}

/// Starts processes until the system refuses.
std::vector<SyncLLMProcess> fill(const LLMProgram& program) {
    std::vector<SyncLLMProcess> processes;
    bool refused = false;
    while (!refused && processes.size() < 1000) {
        try {
            processes.push_back(program.start_sync());
        } catch (const LLMError& error) {
            require(error.errc() == Errc::limit_reached, error.what());
            refused = true;
        } catch (const std::exception& error) {
            require(false, std::string("a typed error instead of: ") + error.what());
            refused = true;
        }
    }
    require(refused, "the limit is reached");
    return processes;
}

/// `process` needs its first connection, and cannot have it.
void require_limit_reached(SyncLLMProcess& process) {
    const testing::FewDescriptors none_left(0);
    try {
        process.run("no descriptor left");
        require(false, "a run without descriptors fails");
    } catch (const LLMError& error) {
        require(error.errc() == Errc::limit_reached, error.what());
    } catch (const std::exception& error) {
        require(false, std::string("a typed error instead of: ") + error.what());
    }
}

[[noreturn]] void run_out_of_descriptors() {
    ScriptedServer server;
    server.handle(openai_chat_echo);
    const LLMProgram program = program_for(server);
    {
        SyncLLMProcess connected = program.start_sync();
        connected.run("before");
        const Resources before = Resources::now();
        for (std::size_t room = 8; room < 40; ++room) {
            testing::limit_descriptors(room);
            std::vector<SyncLLMProcess> processes = fill(program);
            require(!processes.empty(), "some processes start");
            require(
                connected.run("still there").text() == "You said: still there",
                "a process with a connection works on"
            );
            if (!processes.empty()) {
                require_limit_reached(processes.front());
            }
            processes.clear();
            require(settled(before, watchdog) == before, "all is given back");
            SyncLLMProcess again = program.start_sync();
            require(again.run("again").text() == "You said: again", "there is room again");
            again.close();
            server.wait_for_connections_at_most(1, watchdog);
        }
    }
    std::exit(failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE);
}

TEST(LifecycleDeathTest, AStartWithoutDescriptorsIsATypedErrorAndTheOthersGoOn) {
    if (testing::needs_descriptors_itself()) {
        GTEST_SKIP() << testing::needs_descriptors_because;
    }
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(run_out_of_descriptors(), ::testing::ExitedWithCode(EXIT_SUCCESS), "");
}

}  // namespace
}  // namespace llmproc
