/// @file
/// Between the coroutine that reads a reply and whoever consumes its events.
#pragma once

#include <llmproc/run_result.hpp>
#include <llmproc/stream_event.hpp>
#include "async/call_context.hpp"
#include "async/waiter.hpp"
#include "core/fork_guard.hpp"
#include "process/chat_client.hpp"
#include "runtime/loop_core.hpp"

#include <boost/asio/awaitable.hpp>

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

namespace llmproc {

/// A bounded hand-over of whole batches, one per read, so that a consumer takes no lock and does
/// not suspend while its batch lasts.
///
/// The reply counts as finished when the consumer has seen its end, not when the last byte came:
/// a stream that is left early never changes the conversation, whatever the network did meanwhile.
/// Thread safety: one producer (on the call's executor), one consumer (anywhere).
class StreamState final : public ReplySink {
public:
    /// `bound` ends blocking waits even if the loop is stuck; it lies well after the deadline.
    StreamState(
        std::shared_ptr<async::CallContext> call,
        std::thread::id opener,
        async::Clock::time_point bound
    );
    ~StreamState() override;

    // The producer's side.
    void opened() override;
    boost::asio::awaitable<void> deliver(StreamEvents& batch) override;
    /// Waits until the consumer has taken every event and asked for more.
    boost::asio::awaitable<void> drained();
    /// Called once at the end, on the thread that brings it.
    void when_finished(std::function<void()> tell);
    /// The end; the first one counts.
    void finish(std::exception_ptr error, std::optional<RunResult> result) noexcept;

    // The consumer's side. In a child after fork() it throws LLMError{forked_process}.
    /// Blocking waits of this stream are for `loop`; see RunOptions::allow_blocking_loop.
    void blocks_on(std::weak_ptr<LoopCore> loop, bool allowed) noexcept;
    /// Throws WouldDeadlock where the calling thread must not block.
    void check_may_block() const;
    /// Waits until the answer begins; throws if it does not.
    void wait_opened();
    boost::asio::awaitable<void> async_wait_opened();
    std::optional<StreamEvent> next();
    /// One coroutine for the whole way to the caller: it is made for every event.
    static boost::asio::awaitable<std::optional<StreamEvent>> async_next(
        std::shared_ptr<StreamState> state
    );
    /// Precondition: the end was reached.
    RunResult result() const;
    /// The consumer is gone: cancels what is left.
    void abandon() noexcept;
    /// The same for a handle that dies; in a child after fork() the state is kept untouched.
    static void let_go(std::shared_ptr<StreamState> state) noexcept;

    /// Whether the stream still occupies its process.
    bool open() const;
    /// The thread that opened it.
    std::thread::id opener() const noexcept { return opener_; }
    /// Written by the producer until the end, read by the consumer after it.
    Diagnostics note;

private:
    enum class Wait { open, events };

    /// Whether `what` need not be waited for any more. Takes nothing; tells the producer when all
    /// that has been delivered is taken.
    bool ready(Wait what);
    bool ready_now(Wait what);
    void wait(Wait what);
    void enlist(std::shared_ptr<async::Waiter> waiter, Wait what);
    boost::asio::awaitable<void> async_wait(Wait what);
    void wake_consumer(std::unique_lock<std::mutex> lock) noexcept;
    std::optional<StreamEvent> take();

    void check_own() const { check_not_forked(generation_, "this stream"); }

    const unsigned generation_ = fork_generation();
    const std::shared_ptr<async::CallContext> call_;
    const boost::asio::execution_context* const producer_;  ///< Compared, never used.
    const std::thread::id opener_;
    const async::Clock::time_point bound_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::shared_ptr<async::Waiter> waiter_;
    Wait waits_for_ = Wait::open;
    StreamEvents arrived_;
    std::size_t arrived_bytes_ = 0;
    bool opened_ = false;
    bool delivered_all_ = false;
    bool drained_ = false;
    bool producer_waits_ = false;
    bool finished_ = false;
    bool abandoned_ = false;
    std::exception_ptr error_;
    std::optional<RunResult> result_;
    std::function<void()> tell_;

    // The consumer's alone.
    std::weak_ptr<LoopCore> loop_;
    bool may_block_loops_ = false;
    StreamEvents batch_;
    std::size_t next_ = 0;
};

}  // namespace llmproc
