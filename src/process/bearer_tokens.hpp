/// @file
/// The bearer token of a program: fetched once for all who need it.
#pragma once

#include <llmproc/executor.hpp>
#include <llmproc/token_provider.hpp>
#include "async/call_context.hpp"
#include "core/fork_guard.hpp"

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>

namespace llmproc {

/// Keeps a token while it is good; one fetch at a time, which belongs to nobody: the calls that
/// wait for it may end, and so may the io_context of the call that began it.
///
/// Thread safety: all members from any thread; the mutex is never held while user code runs.
class BearerTokens : public std::enable_shared_from_this<BearerTokens> {
public:
    using Time = AccessToken::Time;
    using Steady = std::chrono::steady_clock::time_point;
    using TokenPtr = std::shared_ptr<const AccessToken>;

    /// What tests put in the place of the clocks; null = the system's.
    struct Clocks {
        std::function<Time()> now;
        std::function<Steady()> steady;
    };

    /// A fetch that takes longer is given up: a coroutine is cancelled, a function is left to
    /// itself, and the next call begins another one.
    static constexpr std::chrono::milliseconds fetch_limit{60'000};
    /// Functions that run at once; all but one have been given up.
    static constexpr std::size_t max_functions = 2;

    /// `limit` in place of `fetch_limit` is for tests too.
    explicit BearerTokens(
        TokenProvider provider,
        Clocks clocks = Clocks(),
        std::chrono::milliseconds limit = fetch_limit
    );
    BearerTokens(const BearerTokens&) = delete;
    BearerTokens& operator=(const BearerTokens&) = delete;
    ~BearerTokens();

    /// The token, never null. Begins to fetch one if it is time and nobody has; waits for it in
    /// Stage::token only if the last one has expired. Cancellation: ends this wait, not the fetch.
    /// Throws LLMError: authentication_failed (the callback's failure, which all that wait share),
    /// limit_reached (no thread for it), timeout (the fetch has been given up).
    boost::asio::awaitable<TokenPtr> get(async::CallContext& call);
    /// The server has refused `token`: it is not given out again.
    void invalidate(const AccessToken& token) noexcept;
    const TokenProvider& provider() const noexcept { return provider_; }
    /// Whether this is a child's copy of its parent's, in an unknown state.
    bool belongs_to_parent() const noexcept { return inherited(generation_); }

private:
    struct Fetch;
    class Job;
    class Member;

    Time now() const { return clocks_.now ? clocks_.now() : std::chrono::system_clock::now(); }
    Steady steady() const {
        return clocks_.steady ? clocks_.steady() : std::chrono::steady_clock::now();
    }
    /// Throws LLMError{authentication_failed} for one that cannot be used.
    TokenPtr checked(AccessToken token) const;
    boost::asio::awaitable<void> wait(async::CallContext& call, const std::shared_ptr<Fetch>& fetch)
        const;
    /// Sets `token` and returns null if there is one that has not expired; else the fetch to wait
    /// for. Both are looked up at once: a fetch that ends in between is not asked for again.
    std::shared_ptr<Fetch> join(const boost::asio::any_io_executor& executor, TokenPtr& token);
    void begin(const std::shared_ptr<Fetch>& fetch, const boost::asio::any_io_executor& executor);
    void begin_coroutine(
        const std::shared_ptr<Fetch>& fetch,
        const boost::asio::any_io_executor& executor
    );
    boost::asio::awaitable<void> ask(
        std::shared_ptr<Fetch> fetch,
        std::shared_ptr<async::CallContext> call
    );
    /// Only the first end of a fetch counts.
    void end(const std::shared_ptr<Fetch>& fetch, AccessToken token) noexcept;
    void fail(const std::shared_ptr<Fetch>& fetch, const std::exception_ptr& error) noexcept;
    void settle(const std::shared_ptr<Fetch>& fetch, TokenPtr token, std::exception_ptr error);

    const unsigned generation_ = fork_generation();
    const TokenProvider provider_;
    const Clocks clocks_;
    const std::chrono::milliseconds limit_;
    /// Of its own, so that a fetch needs no thread of those who may wait for it. No queue: what
    /// finds no thread is refused.
    const Executor threads_{max_functions, 0};
    std::mutex mutex_;
    TokenPtr token_;  ///< Null = none, or refused by the server.
    Time replace_at_ = Time::min();
    std::shared_ptr<Fetch> fetch_;  ///< Null = nobody asks.
};

}  // namespace llmproc
