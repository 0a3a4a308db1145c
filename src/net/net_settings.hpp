/// @file
/// How connections are made; from the program file's [connection] and [rate_limit] tables.
#pragma once

#include "core/last_made.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llmproc::net {

struct HttpTarget;

/// Oldest TLS version that is spoken.
enum class TlsMinimum { v1_2, v1_3 };

/// Whom to trust, and as whom to appear.
struct TlsSettings {
    std::string ca_file;      ///< PEM; trusted beside the system's store.
    std::string ca_dir;       ///< Hashed folder (`openssl rehash`); trusted beside the store.
    bool only_ca = false;     ///< Only `ca_file` and `ca_dir` are trusted.
    std::string client_cert;  ///< PEM, leaf first.
    std::string client_key;   ///< PEM; empty = in `client_cert`.
    /// Asked for the passphrase of an encrypted `client_key`, at start; may be null.
    std::shared_ptr<const std::function<std::string()>> key_passphrase;
    TlsMinimum min_version = TlsMinimum::v1_2;
};

/// Which requests go through which proxy.
struct ProxySettings {
    /// `http://` or `https://` with optional user and password; "" = none, not even from the
    /// environment; not set = as HTTPS_PROXY, HTTP_PROXY and ALL_PROXY say.
    std::optional<std::string> url;
    /// Hosts that are reached directly; not set = as NO_PROXY says.
    std::optional<std::vector<std::string>> no_proxy;
};

/// Client-side limits, shared by all processes of a loop that use the same key and server.
/// 0 = no limit of our own; the provider's headers are then only obeyed when nothing remains.
struct RateLimitSettings {
    std::size_t max_in_flight = 0;
    std::int64_t requests_per_minute = 0;
    std::int64_t tokens_per_minute = 0;
    bool enabled() const noexcept {
        return max_in_flight != 0 || requests_per_minute != 0 || tokens_per_minute != 0;
    }
};

struct NetSettings {
    TlsSettings tls;
    ProxySettings proxy;
    std::chrono::milliseconds idle_timeout{60'000};  ///< Idle connections older are not used.
    std::chrono::milliseconds max_age{3'600'000};    ///< Connections older are not used again.
    std::size_t max_connections_per_host = 100;
    std::size_t max_connections = 1000;  ///< Of all hosts of one io_context together.
    std::size_t max_header_bytes = 64UL * 1024;
    std::size_t max_body_bytes = 64UL * 1024 * 1024;  ///< Of an answer, streamed or not.
    bool allow_insecure_http = false;                 ///< Plain http beyond loopback.
    bool resend_on_stale = true;  ///< One new try when a reused connection was dead.
    LastMade<HttpTarget> target;  ///< What the clients with these settings share.
};

}  // namespace llmproc::net
