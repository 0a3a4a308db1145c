/// @file
/// Client-side rate limits of the calls that use one key and one server.
#pragma once

#include "async/call_context.hpp"
#include "core/fork_guard.hpp"
#include "net/context_service.hpp"
#include "net/net_settings.hpp"
#include "wire/rate_limit_headers.hpp"
#include "wire/token_bucket.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace llmproc::net {

class RateLimiter;
struct RateWaiter;

/// The right to have one request under way; goes back when this dies. It may outlive everything.
class RatePermit {
public:
    /// Holds nothing: nothing is limited.
    RatePermit() = default;
    RatePermit(std::shared_ptr<RateLimiter> limiter, std::int64_t tokens) noexcept;
    RatePermit(RatePermit&& other) noexcept = default;
    RatePermit& operator=(RatePermit&& other) noexcept;
    ~RatePermit();

    /// The tokens that the request really used, in place of the estimate or of an earlier value.
    void settle(std::int64_t actual_tokens) noexcept;
    void release() noexcept;

private:
    std::shared_ptr<RateLimiter> limiter_;
    std::int64_t tokens_ = 0;
};

/// The limits of one group: all calls of one io_context with the same server and key.
///
/// First come, first served: a request for many tokens is not overtaken by smaller ones. Only the
/// first in line waits for time to pass, with a timer of its own on its own executor.
///
/// Thread safety: all members may be called from any thread; the mutex is held for decisions and
/// list operations only.
class RateLimiter : public ContextMember, public std::enable_shared_from_this<RateLimiter> {
public:
    using Clock = async::Clock;
    using Now = std::function<Clock::time_point()>;

    /// The longest pause that `pause_until` makes.
    static constexpr std::chrono::seconds max_pause{60};

    /// The limiter of `group_key` on the executor's context, made at first use. Of the settings of
    /// all its users the stricter ones count; those of earlier users that are gone do not.
    /// The key is kept: it must hold a hash of the API key, never the key itself.
    static std::shared_ptr<RateLimiter> of(
        const boost::asio::any_io_executor& executor,
        const std::string& group_key,
        const RateLimitSettings& settings
    );

    /// Precondition: enrolled with the ContextService of its users before its first use, as `of`
    /// does. `now` is for tests; null = the steady clock.
    explicit RateLimiter(const RateLimitSettings& settings, Now now = Now());
    RateLimiter(const RateLimiter&) = delete;
    RateLimiter& operator=(const RateLimiter&) = delete;
    ~RateLimiter() override;

    /// A permit if nothing has to be waited for and nobody waits. One branch if nothing is limited.
    /// Throws LLMError{loop_closed}.
    std::optional<RatePermit> try_acquire(std::int64_t estimated_tokens);
    /// The same, but waits for its turn in Stage::rate_limit.
    /// Lifetime: the call must outlive the wait. Cancellation: leaves the line and uses nothing.
    boost::asio::awaitable<RatePermit> acquire(
        async::CallContext& call,
        std::int64_t estimated_tokens
    );

    /// What the headers of an answer said.
    void learn(const wire::RateLimitInfo& info);
    /// Lets nobody pass until `time`, but for no longer than `max_pause`; never shortens a pause.
    void pause_until(Clock::time_point time);

    /// Permits given and not yet back. Those given while nothing was limited are not counted.
    std::size_t in_flight() const;
    std::size_t waiting() const;

    /// Limits that are stricter than the present ones replace them.
    void tighten(const RateLimitSettings& settings);
    /// The limits become these; what has been used stays used.
    void replace(const RateLimitSettings& settings);
    /// Whether a new limiter would do the same as this one.
    bool forgettable() const;

    void context_shutdown() noexcept override;

private:
    friend class RatePermit;
    friend class RateWait;

    Clock::time_point now() const { return now_ ? now_() : Clock::now(); }
    void give_back() noexcept;
    void correct(std::int64_t difference) noexcept;
    // With the mutex held:
    bool restricts(Clock::time_point now) const;
    void set_limits(const RateLimitSettings& settings, Clock::time_point now);
    Clock::duration obstacle(std::int64_t tokens, Clock::time_point now) const;
    void take(std::int64_t tokens, Clock::time_point now);
    void serve(Clock::time_point now, const RateWaiter* awake = nullptr);
    [[noreturn]] static void throw_closed();

    const unsigned generation_ = fork_generation();
    const Now now_;
    mutable std::mutex mutex_;
    std::atomic<bool> restricts_;  ///< False: nothing is limited, and the rest need not be asked.
    RateLimitSettings settings_;
    wire::TokenBucket requests_;
    wire::TokenBucket tokens_;
    Clock::time_point pause_until_ = Clock::time_point::min();
    std::size_t in_flight_ = 0;
    std::deque<std::shared_ptr<RateWaiter>> waiters_;
    bool closed_ = false;
};

/// The limiters of one io_context by group; those that nobody uses are kept while they know
/// something.
class RateLimiterGroups {
public:
    /// The limiter of `group`, and whether it is new. Thread-safe.
    std::shared_ptr<RateLimiter> find_or_make(
        const std::string& group,
        const RateLimitSettings& settings,
        bool& made
    );
    std::size_t size() const;

private:
    void tidy();

    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::shared_ptr<RateLimiter>> groups_;
    std::size_t tidy_at_ = 64;
};

}  // namespace llmproc::net
