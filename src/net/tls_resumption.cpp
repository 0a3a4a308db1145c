#include "net/tls_resumption.hpp"

#include <llmproc/error.hpp>

#include <openssl/err.h>
#include <openssl/opensslv.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <utility>

namespace llmproc::net {

namespace {

/// What a connection's SSL carries for the callbacks, which get nothing else.
struct Companion {
    std::shared_ptr<TlsSessionCache> cache;
    std::string key;
    bool certificate_missed = false;
};

void free_companion(
    void* /*parent*/,
    void* data,
    CRYPTO_EX_DATA* /*all*/,
    int /*index*/,
    long /*number*/,
    void* /*pointer*/
) {
    const std::unique_ptr<Companion> companion(static_cast<Companion*>(data));
}

int companion_index() {
    static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &free_companion);
    return index;
}

Companion* companion_of(const SSL* connection) {
    return static_cast<Companion*>(SSL_get_ex_data(connection, companion_index()));
}

void keep_session(SSL* connection, const SSL_SESSION* session) {
    const Companion* const companion = companion_of(connection);
    if (companion == nullptr || companion->key.empty() ||
        SSL_get_verify_result(connection) != X509_V_OK) {
        return;
    }
    // A copy: the connection's own is spoilt when the peer hangs up without a close_notify, which
    // says nothing about the session (RFC 5246, 7.2.1), and written to without a lock of ours.
    SslSessionPtr copy(SSL_SESSION_dup(session));
    if (copy) {
        companion->cache->add(companion->key, std::move(copy));
    }
}

/// 0: the reference stays with OpenSSL.
int on_new_session(SSL* connection, SSL_SESSION* session) noexcept {
    try {
        keep_session(connection, session);
    } catch (const std::exception&) {
        // Without memory for it the next connection makes a full handshake.
        return 0;
    }
    return 0;
}

/// Only asked where no certificate is configured. 0: none.
int on_certificate_request(SSL* connection, X509** /*leaf*/, EVP_PKEY** /*key*/) noexcept {
    if (Companion* const companion = companion_of(connection)) {
        companion->certificate_missed = true;
    }
    return 0;
}

std::time_t begin_of(const SSL_SESSION* session) {
#if OPENSSL_VERSION_PREREQ(3, 3)
    return SSL_SESSION_get_time_ex(session);
#else
    return SSL_SESSION_get_time(session);
#endif
}

}  // namespace

bool is_resumable(SSL_SESSION* session, std::time_t now) {
    using std::chrono::hours;
    using std::chrono::seconds;
    constexpr long longest = seconds(hours(7 * 24)).count();  // RFC 8446, 4.6.1.
    const X509* const peer = SSL_SESSION_get0_peer(session);
    if (SSL_SESSION_is_resumable(session) == 0 || peer == nullptr) {
        return false;
    }
    long lifetime = std::min(SSL_SESSION_get_timeout(session), longest);
    const unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
    if (hint != 0 && hint < static_cast<unsigned long>(longest)) {
        lifetime = std::min(lifetime, static_cast<long>(hint));
    }
    const std::time_t age = now - begin_of(session);
    // Resumption sends no certificate: without this an expired one would be accepted for ever.
    return age >= 0 && age < lifetime && X509_cmp_time(X509_get0_notAfter(peer), &now) > 0;
}

TlsSessionCache::TlsSessionCache(std::size_t max_keys, std::size_t per_key)
    : max_keys_(std::max<std::size_t>(max_keys, 1)),
      per_key_(std::max<std::size_t>(per_key, 1)) {}

void TlsSessionCache::add(const std::string& key, SslSessionPtr session) {
    const std::lock_guard lock(mutex_);
    if (servers_.size() >= max_keys_ && servers_.find(key) == servers_.end()) {
        forget_oldest();
    }
    Server& server = servers_[key];
    server.last_use = ++uses_;
    if (server.sessions.size() >= per_key_) {
        server.sessions.erase(server.sessions.begin());
    }
    server.sessions.push_back(std::move(session));
}

void TlsSessionCache::forget_oldest() {
    servers_.erase(std::min_element(
        servers_.begin(),
        servers_.end(),
        [](const auto& left, const auto& right) {
            return left.second.last_use < right.second.last_use;
        }
    ));
}

SslSessionPtr TlsSessionCache::take(const std::string& key, std::time_t now) {
    const std::lock_guard lock(mutex_);
    const auto found = servers_.find(key);
    if (found == servers_.end()) {
        return nullptr;
    }
    Server& server = found->second;
    SslSessionPtr session;
    while (!session && !server.sessions.empty()) {
        if (is_resumable(server.sessions.back().get(), now)) {
            session = std::move(server.sessions.back());
        }
        server.sessions.pop_back();
    }
    server.last_use = ++uses_;
    if (server.sessions.empty()) {
        servers_.erase(found);
    }
    return session;
}

std::size_t TlsSessionCache::size() const {
    const std::lock_guard lock(mutex_);
    std::size_t count = 0;
    for (const auto& [key, server] : servers_) {
        count += server.sessions.size();
    }
    return count;
}

void enable_resumption(SSL_CTX* context) {
    // Our own store: OpenSSL's looks sessions up by their id, which a client does not know.
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context, &on_new_session);
    SSL_CTX_set_client_cert_cb(context, &on_certificate_request);
}

void prepare_resumption(
    SSL* connection,
    std::shared_ptr<TlsSessionCache> cache,
    const std::string& key
) {
    auto companion = std::make_unique<Companion>();
    companion->cache = std::move(cache);
    companion->key = key;
    if (companion_index() < 0 ||
        SSL_set_ex_data(connection, companion_index(), companion.get()) != 1) {
        throw LLMError(Errc::internal, "OpenSSL: cannot attach data to a TLS connection");
    }
    const Companion& attached = *companion.release();
    if (key.empty()) {
        return;
    }
    if (const SslSessionPtr session = attached.cache->take(key, std::time(nullptr))) {
        // Refused for a session that does not fit: a full handshake then.
        SSL_set_session(connection, session.get());
        ERR_clear_error();
    }
}

bool finish_resumption(SSL* connection) {
    // A resumed handshake carries no certificate. The session was made by one that verified the
    // chain and this very name (both are part of the session's key); OpenSSL kept the result.
    if (SSL_get_verify_result(connection) != X509_V_OK) {
        return false;
    }
    // OpenSSL reports TLS 1.2 sessions only when they are new, but they may be used again; only
    // now is it certain that the server gets along with this one.
    if (SSL_session_reused(connection) != 0 && SSL_version(connection) < TLS1_3_VERSION) {
        keep_session(connection, SSL_get0_session(connection));
    }
    return true;
}

bool certificate_missed(const SSL* connection) {
    const Companion* const companion = companion_of(connection);
    return companion != nullptr && companion->certificate_missed;
}

}  // namespace llmproc::net
