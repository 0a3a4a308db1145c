/// @file
/// What the clients share that use our transport without the model's protocol.
#pragma once

#include "async/call_context.hpp"
#include "net/net_settings.hpp"
#include "workload.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>

namespace llmproc::bench {

/// Room for 10,000 connections, and the authority of the load.
std::shared_ptr<const net::NetSettings> transport_settings(const Load& load);

using TransportBody = std::function<boost::asio::awaitable<void>(async::CallContext& call)>;

/// Starts `body` with a call context of its own; what it throws comes out of `context.run()`.
void start_body(boost::asio::io_context& context, const TransportBody& body);

}  // namespace llmproc::bench
