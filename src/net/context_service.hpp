/// @file
/// What belongs to one io_context: its connections, and who must let go when it dies.
#pragma once

#include <llmproc/stats.hpp>
#include "core/fork_guard.hpp"
#include "net/net_settings.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>

#include <memory>
#include <mutex>
#include <string>

namespace llmproc::net {

class ConnectionPool;
class RateLimiter;
class RateLimiterGroups;

/// Says to other threads whether the io_context may still be posted to.
/// Whoever posts from a thread that is not the context's holds `mutex` and has seen `alive`.
struct ContextGate {
    std::mutex mutex;
    bool alive = true;
};

/// Somebody who holds executors, strands, timers or sockets of an io_context and may outlive it.
class ContextMember {
public:
    ContextMember() = default;
    ContextMember(const ContextMember&) = delete;
    ContextMember& operator=(const ContextMember&) = delete;
    virtual ~ContextMember() = default;

    /// The context is being destroyed: reset every I/O object, executor and strand now, refuse
    /// everything later. Called once, on the destroying thread, while no handler runs.
    virtual void context_shutdown() noexcept = 0;
};

/// The registry of one io_context. Asio calls `shutdown` before it destroys pending handlers, so
/// nothing of ours can touch a dead context.
class ContextService : public boost::asio::execution_context::service {
public:
    using key_type = ContextService;
    static boost::asio::execution_context::id id;

    explicit ContextService(boost::asio::execution_context& context);
    ~ContextService() override;

    /// The service of the context behind `executor`, made at first use.
    /// Throws LLMError{forked_process} if the parent has made it.
    static ContextService& of(const boost::asio::any_io_executor& executor);

    /// Tells `member` when the context dies. Dead members are forgotten. Thread-safe.
    void enroll(const std::shared_ptr<ContextMember>& member);
    const std::shared_ptr<ConnectionPool>& pool() const noexcept { return pool_; }
    /// The rate limits of a group; see `RateLimiter::of`. Thread-safe.
    std::shared_ptr<RateLimiter> rate_limiter(
        const std::string& group_key,
        const RateLimitSettings& settings
    );
    const std::shared_ptr<ContextGate>& gate() const noexcept { return gate_; }

private:
    void shutdown() override;
    void leave_to_parent() noexcept;

    const unsigned generation_ = fork_generation();
    struct Members;
    std::unique_ptr<Members> members_;
    std::shared_ptr<ConnectionPool> pool_;
    std::unique_ptr<RateLimiterGroups> rate_limits_;
    std::shared_ptr<ContextGate> gate_;
};

/// The executor below the strands of `executor`, without outstanding work: for sockets that pass
/// from strand to strand and must not keep `run()` alive.
boost::asio::any_io_executor plain_executor(const boost::asio::any_io_executor& executor);

}  // namespace llmproc::net
