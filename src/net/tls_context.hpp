/// @file
/// What all verified TLS connections of equal settings share.
#pragma once

#include "net/net_settings.hpp"

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

namespace llmproc::net {

/// A client SSL_CTX that always verifies: TLS 1.2 or newer, the system's trust store and, beside
/// it, the CA file of the settings. Immutable, so safe to share.
class TlsContext {
public:
    /// The context of these settings, made once per process for equal ones: the system store alone
    /// costs 20 to 50 ms. A changed CA file gives a new one.
    /// Throws ConfigError (key connection.ca_file), LLMError{internal}.
    static std::shared_ptr<TlsContext> shared(const NetSettings& settings);
    /// How many SSL_CTX this process has made.
    static std::uint64_t created() noexcept;

    explicit TlsContext(const std::string& ca_file);
    SSL_CTX* native() const noexcept { return context_.get(); }

private:
    struct Free {
        void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
    };
    std::unique_ptr<SSL_CTX, Free> context_;
};

struct SslFree {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;

/// A connection's state: server name indication and the host name or address to verify are set.
/// Throws LLMError{internal, invalid_argument}.
SslPtr make_ssl(const TlsContext& context, const std::string& host);

/// The text of the first error of OpenSSL's queue, "" if it is empty. Empties the queue.
std::string take_ssl_error();

}  // namespace llmproc::net
