/// @file
/// TLS sessions that new connections to a known server may take up again (RFC 8446, 2.2).
#pragma once

#include "net/openssl_use.hpp"

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace llmproc::net {

struct SslSessionFree {
    void operator()(SSL_SESSION* session) const noexcept {
        free_openssl(session, &SSL_SESSION_free);
    }
};
using SslSessionPtr = std::unique_ptr<SSL_SESSION, SslSessionFree>;

/// A bounded store of sessions by server. Belongs to one TLS context, so a session is only taken up
/// under the trust settings that it was made under.
///
/// Thread safety: all members may be called from any thread. A stored session is shared with no
/// connection: OpenSSL writes to the sessions of its connections.
class TlsSessionCache {
public:
    /// Beyond `max_keys` the server that was used least recently is forgotten, beyond `per_key` the
    /// oldest session of the server.
    explicit TlsSessionCache(std::size_t max_keys = 256, std::size_t per_key = 4);

    void add(const std::string& key, SslSessionPtr session);
    /// Removes and returns the newest session that may still be used; null if there is none. One
    /// that turns out to be good for more than one use is added again.
    SslSessionPtr take(const std::string& key, std::time_t now);
    /// How many sessions are stored.
    std::size_t size() const;

private:
    struct Server {
        std::vector<SslSessionPtr> sessions;  ///< Oldest first.
        std::uint64_t last_use = 0;
    };
    void forget_oldest();

    const std::size_t max_keys_;
    const std::size_t per_key_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Server> servers_;
    std::uint64_t uses_ = 0;
};

/// Whether a server that knows the session would continue it at `now`, and may: it can be resumed,
/// its lifetime is not over and the certificate that was verified when it began is still valid.
bool is_resumable(SSL_SESSION* session, std::time_t now);

/// Makes connections of `context` report their new sessions. Call once, before it is used.
void enable_resumption(SSL_CTX* context);
/// Prepares a new connection: offers a session of `key`, keeps those that the server will send. An
/// empty key does neither.
/// Throws LLMError{internal}.
void prepare_resumption(
    SSL* connection,
    std::shared_ptr<TlsSessionCache> cache,
    const std::string& key
);
/// To be called when the handshake is complete. False if the peer is not the verified one.
bool finish_resumption(SSL* connection);
/// Whether the server has asked for a client certificate and got none.
bool certificate_missed(const SSL* connection);

}  // namespace llmproc::net
