#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/structured.hpp>
#include <llmproc/task.hpp>
#include "event_loop/loop_support.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/this_coro.hpp>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {
namespace {

namespace asio = boost::asio;

/// Waits to be cancelled, then cleans up, which takes a few turns of the loop.
asio::awaitable<void> with_clean_up(EventLoop loop, Lines& lines) {
    lines.add("begun");
    try {
        co_await sleep(std::chrono::hours(1));
    } catch (const Cancelled&) {
        lines.add("cancelled");
    }
    co_await asio::this_coro::reset_cancellation_state();
    co_await asio::this_coro::throw_if_cancelled(false);
    // New work is refused from the beginning of the end on.
    try {
        loop.call_soon([] {});
    } catch (const LLMError& error) {
        lines.add(error.errc() == Errc::loop_closed ? "refused" : error.what());
    }
    for (int turn = 0; turn < 3; ++turn) {
        co_await checkpoint();
    }
    lines.add("cleaned up");
}

/// An object that belongs to the loop.
class Owned {
public:
    explicit Owned(Lines& lines) : lines_(&lines) {}
    Owned(Owned&& other) noexcept : lines_(std::exchange(other.lines_, nullptr)) {}
    Owned& operator=(Owned&&) = delete;
    ~Owned() {
        if (lines_ != nullptr) {
            lines_->add("owned object gone");
        }
    }

private:
    Lines* lines_;
};

TEST(LoopOrderTest, A3_15_AShutdownRefusesCancelsCleansUpLetsGoAndEnds) {
    Lines lines;
    const EventLoop loop;
    const std::weak_ptr<Owned> owned = loop.own(Owned(lines));
    const Task<void> task = loop.create_task(with_clean_up(loop, lines));
    lines.wait_for(1);
    const ShutdownReport report = loop.shutdown();
    lines.add("shut down");
    EXPECT_EQ(
        lines.all(),
        (std::vector<std::string>{
            "begun",
            "cancelled",
            "refused",
            "cleaned up",
            "owned object gone",
            "shut down"})
    );
    EXPECT_TRUE(report.drained);
    EXPECT_EQ(report.cancelled_tasks, 1U);
    EXPECT_EQ(report.abandoned, 0U);
    EXPECT_TRUE(owned.expired());
    EXPECT_TRUE(task.done());
    expect_errc(Errc::loop_closed, [&loop] { loop.call_soon([] {}); });
}

}  // namespace
}  // namespace llmproc::testing
