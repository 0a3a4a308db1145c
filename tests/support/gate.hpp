/// @file
/// What tests of jobs need: to hold them, and to see when their captures die.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

namespace llmproc::testing {

/// Opens once; whoever waits goes on.
class Gate {
public:
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }
    void wait() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return open_; });
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool open_ = false;
};

/// Sees the death of what holds it.
class Witness {
public:
    /// To be captured; all that were made count together.
    std::shared_ptr<int> hold() {
        auto held = held_.lock();
        if (!held) {
            held = std::shared_ptr<int>(new int(0), [seen = seen_](const int* value) {
                delete value;
                const std::lock_guard lock(seen->mutex);
                --seen->alive;
                seen->died_on = std::this_thread::get_id();
                seen->changed.notify_all();
            });
            const std::lock_guard lock(seen_->mutex);
            ++seen_->alive;
            held_ = held;
        }
        return held;
    }
    bool gone() const {
        const std::lock_guard lock(seen_->mutex);
        return seen_->alive == 0;
    }
    void wait_gone() const {
        std::unique_lock lock(seen_->mutex);
        seen_->changed.wait(lock, [this] { return seen_->alive == 0; });
    }
    /// The thread on which the last one died.
    std::thread::id died_on() const {
        const std::lock_guard lock(seen_->mutex);
        return seen_->died_on;
    }

private:
    struct Seen {
        std::mutex mutex;
        std::condition_variable changed;
        int alive = 0;
        std::thread::id died_on;
    };
    std::shared_ptr<Seen> seen_ = std::make_shared<Seen>();
    std::weak_ptr<int> held_;
};

/// One turn of the loop: what was posted to it before has begun.
inline boost::asio::awaitable<void> turn() {
    const auto executor = co_await boost::asio::this_coro::executor;
    co_await boost::asio::post(executor, boost::asio::use_awaitable);
}

}  // namespace llmproc::testing
