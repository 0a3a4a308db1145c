/// @file
/// What all verified TLS connections of equal settings share.
#pragma once

#include "net/net_settings.hpp"
#include "net/openssl_use.hpp"
#include "net/tls_resumption.hpp"

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>

namespace llmproc::net {

struct ClientIdentity;
class PemFile;

/// A client SSL_CTX that always verifies chain and name: TLS 1.2 or newer, the trust and the client
/// certificate of the settings. Immutable, so safe to share. OpenSSL reads the system's store, as
/// SSL_CERT_FILE and SSL_CERT_DIR say, unless `only_ca`.
class TlsContext {
public:
    /// The context of these settings, made once per process for equal ones: the system store alone
    /// costs 20 to 50 ms. A changed file gives a new one. May call `key_passphrase`, on this
    /// thread and with no lock held.
    /// Throws ConfigError (keys connection.ca_file, ca_dir, only_ca, client_cert, client_key),
    /// LLMError{internal}, what `key_passphrase` throws.
    static std::shared_ptr<TlsContext> shared(const TlsSettings& settings);
    /// How many SSL_CTX this process has made.
    static std::uint64_t created() noexcept;

    /// `authorities`: the content of `ca_file`, null without one.
    TlsContext(
        const TlsSettings& settings,
        const PemFile* authorities,
        const ClientIdentity& identity
    );
    SSL_CTX* native() const noexcept { return context_.get(); }
    /// The TLS sessions that connections of this context have left behind.
    const std::shared_ptr<TlsSessionCache>& sessions() const noexcept { return sessions_; }

private:
    struct Free {
        void operator()(SSL_CTX* context) const noexcept { free_openssl(context, &SSL_CTX_free); }
    };
    std::unique_ptr<SSL_CTX, Free> context_;
    std::shared_ptr<TlsSessionCache> sessions_;
};

struct SslFree {
    void operator()(SSL* ssl) const noexcept { free_openssl(ssl, &SSL_free); }
};
using SslPtr = std::unique_ptr<SSL, SslFree>;

/// A connection's state: server name indication and the host name or address to verify are set.
/// Offers to resume a session that `host` gave under the same `resume_key`, e.g. "host:port"; an
/// empty key never resumes.
/// Throws LLMError{internal, invalid_argument}.
SslPtr make_ssl(const TlsContext& context, const std::string& host, const std::string& resume_key);

}  // namespace llmproc::net
