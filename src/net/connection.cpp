#include "net/connection.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;
using asio::ip::tcp;

/// OpenSSL's own socket BIO uses write(2), which raises SIGPIPE.
struct Connection::WireBio {
    static BIO* make(Wire& wire) {
        BIO* const bio = BIO_new(method());
        if (bio == nullptr) {
            throw LLMError(Errc::internal, "OpenSSL: cannot make a BIO: " + take_ssl_error());
        }
        BIO_set_data(bio, &wire);
        BIO_set_init(bio, 1);
        return bio;
    }

private:
    static const BIO_METHOD* method() {
        static const BIO_METHOD* const instance = make_method();
        return instance;
    }

    static const BIO_METHOD* make_method() {
        BIO_METHOD* const made =
            BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "llmproc");
        if (made == nullptr) {
            throw LLMError(Errc::internal, "OpenSSL: cannot make a BIO: " + take_ssl_error());
        }
        BIO_meth_set_read(made, &WireBio::read);
        BIO_meth_set_write(made, &WireBio::write);
        BIO_meth_set_ctrl(made, &WireBio::control);
        return made;
    }

    static bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

    static int read(BIO* bio, char* data, int size) {
        Wire& wire = *static_cast<Wire*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        ssize_t count = 0;
        do {
            count = ::recv(wire.descriptor, data, static_cast<std::size_t>(size), 0);
        } while (count < 0 && errno == EINTR);
        if (count < 0) {
            if (would_block(errno)) {
                BIO_set_retry_read(bio);
            } else {
                wire.error = errno;
            }
        }
        wire.ended = wire.ended || (count == 0 && size > 0);
        return static_cast<int>(count);
    }

    static int write(BIO* bio, const char* data, int size) {
        Wire& wire = *static_cast<Wire*>(BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        ssize_t count = 0;
        do {
            count = ::send(wire.descriptor, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
        } while (count < 0 && errno == EINTR);
        if (count < 0) {
            if (would_block(errno)) {
                BIO_set_retry_write(bio);
            } else {
                wire.error = errno;
            }
        }
        return static_cast<int>(count);
    }

    static long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
        switch (command) {
            case BIO_CTRL_FLUSH: return 1;
            case BIO_CTRL_EOF: return static_cast<Wire*>(BIO_get_data(bio))->ended ? 1 : 0;
            default: return 0;
        }
    }
};

Connection::~Connection() {
    close();
}

Step Connection::fail(int error_number) {
    error_ = boost::system::error_code(error_number, boost::system::system_category());
    failure_ = error_.message();
    return Step{StepState::failed, 0};
}

Step Connection::start_connect(const asio::any_io_executor& executor, const tcp::endpoint& peer) {
    socket_.reset();
    const tcp protocol = peer.protocol();
    const int descriptor = ::socket(
        protocol.family(),
        SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
        protocol.protocol()
    );
    if (descriptor < 0) {
        return fail(errno);
    }
    const int on = 1;
    // Best effort: without it requests are only slower.
    (void)::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    socket_.emplace(executor);
    boost::system::error_code error;
    socket_->assign(protocol, descriptor, error);
    if (error) {
        ::close(descriptor);
        socket_.reset();
        error_ = error;
        failure_ = error.message();
        return Step{StepState::failed, 0};
    }
    wire_ = Wire{descriptor, 0, false};
    if (::connect(descriptor, peer.data(), static_cast<socklen_t>(peer.size())) == 0) {
        return Step{};
    }
    return errno == EINPROGRESS || errno == EINTR ? Step{StepState::want_write, 0} : fail(errno);
}

