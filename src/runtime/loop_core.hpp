/// @file
/// What an EventLoop handle stands for: an io_context, its thread and the calls that wait for it.
#pragma once

#include <llmproc/event_loop.hpp>
#include "runtime/loop_waiter.hpp"

#include <boost/asio/any_io_executor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace llmproc {

/// Owns a loop. The thread itself keeps the io_context alive, so the last owner may die anywhere:
/// on another thread it shuts down and joins, on the loop's own thread it requests the end and
/// leaves the joining to the reaper.
class LoopCore {
public:
    /// Starts the thread; an empty name stands for `llm-loop-<n>`.
    /// Throws LLMError{limit_reached}.
    explicit LoopCore(const std::string& name);
    LoopCore(const LoopCore&) = delete;
    LoopCore& operator=(const LoopCore&) = delete;
    ~LoopCore();

    boost::asio::any_io_executor executor() const;
    std::thread::id thread_id() const noexcept;
    bool running_in_this_thread() const noexcept;
    EventLoopStats stats() const;

    /// Links `waiter` and posts `start` to `executor`, one of this loop's, in one step: either it
    /// throws LLMError{loop_closed}, or the waiter is guaranteed an outcome, by `start` or by the
    /// end of the loop.
    void submit(
        const std::shared_ptr<LoopWaiter>& waiter,
        const boost::asio::any_io_executor& executor,
        std::function<void()> start
    );
    /// Unlinks a waiter that has its outcome.
    void forget(const LoopWaiter& waiter) noexcept;

    ShutdownReport shutdown(std::chrono::milliseconds budget);

    /// Whether the calling thread runs any loop of this library.
    static bool on_any_loop() noexcept;

private:
    struct State;
    static void body(const std::shared_ptr<State>& state, const std::string& name);

    std::shared_ptr<State> state_;
    std::mutex joining_;
    std::thread thread_;
};

}  // namespace llmproc
