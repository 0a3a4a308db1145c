#include "testing/tls_engine.hpp"

#include "core/fork_hold.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <stdexcept>
#include <utility>

namespace llmproc::testing {

namespace {

[[noreturn]] void fail(const std::string& what) {
    std::array<char, 256> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    ERR_clear_error();
    throw std::runtime_error(
        "llmproc::testing::ScriptedServer: " + what + " failed: " + reason.data()
    );
}

void check(bool ok, const char* what) {
    if (!ok) {
        fail(what);
    }
}

int native_version(TlsVersion version) {
    switch (version) {
        case TlsVersion::tls1_0: return TLS1_VERSION;
        case TlsVersion::tls1_1: return TLS1_1_VERSION;
        case TlsVersion::tls1_2: return TLS1_2_VERSION;
        case TlsVersion::tls1_3: break;
    }
    return TLS1_3_VERSION;
}

using Bio = std::unique_ptr<BIO, decltype(&BIO_free_all)>;
using X509Cert = std::unique_ptr<X509, decltype(&X509_free)>;

Bio bio_of(const std::string& text) {
    Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), &BIO_free_all);
    check(bio != nullptr, "BIO_new_mem_buf");
    return bio;
}

X509Cert next_certificate(const Bio& bio) {
    return {PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), &X509_free};
}

void use_certificate(SSL_CTX* context, const Certificate& certificate) {
    const Bio chain = bio_of(certificate.chain_pem);
    const X509Cert leaf = next_certificate(chain);
    check(leaf != nullptr, "reading the certificate chain");
    check(SSL_CTX_use_certificate(context, leaf.get()) == 1, "using the certificate");
    for (X509Cert next = next_certificate(chain); next; next = next_certificate(chain)) {
        check(SSL_CTX_add1_chain_cert(context, next.get()) == 1, "adding to the chain");
    }
    ERR_clear_error();  // the end of the PEM text was reported as an error
    const Bio text = bio_of(certificate.key_pem);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr);
    check(key != nullptr, "reading the private key");
    const bool used = SSL_CTX_use_PrivateKey(context, key) == 1;
    EVP_PKEY_free(key);
    check(used, "using the private key");
}

void demand_client_certificate(SSL_CTX* context, const std::string& ca_pem) {
    const X509Cert ca = next_certificate(bio_of(ca_pem));
    check(ca != nullptr, "reading the authority for client certificates");
    check(
        X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get()) == 1,
        "trusting the authority for client certificates"
    );
    SSL_CTX_add_client_CA(context, ca.get());
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
}

