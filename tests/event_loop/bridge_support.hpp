/// @file
/// What the tests of the blocking bridge share.
#pragma once

#include <llmproc/llmproc.hpp>
#include "support/test_program.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include <unistd.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <functional>
#include <future>
#include <iostream>
#include <mutex>
#include <source_location>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::testing {

namespace asio = boost::asio;

/// What happened, in order.
class Order {
public:
    void add(std::string step) {
        const std::lock_guard lock(mutex_);
        steps_.push_back(std::move(step));
    }
    std::vector<std::string> steps() const {
        const std::lock_guard lock(mutex_);
        return steps_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> steps_;
};
using Steps = std::vector<std::string>;

/// Ends by cancellation only.
inline asio::awaitable<void> for_ever() {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor, asio::steady_timer::time_point::max());
    co_await timer.async_wait(asio::use_awaitable);
}

/// So many turns of the loop.
inline asio::awaitable<void> turns(int count) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    for (int i = 0; i < count; ++i) {
        co_await asio::post(executor, asio::use_awaitable);
    }
}

/// Waits until `met` says so, without keeping others from their turn. Throws what names the place
/// that waits if that never comes.
inline asio::awaitable<void> until(
    std::function<bool()> met,
    std::source_location place = std::source_location::current()
) {
    const auto limit = std::chrono::steady_clock::now() + watchdog;
    while (!met()) {
        if (std::chrono::steady_clock::now() > limit) {
            throw std::runtime_error(
                std::string(place.file_name()) + ":" + std::to_string(place.line()) +
                ": what `until` waits for there did not come within " +
                std::to_string(watchdog.count()) + " s"
            );
        }
        co_await turns(1);
    }
}

inline asio::awaitable<int> answer() {
    co_await turns(1);
    co_return 42;
}

inline asio::awaitable<std::thread::id> loop_thread() {
    co_await turns(1);
    co_return std::this_thread::get_id();
}

/// An exception that is nobody else's.
class Odd : public std::exception {
public:
    const char* what() const noexcept override { return "odd"; }
};

template <typename E>
asio::awaitable<int> throwing(E error) {
    co_await turns(1);
    throw error;
}

/// Calls `begun` and waits for its cancellation; then its clean-up needs a few turns of the loop.
inline asio::awaitable<void> with_clean_up(Order& order, std::function<void()> begun) {
    begun();
    std::exception_ptr error;
    try {
        co_await for_ever();
    } catch (...) {
        error = std::current_exception();
    }
    order.add("cancelled");
    co_await asio::this_coro::reset_cancellation_state();
    co_await turns(10);
    order.add("clean-up");
    std::rethrow_exception(error);
}

/// Lets `f` run on the loop's own thread, and waits for that.
inline void on_loop(const EventLoop& loop, std::function<void()> f) {
    std::promise<void> ran;
    loop.call_soon([&] {
        f();
        ran.set_value();
    });
    ran.get_future().wait();
}

inline void expect_cancelled(CancelReason reason, const std::function<void()>& call) {
    try {
        call();
        ADD_FAILURE() << "no error";
    } catch (const Cancelled& error) {
        EXPECT_EQ(error.reason(), reason);
    }
}

/// The code of the LLMError that `f` throws; ok if it throws nothing.
template <typename F>
Errc code_of(F f) {
    try {
        f();
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc{};
}

/// To this program, as a terminal or `kill` would. Returns once a thread has taken it: a second
/// one that came before would be lost.
inline void send_signal(int signal) {
    ::kill(::getpid(), signal);
    const auto limit = std::chrono::steady_clock::now() + watchdog;
    sigset_t pending;
    do {
        if (std::chrono::steady_clock::now() > limit) {
            throw std::runtime_error("a signal was not delivered");
        }
        std::this_thread::yield();
        ::sigpending(&pending);
    } while (::sigismember(&pending, signal) == 1);
}

/// Keeps its thread, and the loop that runs there, from everything but signals.
[[noreturn]] inline void stuck() {
    for (;;) {
        ::pause();
    }
}

/// Sets a signal's disposition while it lives.
class Disposition {
public:
    Disposition(int signal, void (*handler)(int)) : signal_(signal) {
        struct sigaction action {};
        action.sa_handler = handler;
        ::sigemptyset(&action.sa_mask);
        ::sigaction(signal_, &action, &before_);
    }
    Disposition(const Disposition&) = delete;
    Disposition& operator=(const Disposition&) = delete;
    ~Disposition() { ::sigaction(signal_, &before_, nullptr); }

    static void (*of(int signal))(int) {
        struct sigaction now {};
        ::sigaction(signal, nullptr, &now);
        return now.sa_handler;
    }

private:
    int signal_;
    struct sigaction before_ {};
};

}  // namespace llmproc::testing
