/// @file
/// The shared state of a task: its coroutine's cancellation, its end and who waits for it.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/task.hpp>
#include "async/one_shot.hpp"
#include "async/task_executor.hpp"
#include "core/fork_guard.hpp"
#include "runtime/caller_queue.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/loop_member.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace llmproc {

/// Ends exactly once: by its coroutine, or by the loop that ends first.
///
/// Thread safety: all members from any thread.
class TaskCore final : public LoopMember, public std::enable_shared_from_this<TaskCore> {
public:
    /// Begins `body` on `loop`. `caller` is the queue of the thread that blocks for it, which is
    /// told the end; null if none does. `slot`: see detail::start_task.
    /// The result counts as one handle, which the first TaskHandle takes over.
    /// Throws LLMError: loop_closed, loop_died, forked_process.
    static std::shared_ptr<TaskCore> begin(
        const std::shared_ptr<LoopCore>& loop,
        boost::asio::awaitable<void> body,
        std::string name,
        const RunOptions& options,
        std::shared_ptr<CallerQueue> caller,
        std::shared_ptr<detail::TaskError> slot = nullptr
    );
    ~TaskCore() override;

    /// Whether this is a child's copy of its parent's task.
    bool belongs_to_parent() const noexcept { return inherited(generation_); }
    /// Throws LLMError{forked_process} if it is. Before any lock.
    void check_own() const { check_not_forked(generation_, "this task"); }

    const std::string& name() const noexcept;
    bool done() const;
    bool cancelled() const;
    /// Only the first reason counts.
    void cancel(CancelReason reason) noexcept override;
    bool ends_in_order() const noexcept override { return true; }
    void loop_ended(std::exception_ptr error) noexcept override;

    /// Calls `ended` once the task has ended: at once if it has, else where it ends. It must not
    /// throw or block.
    void when_ended(std::function<void()> ended);
    void on_error(std::function<void(std::exception_ptr)> handler);

    /// Resumes the awaiting coroutine, of whatever context, after the end. Cancellation ends the
    /// wait with Cancelled{user}.
    boost::asio::awaitable<void> wait();
    /// Blocks; false when `limit` passed first.
    bool wait_until(std::chrono::steady_clock::time_point limit);
    /// After the end: its error or null. Counts as looked at.
    std::exception_ptr error();
    /// The same, handed over: the last reference then dies on the calling thread.
    std::exception_ptr take_error() noexcept;

    /// Counts as looked at, whatever the end is.
    void look_at() noexcept;

    /// Handles count themselves, so that an error without any is reported when nobody looked at it.
    void add_handle() noexcept;
    void drop_handle() noexcept;

    /// Null if it is gone.
    std::shared_ptr<LoopCore> loop() const noexcept { return loop_.lock(); }

    /// For `begin`.
    struct Key {
        explicit Key() = default;
    };
    TaskCore(
        Key key,
        const std::shared_ptr<LoopCore>& loop,
        std::shared_ptr<const async::TaskScope> scope,
        std::shared_ptr<CallerQueue> caller,
        std::shared_ptr<detail::TaskError> slot
    );

private:
    /// `failed`: ended with an error of whatever kind.
    enum class Phase : unsigned char { waiting, running, ended, failed };
    /// `starting` while it runs inside `spawn`; `lost`: its frames were destroyed meanwhile.
    enum class Coroutine : unsigned char { none, starting, lost, running };
    using Ended = std::function<void()>;
    using ErrorHandler = std::function<void(std::exception_ptr)>;
    struct Start;
    struct Completion;
    struct Limits;
    struct Outcome {
        std::exception_ptr error;
        bool cancelled = false;
        bool failed = false;  ///< Somebody should look at it.
    };

    static boost::asio::awaitable<void> run(
        boost::asio::awaitable<void> body,
        std::exception_ptr* thrown
    );

    void set_limits(const RunOptions& options);
    void post_start(boost::asio::awaitable<void> body);
    void start(boost::asio::awaitable<void> body);
    void spawn(const boost::asio::any_io_executor& executor, boost::asio::awaitable<void> body);
    void arm(const boost::asio::any_io_executor& executor);
    void expire() noexcept;
    void emit() noexcept;
    void returned(const std::exception_ptr& escaped) noexcept;
    void destroyed() noexcept;
    void release() noexcept;
    void finish(std::exception_ptr error) noexcept;
    Outcome judge(std::exception_ptr error) noexcept;
    /// `last`: as the last step of a handler on the executor.
    void settle(Outcome outcome, bool last) noexcept;
    void call(const ErrorHandler& handler, std::exception_ptr error) const noexcept;
    void report(std::exception_ptr error) const noexcept;

    const unsigned generation_ = fork_generation();
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    const std::weak_ptr<LoopCore> loop_;
    const std::shared_ptr<const async::TaskScope> scope_;
    const std::shared_ptr<detail::TaskError> slot_;
    std::unique_ptr<Limits> limits_;
    std::atomic<int> handles_{1};

    // Guarded by the mutex.
    std::shared_ptr<CallerQueue> caller_;
    boost::asio::any_io_executor executor_;  ///< Empty after the end.
    std::vector<Ended> when_ended_;
    std::vector<ErrorHandler> on_error_;
    std::exception_ptr error_;
    std::optional<CancelReason> reason_;
    bool timed_out_ = false;
    bool cancelled_ = false;

    // Written under the mutex, read without; the error does not change any more after the end.
    std::atomic<Phase> phase_{Phase::waiting};
    std::atomic<bool> looked_at_{false};  ///< Or nothing to be reported.

    async::OneShot end_;

    // Used on the executor only.
    boost::asio::cancellation_signal signal_;
    std::exception_ptr thrown_;
    Coroutine coroutine_ = Coroutine::none;
    bool emitting_ = false;
};

}  // namespace llmproc
