/// @file
/// The quickest of several addresses (RFC 8305).
#pragma once

#include "async/call_context.hpp"
#include "net/race_plan.hpp"
#include "net/resolver.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <optional>

namespace llmproc::net {

/// How a race ended.
struct RaceResult {
    RaceResult() = default;

    std::optional<boost::asio::ip::tcp::socket> socket;  ///< Connected; empty: all have failed.
    boost::asio::ip::tcp::endpoint peer;                 ///< Of the winner.
    Refusal refusal;                                     ///< The most useful of the failures.
};

/// Connects to the first of `addresses` that answers: their families take turns, each attempt has
/// `connection_attempt_delay` for itself, the next begins at once when one fails. The losers are
/// closed before this returns or throws. Precondition: the call is in stage connect.
/// Lifetime: the call must outlive the wait. The socket belongs to the executor below the call's
/// strand.
/// Cancellation: terminal; throws boost::system::system_error{operation_aborted}.
boost::asio::awaitable<RaceResult> connect_race(async::CallContext& call, Addresses addresses);

}  // namespace llmproc::net
