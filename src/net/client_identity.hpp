/// @file
/// A client's certificate and key.
#pragma once

#include "net/net_settings.hpp"
#include "net/openssl_use.hpp"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

namespace llmproc::net {

/// Who we are to servers that ask; empty without `client_cert`.
struct ClientIdentity {
    struct Free {
        void operator()(X509* certificate) const noexcept {
            const OpensslUse use;
            X509_free(certificate);
        }
        void operator()(EVP_PKEY* secret) const noexcept {
            const OpensslUse use;
            EVP_PKEY_free(secret);
        }
        void operator()(STACK_OF(X509) * certificates) const noexcept {
            const OpensslUse use;
            sk_X509_pop_free(certificates, &X509_free);
        }
    };
    std::unique_ptr<X509, Free> leaf;
    std::unique_ptr<STACK_OF(X509), Free> chain;  ///< Without the leaf.
    std::unique_ptr<EVP_PKEY, Free> key;
};

/// Reads certificate and key. Asks for the passphrase of an encrypted key at most once and never
/// on the terminal.
/// Throws ConfigError (connection.client_cert, client_key); what the passphrase callback throws.
ClientIdentity read_identity(const TlsSettings& settings);

}  // namespace llmproc::net
