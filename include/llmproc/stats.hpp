/// @file
/// Counters of processes and connections.
#pragma once

#include <llmproc/asio_fwd.hpp>
#include <llmproc/export.hpp>
#include <llmproc/usage.hpp>

#include <cstdint>
#include <optional>

namespace llmproc {

/// What the calls of one process caused, since it started.
struct ProcessStats {
    std::uint64_t runs = 0;                  ///< `run` and `stream` calls that succeeded.
    std::uint64_t failed_runs = 0;           ///< Those that failed or were cancelled.
    std::uint64_t requests = 0;              ///< HTTP requests sent.
    std::uint64_t connections_opened = 0;    ///< New TCP connections.
    std::uint64_t tls_handshakes = 0;        ///< Completed TLS handshakes.
    std::uint64_t connections_reused = 0;    ///< Requests sent over a connection used before.
    std::uint64_t connections_replaced = 0;  ///< Reused ones found dead, their request sent anew.
    std::uint64_t tls_resumed = 0;           ///< Those handshakes that resumed a TLS session.
    std::uint64_t lookups = 0;               ///< Host names asked for, cached answers not counted.
    std::uint64_t retries = 0;               ///< Attempts after the first.
    std::uint64_t redirects = 0;             ///< Redirects followed.
    std::uint64_t fallbacks = 0;             ///< Times that the next model was asked instead.
    Usage usage;                             ///< Of all answers, and of failures that reported it.
    std::optional<Cost> cost;                ///< Of what has a known price; none = nothing has.
    std::uint64_t unpriced = 0;              ///< Answers whose price or usage is not known.
    std::uint64_t tool_calls = 0;            ///< Tool calls that the model asked for.
};

/// The connections of one `io_context`, shared by all processes on it.
struct ConnectionStats {
    std::uint64_t opened = 0;      ///< TCP connections since the start.
    std::uint64_t handshakes = 0;  ///< Completed TLS handshakes since the start.
    std::uint64_t reused = 0;      ///< Times that an idle connection was taken.
    std::uint64_t resumed = 0;     ///< Those handshakes that resumed a TLS session.
    std::uint64_t discarded = 0;   ///< Idle connections found dead, too old or in the way.
    std::uint64_t idle = 0;        ///< Idle now.
    std::uint64_t in_use = 0;      ///< In use now.
    std::uint64_t waiting = 0;     ///< Calls that wait for a connection now.
};

/// The counters of the `io_context` behind an executor. Thread-safe while that context lives.
LLMPROC_API ConnectionStats connection_stats(const boost::asio::any_io_executor& executor);

}  // namespace llmproc
