/// @file
/// Coroutines that the tests of tasks start, hold up and watch.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/task.hpp>
#include "async/one_shot.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::test {

namespace asio = boost::asio;

/// Opens once; coroutines of any loop wait for it.
class Gate {
public:
    void open() const noexcept { event_->set(); }
    asio::awaitable<void> passed() const { return async::OneShot::wait(event_); }

private:
    std::shared_ptr<async::OneShot> event_ = std::make_shared<async::OneShot>(nullptr);
};

/// Happens once; threads wait for it.
class Flag {
public:
    void raise() const {
        const std::lock_guard lock(state_->mutex);
        state_->raised = true;
        state_->changed.notify_all();
    }
    void wait() const {
        std::unique_lock lock(state_->mutex);
        state_->changed.wait(lock, [this] { return state_->raised; });
    }
    bool raised() const {
        const std::lock_guard lock(state_->mutex);
        return state_->raised;
    }

private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        bool raised = false;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// Raises a flag when the frame that holds it dies.
struct RaisesAtEnd {
    explicit RaisesAtEnd(Flag raised) : flag(std::move(raised)) {}
    RaisesAtEnd(const RaisesAtEnd&) = delete;
    RaisesAtEnd& operator=(const RaisesAtEnd&) = delete;
    ~RaisesAtEnd() { flag.raise(); }
    Flag flag;
};

inline asio::awaitable<void> next_turn() {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
}

/// Waits until it is cancelled.
inline asio::awaitable<void> wait_for_ever() {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, asio::steady_timer::time_point::max());
    co_await timer.async_wait(asio::use_awaitable);
}

inline asio::awaitable<void> raise_and_wait_for_ever(Flag begun) {
    begun.raise();
    co_await wait_for_ever();
}

inline asio::awaitable<int> value_of(int value) {
    co_return value;
}

template <typename T>
asio::awaitable<T> pass(Gate gate, T value) {
    co_await gate.passed();
    co_return value;
}

/// An exception that is nobody else's.
class Odd : public std::runtime_error {
public:
    explicit Odd(const std::string& text) : std::runtime_error(text) {}
};

inline asio::awaitable<int> fail_with(std::string text) {
    co_await next_turn();
    throw Odd(text);
}

inline asio::awaitable<void> fail_at(Gate gate) {
    co_await gate.passed();
    throw Odd("late");
}

/// What a call throws, as the reason of a cancellation; none if it throws nothing.
template <typename F>
std::optional<CancelReason> reason_of(F f) {
    try {
        f();
    } catch (const Cancelled& error) {
        return error.reason();
    }
    return std::nullopt;
}

template <typename F>
std::optional<Errc> code_of(F f) {
    try {
        f();
    } catch (const LLMError& error) {
        return error.errc();
    }
    return std::nullopt;
}

/// Collects what a loop reports.
class Reports {
public:
    explicit Reports(const EventLoop& loop) {
        loop.set_exception_handler(
            [state = state_](std::exception_ptr error, std::string_view name) {
                const std::lock_guard lock(state->mutex);
                state->errors.push_back(std::move(error));
                state->names.emplace_back(name);
                state->changed.notify_all();
            }
        );
    }
    void wait_for(std::size_t count) const {
        std::unique_lock lock(state_->mutex);
        state_->changed.wait(lock, [this, count] { return state_->names.size() >= count; });
    }
    std::vector<std::string> names() const {
        const std::lock_guard lock(state_->mutex);
        return state_->names;
    }
    std::exception_ptr error(std::size_t index) const {
        const std::lock_guard lock(state_->mutex);
        return state_->errors.at(index);
    }

private:
    struct State {
        std::mutex mutex;
        std::condition_variable changed;
        std::vector<std::exception_ptr> errors;
        std::vector<std::string> names;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// Returns when the loop has run everything that was posted before.
inline void flush(const EventLoop& loop) {
    Flag done;
    loop.call_soon([done] { done.raise(); });
    done.wait();
}

}  // namespace llmproc::test
