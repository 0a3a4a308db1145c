/// @file
/// How connections are made; from the program file's [connection] table.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

namespace llmproc::net {

struct NetSettings {
    std::chrono::milliseconds connect_timeout{10'000};  ///< Resolve, TCP and TLS, each.
    std::chrono::milliseconds idle_timeout{60'000};     ///< Idle connections older are not used.
    std::size_t max_connections_per_host = 100;
    std::size_t max_header_bytes = 64UL * 1024;
    std::size_t max_body_bytes = 64UL * 1024 * 1024;  ///< Of a body that is kept whole.
    std::string ca_file;                              ///< PEM; trusted beside the system store.
    bool allow_insecure_http = false;                 ///< Plain http beyond loopback.
    bool resend_on_stale = true;  ///< One new try when a reused connection was dead.
};

}  // namespace llmproc::net
