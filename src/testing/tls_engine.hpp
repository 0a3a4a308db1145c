#pragma once

#include <llmproc/testing/scripted_server.hpp>

#include <memory>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_st;

namespace llmproc::testing {

/// The server's TLS settings, shared by its connections.
class TlsContext {
public:
    /// Throws std::runtime_error for a certificate that OpenSSL does not take.
    TlsContext(const ServerOptions& options, const Certificate& certificate);

    ssl_ctx_st* native() const { return context_.get(); }

private:
    std::shared_ptr<ssl_ctx_st> context_;
};

/// One TLS connection without a socket: ciphertext in and out as strings.
/// A socket-free engine lets the connection send a close_notify, or leave it out, while it reads.
class TlsEngine {
public:
    explicit TlsEngine(const TlsContext& context);

    enum class Result {
        ok,      ///< took everything; more may follow
        closed,  ///< the peer said close_notify
        failed,
    };

    /// Takes ciphertext; appends what it decrypts to `plain`.
    Result feed(std::string_view cipher, std::string& plain);
    /// Encrypts; the bytes to send are in take_output().
    bool write(std::string_view plain);
    void close_notify();
    /// Ciphertext that waits to be sent; also after feed(), even if that failed (an alert).
    std::string take_output();

    bool established() const { return established_; }
    bool resumed() const;
    std::string server_name() const;
    std::string version() const;
    std::string alpn() const;

private:
    Result handshake();

    std::shared_ptr<ssl_st> ssl_;
    bool established_ = false;
};

/// To be called at the end of a thread that has used the above.
void end_tls_of_thread() noexcept;

}  // namespace llmproc::testing
