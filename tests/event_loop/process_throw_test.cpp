#include <llmproc/llmproc.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/process_support.hpp"
#include "support/drive.hpp"
#include "support/local_server.hpp"
#include "support/log_lines.hpp"
#include "support/pem_files.hpp"
#include "support/resources.hpp"
#include "support/test_program.hpp"

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::LogLines;
using testing::watchdog;

/// Its copies throw; it can be thrown only where it is made.
class Uncopyable : public std::runtime_error {
public:
    Uncopyable() : std::runtime_error("the first one") {}
    Uncopyable(const Uncopyable& other) : std::runtime_error(other) {
        throw std::logic_error("it was copied");
    }
    Uncopyable& operator=(const Uncopyable&) = delete;
    ~Uncopyable() override = default;
};

struct Thrown {
    const char* name;
    std::function<void()> raise;
};

std::vector<Thrown> all_kinds() {
    return {
        {"std::exception", [] { throw std::out_of_range("a plain one"); }},
        {"LLMError", [] { throw LLMError(Errc::invalid_argument, "one of ours"); }},
        {"int", [] { throw 42; }},
        {"uncopyable", [] { throw Uncopyable(); }},
    };
}

class ProcessThrowTest : public testing::ProcessFixture {
public:
    static void wait_for_line(const LogLines& log, std::size_t lines) {
        const auto end = std::chrono::steady_clock::now() + watchdog;
        while (log.count(LogLevel::error, "") < lines) {
            ASSERT_LT(std::chrono::steady_clock::now(), end) << "nobody said anything";
            std::this_thread::yield();
        }
    }
};

asio::awaitable<void> fail(std::function<void()> raise) {
    raise();
    co_return;
}

TEST_F(ProcessThrowTest, F15_AHandlerThatThrowsIsReportedAndTheLoopGoesOn) {
    const LogLines log;
    SyncLLMProcess process = program().start_sync();
    const std::thread::id loop = process.loop().thread_id();
    std::size_t thrown = 0;
    for (const Thrown& kind : all_kinds()) {
        asio::post(process.get_executor(), kind.raise);
        EXPECT_EQ(process.run(kind.name).text(), std::string("You said: ") + kind.name);
        ++thrown;
        EXPECT_EQ(process.loop().stats().handler_exceptions, thrown) << kind.name;
        wait_for_line(log, thrown);
    }
    EXPECT_EQ(log.count(LogLevel::error, "a plain one"), 1U);
    EXPECT_EQ(process.loop().thread_id(), loop);
    EXPECT_TRUE(process.close().drained);
}

TEST_F(ProcessThrowTest, F15_BackgroundWorkThatThrowsIsReportedAndTheLoopGoesOn) {
    const LogLines log;
    SyncLLMProcess process = program().start_sync();
    std::size_t thrown = 0;
    for (const Thrown& kind : all_kinds()) {
        process.spawn(fail(kind.raise));
        wait_for_line(log, ++thrown);
        EXPECT_EQ(process.run(kind.name).text(), std::string("You said: ") + kind.name);
    }
    EXPECT_EQ(log.count(LogLevel::error, "background work: "), thrown);
    EXPECT_EQ(log.count(LogLevel::error, "a plain one"), 1U);
    EXPECT_EQ(log.count(LogLevel::error, "the first one"), 1U);
    EXPECT_EQ(process.loop().stats().handler_exceptions, 0U);
    EXPECT_TRUE(process.close().drained);
}

TEST_F(ProcessThrowTest, F15_ACompletionHandlerThatThrowsLeavesRunAndNothingElse) {
    for (const Thrown& kind : all_kinds()) {
        asio::io_context io;
        AsyncLLMProcess process = program().start(io.get_executor());
        int called = 0;
        process.async_run("hi", RunOptions(), [&](const std::exception_ptr&, const RunResult&) {
            ++called;
            kind.raise();
        });
        EXPECT_ANY_THROW(io.run_for(watchdog)) << kind.name;
        EXPECT_EQ(called, 1) << kind.name;
        std::string text;
        testing::drive(io, testing::run_once(process, "next", text));
        EXPECT_EQ(text, "You said: next;") << kind.name;
        EXPECT_EQ(process.messages().size(), 4U) << kind.name;
    }
}

TEST_F(ProcessThrowTest, F15_ACoroutineThatThrowsBetweenItsCalls) {
    asio::io_context io;
    AsyncLLMProcess process = program().start(io.get_executor());
    for (const Thrown& kind : all_kinds()) {
        EXPECT_ANY_THROW(testing::drive(io, fail(kind.raise))) << kind.name;
        std::string text;
        testing::drive(io, testing::run_once(process, kind.name, text));
        EXPECT_EQ(text, std::string("You said: ") + kind.name + ";");
    }
}

TEST_F(ProcessThrowTest, F15_AThrowInSetUpLeavesStartAndNothingElse) {
    const testing::Folder folder;
    const testing::Certificate client = testing::CertificateAuthority().issue();
    testing::write_file(folder.path() / "cert.pem", client.chain_pem);
    testing::write_file(
        folder.path() / "secret.key",
        testing::encrypted_key(client.key_pem, "open sesame")
    );
    const std::string keys = "client_cert = \"" + (folder.path() / "cert.pem").string() +
                             "\"\nclient_key = \"" + (folder.path() / "secret.key").string() +
                             "\"\n";
    const LLMProgram program = testing::program_for(server, keys);
    const testing::Resources before = testing::Resources::now();
    for (const Thrown& kind : all_kinds()) {
        const auto ask = [raise = kind.raise] {
            raise();
            return std::string();
        };
        const LLMProgram asking = program.with_client_key_passphrase(ask);
        EXPECT_ANY_THROW(static_cast<void>(asking.start_sync())) << kind.name;
    }
    EXPECT_EQ(testing::settled(before, watchdog), before);
    const auto right = [] { return std::string("open sesame"); };
    EXPECT_EQ(
        program.with_client_key_passphrase(right).start_sync().run("hi").text(),
        "You said: hi"
    );
}

}  // namespace
}  // namespace llmproc
