/// @file
/// Host names to addresses, injectable.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::net {

using Addresses = std::vector<boost::asio::ip::tcp::endpoint>;
/// Called once, on any thread, possibly before `resolve` returns. Must not throw.
using ResolveHandler = std::function<void(boost::system::error_code, Addresses)>;

/// What an answer costs.
enum class LookupSource {
    query,   ///< The name servers (or whatever the system asks) are asked.
    shared,  ///< Waits for a query that another caller began.
    known,   ///< Nobody is asked: a cached answer, a number, or localhost.
};

/// Looks host names up without ever blocking the caller. Thread-safe.
class Resolver {
public:
    Resolver() = default;
    Resolver(const Resolver&) = delete;
    Resolver& operator=(const Resolver&) = delete;
    virtual ~Resolver() = default;

    /// Every address of the answer has `port`.
    virtual void resolve(std::string host, std::uint16_t port, ResolveHandler handler) = 0;
    /// The same, and says where the answer comes from.
    virtual LookupSource look_up(std::string host, std::uint16_t port, ResolveHandler handler) {
        resolve(std::move(host), port, std::move(handler));
        return LookupSource::query;
    }
    /// No address of `host` could be connected to: the next look-up must not be answered from
    /// memory.
    virtual void forget(const std::string& /*host*/) {}
};

/// The process-wide resolver: a CachingResolver before getaddrinfo on at most 8 helper threads,
/// started when needed. A stuck look-up is abandoned with its thread, never joined. Usable in a
/// forked child, which starts anew.
std::shared_ptr<Resolver> system_resolver();

}  // namespace llmproc::net
