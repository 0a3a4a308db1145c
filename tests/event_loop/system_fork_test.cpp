// F35: what a child made by fork() may do, and what it leaves alone.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/system_support.hpp"
#include "support/resources.hpp"
#include "support/sanitizers.hpp"
#include "support/test_program.hpp"

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <latch>
#include <optional>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::can_fork;
using testing::Checks;
using testing::ForkedChild;
using testing::openai_chat_echo;
using testing::openai_chat_stream;
using testing::program_for;
using testing::run_in_fork;
using testing::run_on;
using testing::ScriptedServer;
using testing::start_on_this;
using testing::text_of;
using testing::watchdog;

constexpr const char* why_not_under_tsan =
    "ThreadSanitizer ends the child at its first thread (die_after_fork=1), or finds it has an id "
    "of the parent's (die_after_fork=0); these tests run plain and under AddressSanitizer";
constexpr const char* why_not_under_asan =
    "the allocator of AddressSanitizer lets go of its locks in no child: forked while a "
    "thread allocates, the child of any program may hang in malloc; this test runs plain";

class ForkTest : public ::testing::Test {
protected:
    void SetUp() override {
        if (!can_fork) {
            GTEST_SKIP() << why_not_under_tsan;
        }
        server_.handle(openai_chat_echo);
    }

    ScriptedServer server_;
};

asio::awaitable<void> nothing() {
    co_return;
}

void require_refused(Checks& checks, SyncLLMProcess& process) {
    const auto refused = [&checks](const std::string& what, const std::function<void()>& use) {
        checks.refuses(Errc::forked_process, what, use);
    };
    refused("run", [&] { process.run("hi"); });
    refused("stream", [&] { process.stream("hi"); });
    refused("complete", [&] {
        ChatRequest request;
        request.messages.push_back(std::make_shared<const Message>(Message::user("hi")));
        process.complete(std::move(request));
    });
    refused("count_tokens", [&] { process.count_tokens(); });
    refused("embed", [&] { process.embed({"a text"}); });
    refused("list_models", [&] { process.list_models(); });
    refused("reset", [&] { process.reset(); });
    refused("messages", [&] { static_cast<void>(process.messages()); });
    refused("stats", [&] { static_cast<void>(process.stats()); });
    refused("spawn", [&] { process.spawn(nothing()); });
    refused("close", [&] { process.close(); });
    refused("get_executor", [&] { static_cast<void>(process.get_executor()); });
    refused("loop", [&] { static_cast<void>(process.loop()); });
}

TEST_F(ForkTest, F35_EveryUseOfTheParentsProcessThrowsInTheChild) {
    SyncLLMProcess process = program_for(server_).start_sync();
    process.run("hi");
    EXPECT_EQ(run_in_fork([&](Checks& checks) { require_refused(checks, process); }), 0);
    EXPECT_EQ(process.run("hi").text(), "You said: hi");
}

TEST_F(ForkTest, F35_EveryUseOfTheParentsLoopThrowsInTheChild) {
    EventLoop loop;
    EventLoop global = EventLoop::global();
    // A sanitizer's own locks are free only once the threads have begun.
    run_sync(loop, nothing());
    run_sync(global, nothing());
    const int code = run_in_fork([&](Checks& checks) {
        const auto refused = [&checks](const std::string& what, const std::function<void()>& use) {
            checks.refuses(Errc::forked_process, what, use);
        };
        refused("create_task", [&] { loop.create_task(nothing()); });
        refused("call_soon", [&] { loop.call_soon([] {}); });
        refused("call_later", [&] { loop.call_later(std::chrono::hours(1), [] {}); });
        refused("get_executor", [&] { static_cast<void>(loop.get_executor()); });
        refused("run_sync", [&] { run_sync(loop, nothing()); });
        refused("shutdown", [&] { loop.shutdown(); });
        refused("the parent's global loop", [&] { global.create_task(nothing()); });
        refused("start_sync", [&] {
            static_cast<void>(program_for(server_).start_sync(SyncOptions().on(loop)));
        });
        EventLoop copy = loop;
        static_cast<void>(copy == loop);
    });
    EXPECT_EQ(code, 0);
    run_sync(loop, nothing());
    run_sync(global, nothing());
}

TEST_F(ForkTest, F35_AChildThatDestroysTheHandleLeavesTheParentsConnectionAlone) {
    std::optional<SyncLLMProcess> process(program_for(server_).start_sync());
    EXPECT_EQ(process->run("before").text(), "You said: before");
    EXPECT_EQ(run_in_fork([&](Checks&) { process.reset(); }), 0);
    EXPECT_EQ(process->run("after").text(), "You said: after");
    EXPECT_EQ(server_.stats().accepts, 1U);
    EXPECT_EQ(process->stats().connections_replaced, 0U);
}

