/// @file
/// Our side of a TLS connection and a scripted server's, in memory.
#pragma once

#include "net/tls_context.hpp"
#include "net/tls_errors.hpp"
#include "net/tls_resumption.hpp"
#include "testing/tls_engine.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>

#include <array>
#include <string>

namespace llmproc::testing {

class TlsPair {
public:
    TlsPair(
        const net::TlsContext& context,
        const TlsContext& server,
        const std::string& host = "localhost",
        const std::string& resume_key = ""
    )
        : client_(net::make_ssl(context, host, resume_key)),
          server_(server) {
        SSL_set_bio(client_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    }

    /// True if both sides are content; also brings the client what the server says after the
    /// handshake: tickets, or a late alert.
    bool shake() {
        for (int round = 0; round < 10 && !SSL_is_init_finished(client_.get()); ++round) {
            ERR_clear_error();
            const int result = SSL_do_handshake(client_.get());
            if (result != 1 && SSL_get_error(client_.get(), result) != SSL_ERROR_WANT_READ) {
                note_failure();
                to_server();
                return false;
            }
            to_server();
            to_client();
        }
        return SSL_is_init_finished(client_.get()) != 0 && net::finish_resumption(client_.get()) &&
               read_late();
    }
    SSL* client() { return client_.get(); }
    const TlsEngine& server() const { return server_; }
    bool resumed() const { return SSL_session_reused(client_.get()) != 0; }
    long verified() const { return SSL_get_verify_result(client_.get()); }
    const net::TlsFailure& failure() const { return failure_; }

private:
    void note_failure() {
        failure_ = net::take_tls_failure(net::certificate_missed(client_.get()));
    }
    void to_server() {
        BIO* const out = SSL_get_wbio(client_.get());
        std::string bytes(BIO_ctrl_pending(out), '\0');
        if (!bytes.empty()) {
            BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
            std::string plain;
            server_.feed(bytes, plain);
        }
    }
    void to_client() {
        const std::string bytes = server_.take_output();
        if (!bytes.empty()) {
            BIO_write(SSL_get_rbio(client_.get()), bytes.data(), static_cast<int>(bytes.size()));
        }
    }
    bool read_late() {
        to_client();
        ERR_clear_error();
        std::array<char, 16> buffer{};
        const int result = SSL_read(client_.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (SSL_get_error(client_.get(), result) == SSL_ERROR_WANT_READ) {
            return server_.established();
        }
        note_failure();
        return false;
    }

    net::SslPtr client_;
    TlsEngine server_;
    net::TlsFailure failure_;
};

}  // namespace llmproc::testing
