/// @file
/// Callbacks that wait for their turn: at once, later, or again and again.
#pragma once

#include <llmproc/event_loop.hpp>
#include "runtime/loop_core.hpp"
#include "runtime/loop_member.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace llmproc {

/// Belongs to its loop while its timer runs; the loop's end stops it.
///
/// Thread safety: all members from any thread; its timer is touched under its lock only.
class ScheduledCall::State final : public LoopMember, public std::enable_shared_from_this<State> {
public:
    using Clock = std::chrono::steady_clock;
    /// Gets the time at which this run was due.
    using Callback = std::function<void(Clock::time_point due)>;

    State(std::weak_ptr<LoopCore::State> loop, Callback callback, std::string name);

    /// Waits for `due`; then every `period`, if it is positive. Where the loop links members.
    void wait_for(
        const boost::asio::any_io_executor& executor,
        Clock::time_point due,
        std::chrono::milliseconds period
    );
    /// Runs the callback now, on the loop, unless cancelled.
    void run(Clock::time_point due);

    void withdraw() noexcept;
    bool pending() const noexcept;
    bool counted() const noexcept override { return false; }
    void loop_ended(std::exception_ptr error) noexcept override;

private:
    void arm();
    void fired();
    void stop() noexcept;
    void call(Clock::time_point due) noexcept;

    const std::weak_ptr<LoopCore::State> loop_;
    const std::string name_;
    mutable std::mutex mutex_;
    Callback callback_;
    std::optional<boost::asio::steady_timer> timer_;
    Clock::time_point start_;
    Clock::time_point due_;
    std::chrono::milliseconds period_{0};
    bool stopped_ = false;
    bool running_ = false;
};

/// Thrown through the loop's `run` so that it begins to step.
class WatchBegins {};

/// A periodic callback that measures how late it runs.
ScheduledCall start_lag_probe(LoopCore& loop, std::chrono::milliseconds interval);
/// Runs `callback` at every multiple of `period` from now on.
ScheduledCall start_every(
    LoopCore& loop,
    std::chrono::milliseconds period,
    ScheduledCall::State::Callback callback,
    std::string name
);

}  // namespace llmproc
