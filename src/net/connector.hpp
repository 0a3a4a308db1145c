/// @file
/// From an origin to a connection that is ready for requests.
#pragma once

#include "async/call_context.hpp"
#include "net/connection_pool.hpp"
#include "net/http_client.hpp"
#include "net/net_settings.hpp"
#include "net/origin.hpp"
#include "net/resolver.hpp"

#include <boost/asio/awaitable.hpp>

#include <memory>

namespace llmproc::net {

/// What a new connection is made from.
struct ConnectPlan {
    ConnectPlan(
        std::shared_ptr<const Origin> place,
        std::shared_ptr<const NetSettings> limits,
        std::shared_ptr<Resolver> names,
        std::shared_ptr<HttpCounters> counts
    );

    std::shared_ptr<const Origin> origin;
    std::shared_ptr<const NetSettings> settings;
    std::shared_ptr<Resolver> resolver;
    std::shared_ptr<HttpCounters> counters;
};

/// The whole way to a connection that is ready: finds and races the addresses of the first hop
/// (stages resolve, connect), which is the proxy if there is one, shakes hands with an https proxy,
/// opens the tunnel (proxy), and shakes hands with the origin (handshake). Reports every step.
/// Lifetime: all arguments must outlive the wait.
/// Throws LLMError{resolve_failed, connect_failed, limit_reached, tls_handshake_failed,
/// certificate_invalid, certificate_host} and those of `open_tunnel`; operation_aborted when
/// cancelled.
boost::asio::awaitable<void> open_connection(
    async::CallContext& call,
    PooledConnection& lease,
    const ConnectPlan& plan
);

}  // namespace llmproc::net
