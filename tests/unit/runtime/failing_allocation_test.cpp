// F37: every allocation of the library may fail. A file of its own, because it replaces the global
// operator new of its executable.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <cstdlib>
#include <exception>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace {

/// How many allocations of this thread succeed before one fails; negative: all succeed.
thread_local long until_failure = -1;
/// Smaller ones always succeed.
thread_local std::size_t smallest_to_fail = 0;

void* allocate(std::size_t size) noexcept {
    if (until_failure >= 0 && size >= smallest_to_fail && until_failure-- == 0) {
        return nullptr;
    }
    return std::malloc(size == 0 ? 1 : size);
}

}  // namespace

void* operator new(std::size_t size) {
    void* const memory = allocate(size);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
    return allocate(size);
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace llmproc {
namespace {

namespace asio = boost::asio;
using testing::openai_chat_echo;
using testing::program_for;
using testing::ScriptedServer;

/// More than any of the calls below needs.
constexpr long most_allocations = 3000;

/// The n-th allocation of the calling thread fails while this lives.
class FailureAt {
public:
    explicit FailureAt(long n) { until_failure = n; }
    FailureAt(const FailureAt&) = delete;
    FailureAt& operator=(const FailureAt&) = delete;
    ~FailureAt() { until_failure = -1; }
    static bool struck() { return until_failure < 0; }
};

asio::awaitable<int> seven() {
    co_return 7;
}

/// Calls with each of the calling thread's allocations failing, one at a time, until none does.
/// Every call ends; one that fails does so with an exception that says why.
void fail_each_allocation_here(
    const std::function<void()>& call,
    const std::function<void()>& check
) {
    bool struck = true;
    long n = 0;
    for (; struck && n < most_allocations; ++n) {
        try {
            const FailureAt failure(n);
            call();
            struck = FailureAt::struck();
        } catch (const std::bad_alloc&) {
            struck = true;
        } catch (const LLMError&) {
            struck = true;
        }
        check();
    }
    EXPECT_LT(n, most_allocations);
    EXPECT_GT(n, 1) << "nothing was allocated";
}

/// Lets the allocations of the loop's thread fail from now on; false if it died meanwhile.
void set_loops_failure(const EventLoop& loop, long n) {
    loop.call_soon([n] { until_failure = n; });
}

/// How many allocations the loop's thread had left; negative if one has failed. Disarms it.
long loops_rest(const EventLoop& loop) {
    auto rest = std::make_shared<std::promise<long>>();
    loop.call_soon([rest] {
        const long left = std::exchange(until_failure, -1);
        rest->set_value(left);
    });
    return rest->get_future().get();
}

/// The same for the allocations of the loop's thread.
void fail_each_allocation_there(
    const EventLoop& loop,
    const std::function<void()>& call,
    const std::function<void()>& check
) {
    bool struck = true;
    long n = 0;
    for (; struck && n < most_allocations; ++n) {
        set_loops_failure(loop, n);
        try {
            call();
        } catch (const std::bad_alloc&) {
            EXPECT_GE(n, 0);
        } catch (const LLMError&) {
            EXPECT_GE(n, 0);
        }
        struck = loops_rest(loop) < 0;
        check();
    }
    EXPECT_LT(n, most_allocations);
}

class FailingAllocationTest : public ::testing::Test {
protected:
    void SetUp() override {
        server_.handle(openai_chat_echo);
        loop_.set_exception_handler([](const std::exception_ptr&, std::string_view) {});
        set_log_sink(LogLevel::off, nullptr);
    }
    void TearDown() override {
        smallest_to_fail = 0;
        set_log_sink(LogLevel::warning, nullptr);
    }

    void expect_loop_alive() const { EXPECT_EQ(run_sync(loop_, seven()), 7); }

    ScriptedServer server_;
    EventLoop loop_;
};

TEST_F(FailingAllocationTest, F37_ATaskThatCannotBegin) {
    const auto alive = [this] { expect_loop_alive(); };
    fail_each_allocation_here([this] { EXPECT_EQ(loop_.create_task(seven()).get(), 7); }, alive);
    fail_each_allocation_there(
        loop_,
        [this] { EXPECT_EQ(loop_.create_task(seven(), "named task of the loop").get(), 7); },
        alive
    );
}

TEST_F(FailingAllocationTest, F37_ABlockingCallThatCannotBegin) {
    const auto alive = [this] { expect_loop_alive(); };
    const auto call = [this] { EXPECT_EQ(run_sync(loop_, seven()), 7); };
    fail_each_allocation_here(call, alive);
    fail_each_allocation_there(loop_, call, alive);
}

TEST_F(FailingAllocationTest, F37_ACallbackThatCannotBePosted) {
    const auto alive = [this] { expect_loop_alive(); };
    const auto call = [this] { loop_.call_soon([] {}); };
    fail_each_allocation_here(call, alive);
    fail_each_allocation_there(loop_, call, alive);
}

TEST_F(FailingAllocationTest, F37_ALoopThatCannotStart) {
    fail_each_allocation_here(
        [] {
            const EventLoop loop;
            run_sync(loop, seven());
        },
        [this] { expect_loop_alive(); }
    );
}

TEST_F(FailingAllocationTest, F37_ARunOfAProcess) {
    SyncLLMProcess process = program_for(server_).start_sync(SyncOptions().on(loop_));
    process.run("warm");
    const auto usable = [&] { ASSERT_EQ(process.run("hi").text(), "You said: hi"); };
    const auto call = [&] {
        process.reset();
        process.run("hi");
    };
    fail_each_allocation_here(call, usable);
    fail_each_allocation_there(loop_, call, usable);
}

TEST_F(FailingAllocationTest, F37_AStreamOfAProcess) {
    SyncLLMProcess process = program_for(server_).start_sync(SyncOptions().on(loop_));
    process.run("warm");
    const auto usable = [&] { ASSERT_EQ(process.run("hi").text(), "You said: hi"); };
    const auto call = [&] {
        process.reset();
        process.stream("hi").result();
    };
    fail_each_allocation_here(call, usable);
    fail_each_allocation_there(loop_, call, usable);
}

TEST_F(FailingAllocationTest, F37_AProcessThatCannotStart) {
    const LLMProgram program = program_for(server_);
    // What is made once for all is made now.
    static_cast<void>(program.start_sync(SyncOptions().on(loop_)));
    // Asio 1.81 crashes without memory for a strand's mutex or its count of owners: it destroys a
    // strand that it has not set up yet. Those are small.
    smallest_to_fail = 48;
    fail_each_allocation_here(
        [&] {
            SyncLLMProcess process = program.start_sync(SyncOptions().on(loop_));
            process.close();
        },
        [this] { expect_loop_alive(); }
    );
}

asio::awaitable<void> run_async(AsyncLLMProcess& process, std::optional<std::string>& text) {
    const RunResult result = co_await process.run("hi");
    text = result.text();
}

TEST_F(FailingAllocationTest, F37_ARunOnTheCallersContext) {
    asio::io_context io;
    AsyncLLMProcess process = program_for(server_).start(io.get_executor());
    bool struck = true;
    long n = 0;
    for (; struck && n < most_allocations; ++n) {
        std::optional<std::string> text;
        std::exception_ptr error;
        bool ended = false;
        asio::co_spawn(io, run_async(process, text), [&](std::exception_ptr thrown) {
            ended = true;
            error = std::move(thrown);
        });
        {
            const FailureAt failure(n);
            try {
                io.restart();
                io.run();
            } catch (const std::bad_alloc&) {
                // Of Asio's own between two of its handlers.
                struck = true;
            }
            struck = FailureAt::struck();
        }
        io.restart();
        io.run();
        EXPECT_TRUE(ended || struck) << n;
        EXPECT_TRUE(struck || text) << n;
    }
    EXPECT_GT(n, 10);
    EXPECT_LT(n, most_allocations);
}

}  // namespace
}  // namespace llmproc