/// The parameter list is OpenSSL's.
int select_http11(
    SSL* /*ssl*/,
    const unsigned char** out,
    unsigned char* size,
    const unsigned char* offered,
    unsigned int offered_size,
    void* /*unused*/
) {
    constexpr std::string_view wanted = "http/1.1";
    for (unsigned int at = 0; at < offered_size; at += offered[at] + 1U) {
        const std::string_view name(
            reinterpret_cast<const char*>(offered) + at + 1,
            static_cast<std::size_t>(offered[at])
        );
        if (at + 1U + offered[at] <= offered_size && name == wanted) {
            *out = offered + at + 1;
            *size = offered[at];
            return SSL_TLSEXT_ERR_OK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

std::shared_ptr<SSL_CTX> new_context() {
    const ForkHold use;
    return {SSL_CTX_new(TLS_server_method()), [](SSL_CTX* context) {
                const ForkHold release;
                SSL_CTX_free(context);
            }};
}

std::shared_ptr<SSL> new_connection(const TlsContext& context) {
    const ForkHold use;
    return {SSL_new(context.native()), [](SSL* connection) {
                const ForkHold release;
                SSL_free(connection);
            }};
}

}  // namespace

TlsContext::TlsContext(const ServerOptions& options, const Certificate& certificate)
    : context_(new_context()) {
    const ForkHold use;
    check(context_ != nullptr, "SSL_CTX_new");
    SSL_CTX* context = context_.get();
    if (options.min_tls() < TlsVersion::tls1_2) {
        // OpenSSL 3 offers TLS 1.0 and 1.1 on security level 0 only
        check(SSL_CTX_set_cipher_list(context, "DEFAULT:@SECLEVEL=0") == 1, "allowing old ciphers");
    }
    check(
        SSL_CTX_set_min_proto_version(context, native_version(options.min_tls())) == 1 &&
            SSL_CTX_set_max_proto_version(context, native_version(options.max_tls())) == 1,
        "setting the TLS versions"
    );
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    constexpr std::string_view id = "llmproc-test";
    SSL_CTX_set_session_id_context(
        context,
        reinterpret_cast<const unsigned char*>(id.data()),
        static_cast<unsigned int>(id.size())
    );
    SSL_CTX_set_alpn_select_cb(context, &select_http11, nullptr);
    use_certificate(context, certificate);
    if (!options.client_ca().empty()) {
        demand_client_certificate(context, options.client_ca());
    }
}

TlsEngine::TlsEngine(const TlsContext& context) : ssl_(new_connection(context)) {
    const ForkHold use;
    check(ssl_ != nullptr, "SSL_new");
    BIO* in = BIO_new(BIO_s_mem());
    BIO* out = BIO_new(BIO_s_mem());
    check(in != nullptr && out != nullptr, "BIO_new");
    SSL_set_bio(ssl_.get(), in, out);
    SSL_set_accept_state(ssl_.get());
}

TlsEngine::Result TlsEngine::handshake() {
    const int result = SSL_do_handshake(ssl_.get());
    if (result == 1) {
        established_ = true;
        return Result::ok;
    }
    return SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ ? Result::ok : Result::failed;
}

TlsEngine::Result TlsEngine::feed(std::string_view cipher, std::string& plain) {
    const ForkHold use;
    ERR_clear_error();
    BIO_write(SSL_get_rbio(ssl_.get()), cipher.data(), static_cast<int>(cipher.size()));
    if (!established_) {
        const Result result = handshake();
        if (result != Result::ok || !established_) {
            return result;
        }
    }
    std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    for (;;) {
        const int size = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (size > 0) {
            plain.append(buffer.data(), static_cast<std::size_t>(size));
            continue;
        }
        switch (SSL_get_error(ssl_.get(), size)) {
            case SSL_ERROR_WANT_READ: return Result::ok;
            case SSL_ERROR_ZERO_RETURN: return Result::closed;
            default: return Result::failed;
        }
    }
}

bool TlsEngine::write(std::string_view plain) {
    const ForkHold use;
    ERR_clear_error();
    return plain.empty() || SSL_write(ssl_.get(), plain.data(), static_cast<int>(plain.size())) > 0;
}

void TlsEngine::close_notify() {
    const ForkHold use;
    ERR_clear_error();
    if (established_) {
        SSL_shutdown(ssl_.get());
    }
}

std::string TlsEngine::take_output() {
    BIO* out = SSL_get_wbio(ssl_.get());
    std::string bytes(BIO_ctrl_pending(out), '\0');
    if (!bytes.empty()) {
        BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
    }
    return bytes;
}

bool TlsEngine::resumed() const {
    return SSL_session_reused(ssl_.get()) == 1;
}

std::string TlsEngine::server_name() const {
    const char* name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? std::string() : std::string(name);
}

std::string TlsEngine::version() const {
    return SSL_get_version(ssl_.get());
}

std::string TlsEngine::alpn() const {
    const unsigned char* name = nullptr;
    unsigned int size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    if (name == nullptr) {
        return {};
    }
    return {reinterpret_cast<const char*>(name), static_cast<std::size_t>(size)};
}

void end_tls_of_thread() noexcept {
    const ForkHold use;
    OPENSSL_thread_stop();
}

}  // namespace llmproc::testing
