/// @file
/// What a loop's handles, its members and the thread that runs it share.
#pragma once

#include "core/fork_guard.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/member_list.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace llmproc {

/// Who runs a loop.
enum class LoopKind { thread, on_caller, attached };

/// Life of a loop: accepting; `ending`, while members end; then `finish` runs on the loop, which
/// lets go of owned objects; then it runs out of work and has `exited`.
///
/// Lock order: `mutex` before any member's lock and before Asio's.
struct LoopCore::State final : MemberHome, std::enable_shared_from_this<LoopCore::State> {
    /// `plain` is the executor of an attached loop; others have an io_context of their own.
    State(LoopKind whose, const boost::asio::any_io_executor& plain);
    State(const State&) = delete;
    State& operator=(const State&) = delete;
    ~State() = default;

    /// Throws LLMError{forked_process}. Before any lock, which a child may find locked for ever.
    void check_process() const { check_not_forked(generation, "this event loop"); }
    bool inherited() const noexcept { return generation != fork_generation(); }
    /// Throws LLMError{loop_closed, loop_died}. Under the lock.
    void check_accepting() const;
    /// Where callbacks run in order. Under the lock, after `check_accepting`.
    const boost::asio::any_io_executor& callbacks() const noexcept { return callback_executor; }

    void forget(const LoopMember& member) noexcept override;
    /// Runs `call` after those given before, whatever threads they came from. Throws as `link`.
    void call_soon(std::shared_ptr<ScheduledCall::State> call);

    /// Refuses new work, ends callers and callbacks, cancels tasks; once. Any thread.
    void begin_end(CancelReason reason);
    /// Refuses new work and ends all members. Returns how many of those that count were left.
    std::size_t end_members(Errc code, const char* why);
    /// Runs on the loop, once, when no member is left.
    void finish() noexcept;
    void set_exited() noexcept;
    /// The attached context is being destroyed; no handler runs.
    void context_died() noexcept;

    void report(std::exception_ptr error, std::string_view name) noexcept;
    /// A handler of that name took so long; empty stands for one without a name.
    void note_duration(
        const LoopDebug& limits,
        const std::string& name,
        std::chrono::steady_clock::duration took
    ) noexcept;
    void note_lag(std::chrono::steady_clock::duration lag) noexcept;
    /// Null while nobody debugs.
    std::shared_ptr<const LoopDebug> debug_settings() const;

    const LoopKind kind;
    const unsigned generation = fork_generation();

    mutable std::mutex mutex;
    std::condition_variable changed;
    MemberList members;
    std::uint64_t calls = 0;
    std::uint64_t tasks = 0;
    std::optional<Errc> refusal;
    bool ending = false;
    bool finish_posted = false;
    bool running = false;  ///< An on_caller loop: a thread runs it now.
    bool exited = false;
    ShutdownReport report_so_far;
    std::thread thread;
    std::mutex joining;  ///< One shutdown at a time; before `mutex`.
    bool shut_down = false;

    std::atomic<std::thread::id> runner{std::thread::id()};
    std::atomic<std::uint64_t> handler_exceptions{0};
    std::atomic<std::uint64_t> slow_callbacks{0};
    std::atomic<std::int64_t> lag_us{0};
    std::atomic<std::int64_t> max_lag_us{0};
    std::atomic<bool> watching{false};

    mutable std::mutex settings_mutex;  ///< Innermost.
    std::shared_ptr<const ExceptionHandler> on_exception;
    std::shared_ptr<const LoopDebug> debug;
    ScheduledCall lag_probe;

    std::vector<LoopCore::State*> blocked_on;  ///< Under the lock of all loops; see loop_block.cpp.

    // Frames and handlers that die with the io_context still find all of the above.
    std::optional<boost::asio::io_context> io;
    std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> guard;
    boost::asio::any_io_executor plain_executor;
    boost::asio::any_io_executor callback_executor;
    std::deque<std::shared_ptr<ScheduledCall::State>> soon;
    std::vector<std::shared_ptr<void>> owned;  ///< Last, so that I/O objects die before their io.

private:
    void post_finish() noexcept;
    void run_next();
};

/// Makes a State the loop of the calling thread while it lives.
class RunningHere {
public:
    explicit RunningHere(LoopCore::State& state) noexcept;
    RunningHere(const RunningHere&) = delete;
    RunningHere& operator=(const RunningHere&) = delete;
    ~RunningHere();

    /// The loop that the calling thread runs; null if none.
    static LoopCore::State* current() noexcept;

private:
    LoopCore::State* const outer_;
};

}  // namespace llmproc
