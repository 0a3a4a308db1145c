/// @file
/// What tests of loops share.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <condition_variable>
#include <cstddef>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {

inline boost::asio::awaitable<int> identity(int value) {
    co_return value;
}

/// Suspends until it is cancelled.
inline boost::asio::awaitable<void> for_ever() {
    const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
    boost::asio::steady_timer never(executor, boost::asio::steady_timer::time_point::max());
    co_await never.async_wait(boost::asio::use_awaitable);
}

/// Runs `f` on the loop and returns its result.
template <typename F>
auto on_loop(const EventLoop& loop, F f) {
    auto call = std::make_shared<std::packaged_task<decltype(f())()>>(std::move(f));
    auto result = call->get_future();
    loop.call_soon([call] { (*call)(); });
    return result.get();
}

/// A number that another thread waits for.
class Counter {
public:
    void add() {
        // Told under the lock: whoever waits may destroy this as soon as it is released.
        const std::lock_guard lock(mutex_);
        ++value_;
        changed_.notify_all();
    }
    void wait_for(std::size_t value) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this, value] { return value_ >= value; });
    }
    std::size_t value() const {
        const std::lock_guard lock(mutex_);
        return value_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::size_t value_ = 0;
};

/// Lines from any thread, in their order.
class Lines {
public:
    void add(std::string line) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(std::move(line));
        changed_.notify_all();
    }
    std::vector<std::string> wait_for(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this, count] { return lines_.size() >= count; });
        return lines_;
    }
    std::vector<std::string> all() const {
        const std::lock_guard lock(mutex_);
        return lines_;
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> lines_;
};

/// `use` must throw an LLMError with that code.
template <typename Use>
void expect_errc(Errc expected, Use use) {
    try {
        use();
        ADD_FAILURE() << "nothing was thrown";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), expected) << error.what();
    }
}

}  // namespace llmproc::testing