TEST_F(ForkTest, F35_TheServerSeesTheParentsCloseThoughAChildLives) {
    std::optional<SyncLLMProcess> process(program_for(server_).start_sync());
    process->run("hi");
    std::array<int, 2> until{};
    std::array<int, 2> destroyed{};
    ASSERT_EQ(::pipe(until.data()), 0);
    ASSERT_EQ(::pipe(destroyed.data()), 0);
    ForkedChild child([&](Checks& checks) {
        process.reset();
        char byte = 0;
        checks.require(::write(destroyed[1], "x", 1) == 1, "the parent is told");
        ::close(until[1]);
        // Ends when the parent lets go.
        checks.require(::read(until[0], &byte, 1) == 0, "the pipe is closed");
    });
    char byte = 0;
    ASSERT_EQ(::read(destroyed[0], &byte, 1), 1);
    process.reset();
    EXPECT_TRUE(server_.wait_for_connections_at_most(0, watchdog));
    ::close(until[1]);
    EXPECT_EQ(child.wait(), 0);
    ::close(until[0]);
    ::close(destroyed[0]);
    ::close(destroyed[1]);
}

/// As that of Boost 1.82 and later: its services are shut down once more by the base.
struct ContextShutDownTwice : asio::io_context {
    ContextShutDownTwice() = default;
    ContextShutDownTwice(const ContextShutDownTwice&) = delete;
    ContextShutDownTwice& operator=(const ContextShutDownTwice&) = delete;
    ~ContextShutDownTwice() { shutdown(); }
};

TEST_F(ForkTest, F35_AnAsyncProcessAndItsContextMayDieInTheChild) {
    std::optional<ContextShutDownTwice> io(std::in_place);
    std::optional<AsyncLLMProcess> process(run_on(*io, start_on_this(program_for(server_))));
    EXPECT_EQ(run_on(*io, text_of(*process)), "You said: hi");
    const auto refused = [&](Checks& checks) {
        checks.refuses(Errc::forked_process, "run", [&] { run_on(*io, text_of(*process)); });
        checks.refuses(Errc::forked_process, "messages", [&] {
            static_cast<void>(process->messages());
        });
        checks.refuses(Errc::forked_process, "start on the parent's context", [&] {
            run_on(*io, start_on_this(program_for(server_)));
        });
    };
    EXPECT_EQ(
        run_in_fork([&](Checks& checks) {
            refused(checks);
            process.reset();
            io.reset();
        }),
        0
    );
    EXPECT_EQ(
        run_in_fork([&](Checks& checks) {
            io.reset();
            checks.refuses(Errc::forked_process, "stats", [&] {
                static_cast<void>(process->stats());
            });
            process.reset();
        }),
        0
    );
    EXPECT_EQ(run_on(*io, text_of(*process)), "You said: hi");
    EXPECT_EQ(server_.stats().accepts, 1U);
    process.reset();
}

TEST_F(ForkTest, F35_AStreamOfTheParentIsRefusedInTheChildAndGoesOnInTheParent) {
    server_.push(openai_chat_stream({"one ", "two ", "three"}));
    SyncLLMProcess process = program_for(server_).start_sync();
    std::optional<SyncStream> stream(process.stream("hi"));
    ASSERT_TRUE(stream->next().has_value());
    const int code = run_in_fork([&](Checks& checks) {
        checks.refuses(Errc::forked_process, "result", [&] { stream->result(); });
        stream.reset();
    });
    EXPECT_EQ(code, 0);
    EXPECT_EQ(stream->result().text(), "one two three");
    stream.reset();
    EXPECT_EQ(process.run("hi").text(), "You said: hi");
}

TEST_F(ForkTest, F35_TheChildStartsProcessesAndLoopsOfItsOwn) {
    const LLMProgram program = program_for(server_);
    SyncLLMProcess parents = program.start_sync();
    parents.run("hi");
    run_sync(nothing());
    const int code = run_in_fork([&](Checks& checks) {
        {
            SyncLLMProcess process = program.start_sync();
            checks.require(process.run("a").text() == "You said: a", "a run");
            checks.require(process.run("b").text() == "You said: b", "a second run");
            checks.require(process.stats().connections_opened == 1, "one connection");
            const ShutdownReport report = process.close();
            checks.require(report.drained, "it closes");
        }
        EventLoop loop;
        SyncLLMProcess shared = program.start_sync(SyncOptions().on(loop));
        checks.require(shared.run("c").text() == "You said: c", "a run on a shared loop");
        run_sync(nothing());
        EventLoop::global().create_task(nothing()).get();
        // And so does a child of the child.
        const int inner = run_in_fork([&](Checks& deeper) {
            deeper.refuses(Errc::forked_process, "the child's process", [&] { shared.run("d"); });
            SyncLLMProcess process = program.start_sync();
            deeper.require(process.run("e").text() == "You said: e", "a run of the grandchild");
        });
        checks.require(inner == 0, "the grandchild is content");
    });
    EXPECT_EQ(code, 0);
    EXPECT_EQ(parents.run("hi").text(), "You said: hi");
    EXPECT_EQ(parents.stats().connections_opened, 1U);
}