Step Connection::finish_connect() {
    int error = 0;
    socklen_t size = sizeof error;
    if (::getsockopt(wire_.descriptor, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        return fail(errno);
    }
    if (error != 0) {
        return fail(error);
    }
    sockaddr_storage peer = {};
    size = sizeof peer;
    // A wake-up without a result is no connection yet.
    if (::getpeername(wire_.descriptor, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
        return errno == ENOTCONN ? Step{StepState::want_write, 0} : fail(errno);
    }
    return Step{};
}

void Connection::start_tls(const TlsContext& context, const std::string& host) {
    ssl_ = make_ssl(context, host);
    BIO* const bio = WireBio::make(wire_);
    SSL_set_bio(ssl_.get(), bio, bio);
}

Step Connection::ssl_step(int result, std::size_t bytes) {
    if (result > 0) {
        return Step{StepState::done, bytes};
    }
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ: return Step{StepState::want_read, 0};
        case SSL_ERROR_WANT_WRITE: return Step{StepState::want_write, 0};
        case SSL_ERROR_ZERO_RETURN: return Step{StepState::closed, 0};
        default: break;
    }
    secured_ = false;
    if (wire_.error != 0) {
        ERR_clear_error();
        return fail(std::exchange(wire_.error, 0));
    }
    if (wire_.ended) {
        ERR_clear_error();
        failure_ = "the server closed the connection without a TLS close_notify";
        return Step{StepState::cut, 0};
    }
    failure_ = "TLS: " + take_ssl_error();
    error_ = boost::system::errc::make_error_code(boost::system::errc::protocol_error);
    return Step{StepState::failed, 0};
}

Step Connection::handshake_step() {
    ERR_clear_error();
    const Step step = ssl_step(SSL_do_handshake(ssl_.get()), 0);
    secured_ = step.state == StepState::done;
    return step;
}

Errc Connection::handshake_error(StepState state, std::string& text) const {
    const long verified = SSL_get_verify_result(ssl_.get());
    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        text = "the server's certificate is not for this host; check the host name in "
               "model.base_url";
        return Errc::certificate_host;
    }
    if (verified != X509_V_OK) {
        text = std::string("the server's certificate is not trusted: ") +
               X509_verify_cert_error_string(verified) +
               "; if you trust its issuer, name the issuer's PEM file in connection.ca_file";
        return Errc::certificate_invalid;
    }
    if (state == StepState::failed) {
        text = "the TLS handshake failed: " + failure_;
    } else {
        text = "the server closed the connection during the TLS handshake";
    }
    text += "; check that it serves https (TLS 1.2 or newer) on this port";
    return Errc::tls_handshake_failed;
}

void Connection::mark_ready() {
    ready_ = true;
    note_read_wait();
}

void Connection::note_read_wait() {
    if (!write_waited_) {
        return;
    }
    // Once waited for, Asio keeps asking for writability: every later wait for reading would wake
    // up twice. Only a new registration forgets it.
    boost::system::error_code error;
    const tcp protocol = socket_->local_endpoint(error).protocol();
    const int descriptor = socket_->release(error);
    if (error || descriptor < 0) {
        return;
    }
    write_waited_ = false;
    socket_->assign(protocol, descriptor, error);
    if (error) {
        ::close(descriptor);
        wire_.descriptor = -1;
    }
}

Step Connection::try_read(std::span<char> buffer) {
    if (ssl_) {
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &count);
        return ssl_step(result, count);
    }
    ssize_t count = 0;
    do {
        count = ::recv(wire_.descriptor, buffer.data(), buffer.size(), 0);
    } while (count < 0 && errno == EINTR);
    if (count > 0) {
        return Step{StepState::done, static_cast<std::size_t>(count)};
    }
    if (count == 0) {
        return Step{StepState::closed, 0};
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? Step{StepState::want_read, 0} : fail(errno);
}

Step Connection::try_write(std::string_view bytes) {
    if (ssl_) {
        ERR_clear_error();
        std::size_t count = 0;
        const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count);
        return ssl_step(result, count);
    }
    ssize_t count = 0;
    do {
        count = ::send(wire_.descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    if (count >= 0) {
        return Step{StepState::done, static_cast<std::size_t>(count)};
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? Step{StepState::want_write, 0} : fail(errno);
}

bool Connection::looks_alive() {
    if (!socket_) {
        return false;
    }
    char byte = 0;
    if (!ssl_ || SSL_has_pending(ssl_.get()) == 0) {
        ssize_t count = 0;
        do {
            count = ::recv(wire_.descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        } while (count < 0 && errno == EINTR);
        if (count < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK;
        }
        if (!ssl_ || count == 0) {
            return false;
        }
    }
    // A late session ticket is harmless; a close_notify or an answer to nothing is not.
    return try_read(std::span<char>(&byte, 1)).state == StepState::want_read;
}

void Connection::close() noexcept {
    ready_ = false;
    if (ssl_ && secured_ && socket_) {
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }
    secured_ = false;
    ssl_.reset();
    socket_.reset();
    wire_.descriptor = -1;
}

}  // namespace llmproc::net
