/// @file
/// One look-up for all who ask for the same host, and a short memory.
#pragma once

#include "net/resolver.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace llmproc::net {

/// Puts coalescing and a cache before another resolver, which is asked for port 0.
///
/// Numeric addresses and "localhost" are answered at once, without the inner resolver. An answer is
/// remembered for `lifetime`: getaddrinfo does not tell the records' own, and kept-alive
/// connections make look-ups rare anyway. Failures are not remembered, so that a host is found as
/// soon as it can be; that callers share a running look-up bounds what a failing one costs.
///
/// Thread safety: all members may be called from any thread; handlers run without a lock. A forked
/// child begins with an empty cache and no running look-ups.
class CachingResolver final : public Resolver {
public:
    using Clock = std::chrono::steady_clock;
    using Now = std::function<Clock::time_point()>;
    static constexpr std::chrono::seconds lifetime{30};
    /// Beyond it the answer that came first is dropped.
    static constexpr std::size_t max_hosts = 256;

    /// `now` is called on any thread.
    explicit CachingResolver(std::shared_ptr<Resolver> inner, Now now = Clock::now);
    ~CachingResolver() override;
    CachingResolver(const CachingResolver&) = delete;
    CachingResolver& operator=(const CachingResolver&) = delete;

    void resolve(std::string host, std::uint16_t port, ResolveHandler handler) override;
    LookupSource look_up(std::string host, std::uint16_t port, ResolveHandler handler) override;
    void forget(const std::string& host) override;

    /// How many hosts are remembered, outdated ones included.
    std::size_t size() const;

private:
    class State;
    class Query;
    /// The state of one process.
    struct Owned;

    std::shared_ptr<State> state() const;

    const std::shared_ptr<Resolver> inner_;
    const Now now_;
    mutable std::atomic<Owned*> owned_;
};

}  // namespace llmproc::net
