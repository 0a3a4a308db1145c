#include "net/tls_context.hpp"

#include <llmproc/error.hpp>

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>
#include <vector>

namespace llmproc::net {

namespace {

std::atomic<std::uint64_t> contexts_created{0};

/// What tells one CA file from another, and from its own earlier content.
struct CaFileKey {
    std::string path;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t size = 0;
    std::int64_t seconds = 0;
    std::int64_t nanoseconds = 0;
    bool operator==(const CaFileKey&) const = default;
};

[[noreturn]] void fail_ca_file(const std::string& path, const std::string& reason) {
    ConfigPlace place;
    place.key = "connection.ca_file";
    throw ConfigError(
        std::move(place),
        "cannot use CA file \"" + path + "\": " + reason +
            "; name a readable file with PEM certificates"
    );
}

CaFileKey key_of(const std::string& path) {
    CaFileKey key;
    key.path = path;
    if (path.empty()) {
        return key;
    }
    struct stat info = {};
    if (::stat(path.c_str(), &info) != 0) {
        fail_ca_file(
            path,
            boost::system::error_code(errno, boost::system::system_category()).message()
        );
    }
    if (S_ISDIR(info.st_mode)) {
        fail_ca_file(path, "it is a directory");
    }
    key.device = info.st_dev;
    key.inode = info.st_ino;
    key.size = info.st_size;
    key.seconds = info.st_mtim.tv_sec;
    key.nanoseconds = info.st_mtim.tv_nsec;
    return key;
}

struct Cache {
    std::mutex mutex;
    std::vector<std::pair<CaFileKey, std::shared_ptr<TlsContext>>> entries;  ///< Oldest first.
};

/// Never destroyed: threads may still make connections while static objects go away.
Cache& cache() {
    static auto* const instance = new Cache;
    return *instance;
}

void require(bool succeeded, const char* what) {
    if (!succeeded) {
        throw LLMError(Errc::internal, std::string("OpenSSL: ") + what + ": " + take_ssl_error());
    }
}

bool is_ip_address(const std::string& host) {
    ASN1_OCTET_STRING* const address = a2i_IPADDRESS(host.c_str());
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    return address != nullptr;
}

}  // namespace

std::string take_ssl_error() {
    const unsigned long code = ERR_get_error();
    ERR_clear_error();
    if (code == 0) {
        return {};
    }
    if (const char* const reason = ERR_reason_error_string(code)) {
        return reason;
    }
    std::array<char, 160> text{};
    ERR_error_string_n(code, text.data(), text.size());
    return text.data();
}

TlsContext::TlsContext(const std::string& ca_file) : context_(SSL_CTX_new(TLS_client_method())) {
    contexts_created.fetch_add(1, std::memory_order_relaxed);
    SSL_CTX* const context = context_.get();
    require(context != nullptr, "cannot make a TLS context");
    require(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1, "cannot require TLS 1.2");
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    // Idle connections are many: their 34 KiB of record buffers are worth more than one malloc.
    SSL_CTX_set_mode(
        context,
        SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
            SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
    );
    // One recv for a whole record instead of one for its header and one for its body.
    SSL_CTX_set_read_ahead(context, 1);
    static const std::array<unsigned char, 9> http_1_1{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    require(
        SSL_CTX_set_alpn_protos(context, http_1_1.data(), static_cast<unsigned>(http_1_1.size())) ==
            0,
        "cannot offer http/1.1"
    );
    // A machine without a store may still have a CA file; verification fails where both lack.
    SSL_CTX_set_default_verify_paths(context);
    ERR_clear_error();
    if (!ca_file.empty() && SSL_CTX_load_verify_locations(context, ca_file.c_str(), nullptr) != 1) {
        std::string reason = take_ssl_error();
        fail_ca_file(ca_file, reason.empty() ? "no certificate in it" : reason);
    }
}

std::uint64_t TlsContext::created() noexcept {
    return contexts_created.load(std::memory_order_relaxed);
}

std::shared_ptr<TlsContext> TlsContext::shared(const NetSettings& settings) {
    constexpr std::size_t max_cached = 16;
    CaFileKey key = key_of(settings.ca_file);
    Cache& known = cache();
    // Held while a context is made, so that racing first users make one.
    const std::lock_guard lock(known.mutex);
    for (const auto& [cached_key, context] : known.entries) {
        if (cached_key == key) {
            return context;
        }
    }
    auto context = std::make_shared<TlsContext>(settings.ca_file);
    if (known.entries.size() == max_cached) {
        known.entries.erase(known.entries.begin());
    }
    known.entries.emplace_back(std::move(key), context);
    return context;
}

SslPtr make_ssl(const TlsContext& context, const std::string& host) {
    ERR_clear_error();
    SslPtr ssl(SSL_new(context.native()));
    require(ssl != nullptr, "cannot make a TLS connection");
    SSL_set_connect_state(ssl.get());
    X509_VERIFY_PARAM* const parameters = SSL_get0_param(ssl.get());
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (is_ip_address(host)) {
        require(X509_VERIFY_PARAM_set1_ip_asc(parameters, host.c_str()) == 1, "cannot set address");
        return ssl;
    }
    require(
        X509_VERIFY_PARAM_set1_host(parameters, host.data(), host.size()) == 1,
        "cannot set host"
    );
    require(
        SSL_ctrl(
            ssl.get(),
            SSL_CTRL_SET_TLSEXT_HOSTNAME,
            TLSEXT_NAMETYPE_host_name,
            const_cast<char*>(host.c_str())  // NOLINT: OpenSSL 3.0 lacks const here and copies.
        ) == 1,
        "cannot set the server name"
    );
    return ssl;
}

}  // namespace llmproc::net
