#include "net/tls_context.hpp"

#include <llmproc/error.hpp>
#include "core/fork_guard.hpp"
#include "core/fork_hold.hpp"
#include "net/client_identity.hpp"
#include "net/pem_file.hpp"
#include "net/tls_errors.hpp"
#include "net/tls_files.hpp"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace llmproc::net {

namespace {

std::atomic<std::uint64_t> contexts_created{0};

struct Cache {
    std::shared_ptr<TlsContext> find(const TlsKey& key) const {
        const auto found = std::find_if(entries.begin(), entries.end(), [&key](const auto& entry) {
            return entry.first == key;
        });
        return found == entries.end() ? nullptr : found->second;
    }

    std::mutex mutex;
    std::vector<std::pair<TlsKey, std::shared_ptr<TlsContext>>> entries;  ///< Oldest first.
};

/// A child makes its own: OpenSSL's contexts have locks, too.
constinit PerProcess<Cache> cache;

void require(bool succeeded, const char* what) {
    if (!succeeded) {
        throw LLMError(Errc::internal, std::string("OpenSSL: ") + what + ": " + take_ssl_error());
    }
}

SSL_CTX* new_context() {
    watch_openssl();
    return SSL_CTX_new(TLS_client_method());
}

bool is_ip_address(const std::string& host) {
    ASN1_OCTET_STRING* const address = a2i_IPADDRESS(host.c_str());
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return address != nullptr;
}

void set_protocol(SSL_CTX* context, TlsMinimum minimum) {
    const int oldest = minimum == TlsMinimum::v1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
    // openssl.cnf may demand more than we do.
    if (SSL_CTX_get_min_proto_version(context) < oldest) {
        require(SSL_CTX_set_min_proto_version(context, oldest) == 1, "cannot set the TLS version");
    }
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    static const std::array<unsigned char, 9> http_1_1{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    require(
        SSL_CTX_set_alpn_protos(context, http_1_1.data(), static_cast<unsigned>(http_1_1.size())) ==
            0,
        "cannot offer http/1.1"
    );
}

struct FreeInfos {
    void operator()(STACK_OF(X509_INFO) * infos) const noexcept {
        sk_X509_INFO_pop_free(infos, &X509_INFO_free);
    }
};

/// Its certificates and revocation lists, as X509_LOOKUP_file does.
void trust(X509_STORE* store, const PemFile& authorities) {
    ERR_clear_error();
    const auto bio = authorities.open();
    std::string no_passphrase;
    const std::unique_ptr<STACK_OF(X509_INFO), FreeInfos> infos(
        PEM_X509_INFO_read_bio(bio.get(), nullptr, nullptr, no_passphrase.data())
    );
    int count = 0;
    bool taken = infos != nullptr;
    for (int i = 0; taken && i < sk_X509_INFO_num(infos.get()); ++i) {
        const X509_INFO& info = *sk_X509_INFO_value(infos.get(), i);
        if (info.x509 != nullptr) {
            taken = X509_STORE_add_cert(store, info.x509) == 1;
            ++count;
        }
        if (taken && info.crl != nullptr) {
            taken = X509_STORE_add_crl(store, info.crl) == 1;
            ++count;
        }
    }
    if (!taken || count == 0) {
        const std::string reason = take_ssl_error();
        const std::string problem = reason.empty() ? "no certificate in it" : reason;
        fail_tls_file("ca_file", "CA file", authorities.path(), problem + name_ca_file);
    }
}

void set_trust(SSL_CTX* context, const TlsSettings& settings, const PemFile* authorities) {
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    if (!settings.only_ca) {
        // A machine without a store may still have a CA file; verification fails where both lack.
        SSL_CTX_set_default_verify_paths(context);
        ERR_clear_error();
    }
    if (authorities != nullptr) {
        trust(SSL_CTX_get_cert_store(context), *authorities);
    }
    const std::string& folder = settings.ca_dir;
    if (!folder.empty() && SSL_CTX_load_verify_locations(context, nullptr, folder.c_str()) != 1) {
        fail_tls_file("ca_dir", "CA folder", folder, take_ssl_error());
    }
}

void set_identity(SSL_CTX* context, const TlsSettings& settings, const ClientIdentity& identity) {
    if (!identity.leaf) {
        return;
    }
    const int used = SSL_CTX_use_cert_and_key(
        context,
        identity.leaf.get(),
        identity.key.get(),
        identity.chain.get(),
        1
    );
    if (used != 1) {
        fail_tls_file(
            "client_cert",
            "client certificate",
            settings.client_cert,
            take_ssl_error() + "; use a certificate with a stronger key or signature"
        );
    }
}

}  // namespace

TlsContext::TlsContext(
    const TlsSettings& settings,
    const PemFile* authorities,
    const ClientIdentity& identity
)
    : context_(new_context()),
      sessions_(std::make_shared<TlsSessionCache>()) {
    contexts_created.fetch_add(1, std::memory_order_relaxed);
    SSL_CTX* const context = context_.get();
    require(context != nullptr, "cannot make a TLS context");
    // Idle connections are many: their 34 KiB of record buffers are worth more than one malloc.
    SSL_CTX_set_mode(
        context,
        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    );
    // One recv for a whole record instead of one for its header and one for its body.
    SSL_CTX_set_read_ahead(context, 1);
    set_protocol(context, settings.min_version);
    set_trust(context, settings, authorities);
    set_identity(context, settings, identity);
    enable_resumption(context);
}

std::uint64_t TlsContext::created() noexcept {
    return contexts_created.load(std::memory_order_relaxed);
}

std::shared_ptr<TlsContext> TlsContext::shared(const TlsSettings& settings) {
    constexpr std::size_t max_cached = 16;
    TlsKey key = tls_key(settings);
    Cache& known = cache.get();
    {
        const std::lock_guard lock(known.mutex);
        if (auto context = known.find(key)) {
            return context;
        }
    }
    check_forked_in_order();
    // Not under the lock: files may be slow, and a user is asked, whose code may make a client.
    const ClientIdentity identity = read_identity(settings);
    std::optional<PemFile> authorities;
    if (!settings.ca_file.empty()) {
        authorities.emplace("ca_file", "CA file", settings.ca_file, name_ca_file);
    }
    // First, because a fork may wait: the other way round it would wait for whoever waits for us.
    const OpensslUse use;
    // Held while a context is made, so that racing first users make one.
    const std::lock_guard lock(known.mutex);
    if (auto context = known.find(key)) {
        return context;
    }
    auto context =
        std::make_shared<TlsContext>(settings, authorities ? &*authorities : nullptr, identity);
    if (known.entries.size() == max_cached) {
        known.entries.erase(known.entries.begin());
    }
    known.entries.emplace_back(std::move(key), context);
    return context;
}

SslPtr make_ssl(const TlsContext& context, const std::string& host, const std::string& resume_key) {
    const OpensslUse use;
    ERR_clear_error();
    SslPtr ssl(SSL_new(context.native()));
    require(ssl != nullptr, "cannot make a TLS connection");
    SSL_set_connect_state(ssl.get());
    // The host is part of the key: a session is never offered under another name than the one that
    // was verified when it began.
    prepare_resumption(
        ssl.get(),
        context.sessions(),
        resume_key.empty() ? std::string() : host + '\n' + resume_key
    );
    X509_VERIFY_PARAM* const parameters = SSL_get0_param(ssl.get());
    X509_VERIFY_PARAM_set_hostflags(
        parameters,
        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT
    );
    if (is_ip_address(host)) {
        require(X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1, "cannot set address");
        return ssl;
    }
    // Fully qualified names end in a dot, those in certificates and SNI (RFC 6066) do not.
    const bool dotted = host.size() > 1 && host.back() == '.';
    std::string name = dotted ? host.substr(0, host.size() - 1) : host;
    require(
        X509_VERIFY_PARAM_set1_host(parameters, name.data(), name.size()) == 1,
        "cannot set host"
    );
    require(
        SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) ==
            1,
        "cannot set the server name"
    );
    return ssl;
}

}  // namespace llmproc::net
