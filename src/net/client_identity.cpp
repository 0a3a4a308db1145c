#include "net/client_identity.hpp"

#include <llmproc/error.hpp>
#include "net/pem_file.hpp"
#include "net/tls_errors.hpp"
#include "net/tls_files.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <cstddef>
#include <cstring>
#include <exception>
#include <functional>
#include <string>
#include <utility>

namespace llmproc::net {

namespace {

/// Gives OpenSSL the passphrase of a key file. Without a callback of its own OpenSSL would ask on
/// the terminal.
class Passphrase {
public:
    explicit Passphrase(const std::function<std::string()>* ask) : ask_(ask) {}
    Passphrase(const Passphrase&) = delete;
    Passphrase& operator=(const Passphrase&) = delete;
    ~Passphrase() { OPENSSL_cleanse(answer_.data(), answer_.size()); }

    static int give(char* buffer, int size, int /*writing*/, void* self) noexcept {
        return static_cast<Passphrase*>(self)->fill(buffer, size);
    }
    /// The key is encrypted.
    bool wanted() const noexcept { return wanted_; }
    bool can_ask() const noexcept { return ask_ != nullptr && *ask_; }
    void rethrow() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

private:
    int fill(char* buffer, int size) noexcept {
        try {
            // OpenSSL may try several readers on one file, each with a question.
            if (!std::exchange(wanted_, true) && can_ask()) {
                const ForkHoldPause user;
                answer_ = (*ask_)();
                answered_ = true;
            }
        } catch (...) {
            failure_ = std::current_exception();
        }
        if (!answered_ || answer_.size() > static_cast<std::size_t>(size)) {
            return -1;
        }
        std::memcpy(buffer, answer_.data(), answer_.size());
        return static_cast<int>(answer_.size());
    }

    const std::function<std::string()>* ask_;
    std::string answer_;
    std::exception_ptr failure_;
    bool wanted_ = false;
    bool answered_ = false;
};

bool at_end_of_pem() {
    const unsigned long code = ERR_peek_last_error();
    return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/// The next certificate, or null at the end of the file.
X509* next_certificate(BIO* file, const std::string& path) {
    Passphrase nobody(nullptr);
    X509* const certificate = PEM_read_bio_X509(file, nullptr, &Passphrase::give, &nobody);
    if (certificate == nullptr && !at_end_of_pem()) {
        fail_tls_file("client_cert", "client certificate", path, take_ssl_error() + name_cert);
    }
    ERR_clear_error();
    return certificate;
}

void read_chain(ClientIdentity& identity, const PemFile& file) {
    const auto bio = file.open();
    const std::string& path = file.path();
    identity.leaf.reset(next_certificate(bio.get(), path));
    if (!identity.leaf) {
        const std::string problem = "no certificate in it";
        fail_tls_file("client_cert", "client certificate", path, problem + name_cert);
    }
    identity.chain.reset(sk_X509_new_null());
    while (X509* const next = next_certificate(bio.get(), path)) {
        if (sk_X509_push(identity.chain.get(), next) == 0) {
            X509_free(next);
            throw LLMError(Errc::internal, "OpenSSL: cannot keep a certificate");
        }
    }
}

void read_key(
    ClientIdentity& identity,
    const PemFile& file,
    const std::function<std::string()>* ask
) {
    const auto fail = [&file](const std::string& problem) {
        fail_tls_file("client_key", "client key", file.path(), problem);
    };
    const auto bio = file.open();
    Passphrase passphrase(ask);
    identity.key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, &Passphrase::give, &passphrase));
    if (identity.key) {
        ERR_clear_error();
        return;
    }
    const std::string reason = take_ssl_error();
    passphrase.rethrow();
    if (passphrase.wanted() && !passphrase.can_ask()) {
        fail("it is encrypted and there is no passphrase; set "
             "connection.client_key_passphrase_env, or name an unencrypted key");
    }
    if (passphrase.wanted()) {
        fail("the passphrase does not fit or the file is damaged; check the variable that "
             "connection.client_key_passphrase_env names");
    }
    fail("no private key in it that can be read (" + reason + ")" + name_key);
}

}  // namespace

ClientIdentity read_identity(const TlsSettings& settings) {
    ClientIdentity identity;
    if (settings.client_cert.empty()) {
        return identity;
    }
    const std::string& key_path = settings.client_key.empty() ? settings.client_cert
                                                              : settings.client_key;
    const PemFile
        certificates("client_cert", "client certificate", settings.client_cert, name_cert);
    const PemFile secret("client_key", "client key", key_path, name_key);
    const OpensslUse use;
    ERR_clear_error();
    read_chain(identity, certificates);
    read_key(identity, secret, settings.key_passphrase.get());
    if (X509_check_private_key(identity.leaf.get(), identity.key.get()) != 1) {
        const std::string reason = take_ssl_error();
        fail_tls_file(
            "client_key",
            "client key",
            key_path,
            "it does not belong to the first certificate of \"" + settings.client_cert + "\" (" +
                reason + "); name the key of that certificate"
        );
    }
    return identity;
}

}  // namespace llmproc::net
