/// @file
/// Coroutines on a plain io_context, for the tests of structured.hpp and queue.hpp.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/structured.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>
#include <utility>

namespace llmproc::loop_tests {

namespace asio = boost::asio;

inline constexpr auto for_ever = std::chrono::milliseconds::max();

/// A coroutine that is run on an io_context, with its cancellation.
/// Asio 1.81 loses the completion of a coroutine that is cancelled before it begins or before its
/// first suspension: hence the guard.
class Spawned {
public:
    Spawned(const asio::any_io_executor& executor, asio::awaitable<void> body)
        : state_(std::make_shared<State>()) {
        auto done = [state = state_](std::exception_ptr /*lost*/) { state->ended = true; };
        asio::co_spawn(
            executor,
            guarded(std::move(body), state_),
            asio::bind_cancellation_slot(state_->signal.slot(), std::move(done))
        );
    }

    void cancel() {
        state_->cancelled = true;
        if (state_->begun) {
            state_->signal.emit(asio::cancellation_type::terminal);
        }
    }
    bool ended() const { return state_->ended; }
    const std::exception_ptr& error() const { return state_->error; }
    void rethrow() const {
        if (state_->error) {
            std::rethrow_exception(state_->error);
        }
    }

private:
    struct State {
        asio::cancellation_signal signal;
        std::exception_ptr error;
        bool begun = false;
        bool cancelled = false;
        bool ended = false;
    };

    static asio::awaitable<void> guarded(asio::awaitable<void> body, std::shared_ptr<State> state) {
        try {
            state->begun = true;
            if (state->cancelled) {
                throw Cancelled(CancelReason::user);
            }
            co_await std::move(body);
        } catch (...) {
            state->error = std::current_exception();
        }
        co_await asio::this_coro::throw_if_cancelled(false);
    }

    std::shared_ptr<State> state_;
};

/// Runs a coroutine on a context of its own to its end and throws what it throws.
inline void run_coroutine(asio::awaitable<void> body) {
    asio::io_context io(1);
    const Spawned spawned(io.get_executor(), std::move(body));
    io.run();
    spawned.rethrow();
    if (!spawned.ended()) {
        throw std::logic_error("the coroutine has not ended");
    }
}

/// Runs what is ready, but waits for nothing.
inline void run_ready(asio::io_context& io) {
    io.restart();
    while (io.poll() != 0) {}
}

/// Counts itself as alive; in a coroutine: its frame.
class Alive {
public:
    explicit Alive(int& count) noexcept : count_(count) { ++count_; }
    Alive(const Alive&) = delete;
    Alive& operator=(const Alive&) = delete;
    ~Alive() { --count_; }

private:
    int& count_;
};

/// Waits until it is cancelled.
inline asio::awaitable<int> never(int& alive) {
    const Alive here(alive);
    co_await sleep(for_ever);
    co_return 0;
}

/// The value after so many turns of the others.
inline asio::awaitable<int> after_turns(int turns, int value) {
    for (int i = 0; i < turns; ++i) {
        co_await checkpoint();
    }
    co_return value;
}

/// An error type that nobody but its thrower knows.
struct Oddity {
    int number;
};

/// Throws after so many turns of the others.
inline asio::awaitable<int> fail_after(int turns, int number) {
    for (int i = 0; i < turns; ++i) {
        co_await checkpoint();
    }
    throw Oddity{number};
}

/// Cancelled, it takes some turns to end, and says when it has.
inline asio::awaitable<void> slow_to_end(bool& begun, bool& ended) {
    begun = true;
    try {
        co_await sleep(for_ever);
    } catch (const Cancelled&) {  // NOLINT(bugprone-empty-catch): the clean-up follows
    }
    co_await asio::this_coro::throw_if_cancelled(false);
    for (int i = 0; i < 5; ++i) {
        co_await checkpoint();
    }
    ended = true;
}

/// Cancelled{reason} with exactly that reason.
inline bool is_cancelled(const std::exception_ptr& error, CancelReason reason) {
    if (!error) {
        return false;
    }
    try {
        std::rethrow_exception(error);
    } catch (const Cancelled& cancelled) {
        return cancelled.reason() == reason;
    } catch (...) {
        return false;
    }
}

}  // namespace llmproc::loop_tests
