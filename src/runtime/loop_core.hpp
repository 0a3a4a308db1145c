/// @file
/// What an EventLoop handle stands for: an executor, what is in progress on it, maybe a thread.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include "runtime/loop_member.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

namespace llmproc {

/// Owns a loop. The thread itself keeps the io_context alive, so the last owner may die anywhere:
/// on another thread it shuts down and joins, on the loop's own thread it requests the end and
/// leaves the joining to the reaper. In a child after fork() it leaks what it shares with the
/// parent, and every use throws LLMError{forked_process}.
class LoopCore : public std::enable_shared_from_this<LoopCore> {
public:
    /// Starts the thread; an empty name stands for `llm-loop-<n>`.
    /// Throws LLMError{limit_reached}; loop_closed once the program exits.
    static std::shared_ptr<LoopCore> with_thread(const std::string& name);
    static std::shared_ptr<LoopCore> on_caller();
    /// A loop over a context that somebody else runs; `plain` has neither strand nor tracked work.
    /// Only for `of`, which keeps one per context.
    static std::shared_ptr<LoopCore> attached(const boost::asio::any_io_executor& plain);
    /// The loop of the executor's context: its own, or one attached to it now. One per context.
    static std::shared_ptr<LoopCore> of(const boost::asio::any_io_executor& executor);

    LoopCore(const LoopCore&) = delete;
    LoopCore& operator=(const LoopCore&) = delete;
    ~LoopCore();

    /// Throws LLMError: loop_closed after an attached context's death, forked_process.
    boost::asio::any_io_executor executor() const;
    /// For one more task: a strand of its own where several threads may run the context.
    boost::asio::any_io_executor task_executor() const;
    std::thread::id thread_id() const noexcept;
    bool running_in_this_thread() const noexcept;
    EventLoopStats stats() const;

    /// Links `member` and calls `start`, which posts its beginning to the loop, in one step: either
    /// it throws LLMError{loop_closed, loop_died, forked_process} or what `start` throws, or the
    /// member is guaranteed an outcome, by its own end or by the loop's.
    void link(const std::shared_ptr<LoopMember>& member, const std::function<void()>& start);
    /// `link`, with `start` posted to `executor`, one of this loop's.
    void submit(
        const std::shared_ptr<LoopMember>& member,
        const boost::asio::any_io_executor& executor,
        std::function<void()> start
    );
    /// Unlinks a member that has its outcome; the same as `member.leave_loop()`.
    void forget(const LoopMember& member) noexcept;

    /// Posts under the same lock that a shutdown takes. Throws as `link`.
    void post(std::function<void()> handler);

    /// Runs a loop without a thread here until `done()`; see EventLoop::run_until_complete.
    void run_until(const std::function<bool()>& done);
    /// Makes `run_until` look at its `done` again. From any thread.
    void wake() noexcept;

    /// Tells the exception handler, or the log.
    void report(std::exception_ptr error, std::string_view name) noexcept;
    void set_exception_handler(ExceptionHandler handler);
    void debug(LoopDebug settings);
    void debug_off();
    /// Whether names of tasks are of interest to `debug`.
    bool debugging() const noexcept;

    void own(std::shared_ptr<void> object);
    /// `reason` is what its tasks are cancelled with: `run_main` and the end of the program say
    /// CancelReason::shutdown.
    ShutdownReport shutdown(
        std::chrono::milliseconds budget,
        CancelReason reason = CancelReason::closed
    );

    /// Whether the calling thread runs any loop of this library.
    static bool on_any_loop() noexcept;
    /// Throws WouldDeadlock if a blocking call on the calling thread that waits for this loop could
    /// wait for itself, or blocks another loop without `allowed`. LLMError{forked_process}.
    void check_may_block(bool allowed) const;

    struct State;
    /// What outlives this object where the loop ends later.
    const std::shared_ptr<State>& state() const noexcept { return state_; }

private:
    explicit LoopCore(std::shared_ptr<State> state) noexcept;
    void begin_thread(const std::string& name);
    void join_thread(bool exited);
    void end_with_last_owner();
    bool wait_exited(std::chrono::steady_clock::time_point limit);

    std::shared_ptr<State> state_;
};

/// Marks the loop that the calling thread runs, if any, as blocked on `target` while it lives: what
/// `check_may_block` follows to find circles.
class BlockedOn {
public:
    /// Checks and marks in one step. Throws WouldDeadlock if that would close a circle.
    explicit BlockedOn(const LoopCore& target);
    BlockedOn(const BlockedOn&) = delete;
    BlockedOn& operator=(const BlockedOn&) = delete;
    ~BlockedOn();

private:
    LoopCore::State* waiting_ = nullptr;  ///< The calling thread's loop; null if it runs none.
};

}  // namespace llmproc
