/// @file
/// What the tests of processes share.
#pragma once

#include <llmproc/event_loop.hpp>
#include <llmproc/message.hpp>
#include <llmproc/program.hpp>
#include <llmproc/sync_process.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

namespace llmproc::testing {

/// A server that answers whatever it is asked, and the program for it.
class ProcessFixture : public ::testing::Test {
public:
    ProcessFixture() { server.handle(openai_chat_echo); }
    LLMProgram program() const { return program_for(server); }
    /// Fills the caches of OpenSSL, glibc and the library.
    void warm_up() const {
        SyncLLMProcess first = program().start_sync();
        first.run("fills caches");
        first.close();
        EXPECT_TRUE(server.wait_for_connections_at_most(0, watchdog));
    }

    ScriptedServer server;
};

/// Waits until so many calls are in progress on the process's loop.
inline void wait_for_pending(const SyncLLMProcess& process, std::uint64_t calls) {
    const auto end = std::chrono::steady_clock::now() + watchdog;
    while (process.loop().stats().pending_calls < calls) {
        ASSERT_LT(std::chrono::steady_clock::now(), end);
        std::this_thread::yield();
    }
}

/// Waits until no call is in progress: a stream that was let go ends on the loop, soon.
inline void wait_for_none_pending(const SyncLLMProcess& process) {
    const auto end = std::chrono::steady_clock::now() + watchdog;
    while (process.loop().stats().pending_calls > 0) {
        ASSERT_LT(std::chrono::steady_clock::now(), end);
        std::this_thread::yield();
    }
}

/// Every prompt stands before its own answer.
inline void expect_whole_exchanges(const History& history) {
    ASSERT_EQ(history.size() % 2, 0U);
    for (std::size_t i = 0; i < history.size(); i += 2) {
        ASSERT_EQ(history[i]->role(), Role::user);
        ASSERT_EQ(history[i + 1]->role(), Role::assistant);
        ASSERT_EQ(history[i + 1]->text(), "You said: " + history[i]->text());
    }
}

}  // namespace llmproc::testing
