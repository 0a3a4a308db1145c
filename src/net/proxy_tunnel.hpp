/// @file
/// A tunnel through an HTTP proxy (CONNECT, RFC 9110 section 9.3.6).
#pragma once

#include <llmproc/error.hpp>
#include "async/call_context.hpp"
#include "net/connection.hpp"
#include "net/origin.hpp"

#include <boost/asio/awaitable.hpp>

namespace llmproc::net {

/// Asks the proxy at the other end of `connection` for a tunnel to `origin` (stage `proxy`).
/// Afterwards the connection's bytes are those of the origin.
/// Lifetime: all arguments must outlive the wait. Precondition: `origin.proxy`.
/// Throws LLMError: proxy_refused with the proxy's status, connection_lost, malformed_http,
/// header_too_large; each names the proxy. operation_aborted when cancelled.
boost::asio::awaitable<void> open_tunnel(
    async::CallContext& call,
    Connection& connection,
    const Origin& origin
);

/// What a failed TLS handshake with the proxy itself means; `state` is that of the last step.
/// Precondition: `origin.proxy`.
LLMError proxy_handshake_error(const Origin& origin, const Connection& connection, StepState state);

}  // namespace llmproc::net
