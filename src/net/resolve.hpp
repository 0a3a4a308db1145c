/// @file
/// A look-up that its caller may leave at any time.
#pragma once

#include "async/call_context.hpp"
#include "net/resolver.hpp"

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace llmproc::net {

/// The addresses of `host`; `source` is set before the wait.
/// Lifetime: call and `source` must outlive the wait; the resolver may answer later, or never.
/// Cancellation: terminal; returns at once, the look-up is abandoned.
/// Throws boost::system::system_error with the resolver's code, or operation_aborted.
boost::asio::awaitable<Addresses> resolve(
    async::CallContext& call,
    std::shared_ptr<Resolver> resolver,
    std::string host,
    std::uint16_t port,
    LookupSource& source
);

}  // namespace llmproc::net
