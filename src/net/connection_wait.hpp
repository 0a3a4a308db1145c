/// @file
/// The waits between the steps of a connection.
#pragma once

#include "net/connection.hpp"

#include <boost/asio/awaitable.hpp>

namespace llmproc::net {

/// Waits until the step that said `want` (want_read or want_write) may be tried again.
/// Lifetime: the connection must outlive the wait.
/// Cancellation: terminal. Throws boost::system::system_error.
boost::asio::awaitable<void> wait_for(Connection& connection, StepState want);

}  // namespace llmproc::net
