/// @file
/// A conversation: its history, its run slot and its calls in progress. The handles share it.
#pragma once

#include <llmproc/message.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/stats.hpp>
#include "async/call_context.hpp"
#include "async/fifo_lock.hpp"
#include "core/fork_guard.hpp"
#include "net/context_service.hpp"
#include "process/model_router.hpp"
#include "process/process_settings.hpp"
#include "process/spending.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <unordered_set>
#include <vector>

namespace llmproc {

class ProcessCore;
class StreamState;

/// A call in progress, known to its process while this object lives: held by the call's body, so
/// it ends with the body, however that ends.
class ActiveCall {
public:
    ActiveCall(
        std::shared_ptr<ProcessCore> core,
        std::shared_ptr<async::CallContext> context,
        const RunOptions& options
    );
    ActiveCall(const ActiveCall&) = delete;
    ActiveCall& operator=(const ActiveCall&) = delete;
    ~ActiveCall();

    ProcessCore& core() const noexcept { return *core_; }
    /// What this call has used of the limits.
    RunSpending& spending() noexcept { return spending_; }
    async::CallContext& context() const noexcept { return *context_; }
    const wire::RetryPolicy& retry() const noexcept { return retry_; }
    /// The call counts as over from now on; what is left of it says and waits for nothing.
    void end() noexcept;

private:
    struct Stop {
        async::CallContext* context;
        void operator()() const noexcept { context->cancel_from_anywhere(CancelReason::user); }
    };

    std::shared_ptr<ProcessCore> core_;
    std::shared_ptr<async::CallContext> context_;
    wire::RetryPolicy retry_;
    RunSpending spending_;
    std::optional<std::stop_callback<Stop>> stop_;
};

/// Thread safety: the bodies in operations.hpp use it on its strand; the members here say more.
class ProcessCore final :
    public net::ContextMember,
    public std::enable_shared_from_this<ProcessCore> {
public:
    /// Throws as net::HttpClient's constructor.
    static std::shared_ptr<ProcessCore> create(
        const boost::asio::any_io_executor& executor,
        std::shared_ptr<const ProcessSettings> settings
    );
    ~ProcessCore() override;

    const ProcessSettings& settings() const noexcept { return *settings_; }

    /// For a handle that dies. Afterwards the last reference may go, in a child after fork() it
    /// never does: the child's descriptors are closed, everything else is left as the parent's
    /// threads had it.
    static void let_go(std::shared_ptr<ProcessCore> core) noexcept;
    /// Whether this is a child's copy of its parent's process.
    bool belongs_to_parent() const noexcept { return inherited(generation_); }
    /// Throws LLMError{forked_process} if it is.
    void check_own() const { check_not_forked(generation_, "this process"); }

    // From any thread. In a child all that can throw, throw Errc::forked_process.
    /// The executor given at the start. Throws Errc::loop_closed after its context has died.
    boost::asio::any_io_executor executor() const;
    /// The same of a closed process too; null after its context has died.
    boost::asio::any_io_executor executor_if_alive() const;
    /// A new call, not registered yet. Throws ProcessClosed, Errc::loop_closed.
    std::shared_ptr<async::CallContext> make_context(const RunOptions& options);
    /// The total limit of a call with these options; the end of time if there is none.
    std::chrono::milliseconds timeout_of(const RunOptions& options) const noexcept;
    /// The call that closes: it is not counted, and may be made after the close has begun.
    std::shared_ptr<async::CallContext> make_closing_context(std::chrono::milliseconds budget);
    /// Registers a call. Throws ProcessClosed, Errc::loop_closed.
    std::shared_ptr<ActiveCall> open_call(
        std::shared_ptr<async::CallContext> context,
        const RunOptions& options
    );
    History messages() const;
    ProcessStats stats() const;
    void spawn(boost::asio::awaitable<void> work);
    /// Refuses new calls and cancels those in progress. Returns how many those are.
    std::size_t begin_close() noexcept;
    std::size_t calls_in_progress() const;
    /// Cancels what is in progress, as `begin_close` does. Returns how much that is.
    std::size_t cancel_calls() noexcept;
    /// Calls `idle` once no call is in progress, at once if none is.
    void when_idle(std::function<void()> idle);

    // On the strand.
    async::FifoLock& slot() noexcept { return slot_; }
    ModelRouter& models() noexcept { return models_; }
    /// The program's own model.
    ChatClient& chat() noexcept { return models_.own(); }
    Spending& spending() noexcept { return spending_; }
    /// Whether the server is known to have no endpoint that counts tokens.
    bool counts_nothing() const noexcept { return counts_nothing_; }
    void remember_counts_nothing() noexcept { counts_nothing_ = true; }
    /// The next request of the conversation with `message` at its end, without the parameters of
    /// the program.
    ChatRequest request_with(const std::shared_ptr<const Message>& message) const;
    /// A run has succeeded: its two messages join the conversation. `usage` is of a request that
    /// had this conversation and nothing else; unreported if there was none.
    void commit(
        const std::shared_ptr<const Message>& message,
        const ChatReply& reply,
        const Usage& usage
    );
    void clear_history();
    /// The same, when no call is in progress; says whether it did. Throws as `check_open`.
    bool reset_if_idle();
    void count_failure() noexcept;
    /// The stream that holds the slot, if its consumer still wants it.
    std::shared_ptr<StreamState> open_stream() const;
    void set_open_stream(const std::shared_ptr<StreamState>& stream);
    /// What is known of the conversation's size; without asking the provider.
    TokenCount estimate_tokens() const;

private:
    friend class ActiveCall;
    ProcessCore(
        const boost::asio::any_io_executor& executor,
        std::shared_ptr<const ProcessSettings> settings
    );
    void context_shutdown() noexcept override;
    void check_context() const;
    void check_open() const;
    void enter(const std::shared_ptr<async::CallContext>& context);
    void leave(const std::shared_ptr<async::CallContext>& context) noexcept;

    /// Thousands of processes may be idle: what most of them never need is made when it is needed.
    struct Closing {
        std::vector<std::weak_ptr<async::CallContext>> calls;  ///< Those that close.
        std::vector<std::function<void()>> idle;               ///< To be told of the end.
    };
    struct LastRun {
        Usage usage;
        std::size_t messages = 0;  ///< Those that `usage` covers.
    };

    const unsigned generation_ = fork_generation();
    const std::shared_ptr<const ProcessSettings> settings_;
    std::shared_ptr<net::ConnectionPool> pool_;  ///< Of the context; for a child that closes it.
    ModelRouter models_;
    Spending spending_;
    async::FifoLock slot_;
    bool counts_nothing_ = false;

    mutable std::mutex mutex_;
    boost::asio::any_io_executor strand_;
    std::unordered_set<std::shared_ptr<async::CallContext>> active_;
    std::unique_ptr<Closing> closing_;  ///< Made when it begins.
    History history_;
    std::weak_ptr<StreamState> open_stream_;
    std::unique_ptr<LastRun> last_run_;  ///< Null before the first.
    std::uint64_t runs_ = 0;
    std::uint64_t failed_runs_ = 0;
    bool closed_ = false;
    bool context_dead_ = false;
};

}  // namespace llmproc