/// A program whose CA is a pipe: the thread that reads it waits with the lock of the TLS contexts.
LLMProgram program_that_waits(const std::filesystem::path& pipe, std::uint16_t port) {
    return LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\n"
        "base_url = \"https://localhost:" +
            std::to_string(port) + "/v1\"\napi_key_env = \"\"\n[connection]\nca_file = \"" +
            pipe.string() + "\"\n",
        "waits.toml"
    );
}

/// Whether a thread of this process waits in read() on `pipe` (proc(5): task/TID/syscall); true where
/// the system does not tell.
bool is_being_read(const std::filesystem::path& pipe) {
    bool told = false;
    std::error_code gone;
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task", gone)) {
        std::ifstream file(thread.path() / "syscall");
        std::string number;
        std::string descriptor;
        told = static_cast<bool>(file >> number) || told;
        if (number != std::to_string(SYS_read) || !(file >> descriptor)) {
            continue;
        }
        const unsigned long opened = std::stoul(descriptor, nullptr, 16);
        const std::string link = "/proc/self/fd/" + std::to_string(opened);
        if (std::filesystem::read_symlink(link, gone) == pipe) {
            return true;
        }
    }
    return !told;
}

TEST_F(ForkTest, F35_AForkWhileAnotherThreadHoldsALockOfTheLibrary) {
    const std::filesystem::path pipe = std::filesystem::temp_directory_path() /
                                       ("llmproc-fork-" + std::to_string(::getpid()));
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    std::thread holder([&] {
        try {
            SyncLLMProcess process = program_that_waits(pipe, server_.port()).start_sync();
            process.run("hi");
            ADD_FAILURE() << "ran without its CA";
        } catch (const LLMError&) {
            // The pipe held no certificate.
        }
    });
    // Opened for writing once the holder reads.
    const int writer = ::open(pipe.c_str(), O_WRONLY | O_CLOEXEC);
    ASSERT_GE(writer, 0);
    // Not before: the memory it takes to read would be another lock, that of a sanitizer's allocator.
    const auto end = std::chrono::steady_clock::now() + watchdog;
    while (!is_being_read(pipe) && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
    }
    const int code = run_in_fork([&](Checks& checks) {
        SyncLLMProcess process = program_for(server_).start_sync();
        checks.require(process.run("hi").text() == "You said: hi", "a run of the child");
    });
    EXPECT_EQ(code, 0);
    ::close(writer);
    holder.join();
    std::filesystem::remove(pipe);
}

TEST_F(ForkTest, F35_ForksUnderLoadNeverHangTheChild) {
    if (testing::sanitized) {
        GTEST_SKIP() << why_not_under_asan;
    }
    constexpr int forks = 40;
    const LLMProgram program = program_for(server_);
    std::optional<SyncLLMProcess> process(program.start_sync());
    process->run("hi");
    std::atomic<bool> over{false};
    std::vector<std::thread> users;
    users.reserve(3);
    for (int i = 0; i < 3; ++i) {
        users.emplace_back([&] {
            while (!over) {
                ChatRequest request;
                request.messages.push_back(std::make_shared<const Message>(Message::user("x")));
                process->complete(std::move(request));
                static_cast<void>(process->stats());
            }
        });
    }
    for (int i = 0; i < forks; ++i) {
        const int code = run_in_fork([&](Checks& checks) {
            checks.refuses(Errc::forked_process, "run", [&] { process->run("hi"); });
            process.reset();
            SyncLLMProcess fresh = program.start_sync();
            checks.require(fresh.run("own").text() == "You said: own", "a run of the child");
        });
        ASSERT_EQ(code, 0) << "fork " << i;
    }
    over = true;
    for (std::thread& user : users) {
        user.join();
    }
    EXPECT_EQ(process->run("hi").text(), "You said: hi");
}

TEST_F(ForkTest, F35_AForkOnTheLoopsOwnThread) {
    EventLoop loop;
    SyncLLMProcess process = program_for(server_).start_sync();
    process.run("hi");
    std::promise<int> code;
    loop.call_soon([&] {
        code.set_value(run_in_fork([&](Checks& checks) {
            // This thread runs no loop in the child.
            SyncLLMProcess fresh = program_for(server_).start_sync();
            checks.require(fresh.run("a").text() == "You said: a", "a run of the child");
            checks.refuses(Errc::forked_process, "the parent's", [&] { process.run("hi"); });
        }));
    });
    EXPECT_EQ(code.get_future().get(), 0);
    EXPECT_EQ(process.run("hi").text(), "You said: hi");
}

}  // namespace
}  // namespace llmproc
