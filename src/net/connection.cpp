#include "net/connection.hpp"

#include "net/tls_errors.hpp"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <limits>
#include <utility>

namespace llmproc::net {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr const char* missed_hint =
    " (it had asked for a client certificate; if it requires one, set connection.client_cert)";

}  // namespace

Connection::~Connection() {
    close();
}

Step Connection::fail(int error_number) {
    error_ = boost::system::error_code(error_number, boost::system::system_category());
    failure_ = error_.message();
    return Step{StepState::failed, 0};
}

void Connection::adopt(tcp::socket connected) {
    socket_.emplace(std::move(connected));
    generation_ = fork_generation();
    wire_ = WireEnd{socket_->native_handle(), 0, false};
    write_waited_ = true;
}

void Connection::start_tls(
    const TlsContext& context,
    const std::string& host,
    const std::string& resume_key
) {
    const OpensslUse use;
    if (ssl_) {
        outer_ = std::move(ssl_);
        wire_.below = outer_.get();
        wire_.below_secured = std::exchange(secured_, false);
    }
    ssl_ = make_ssl(context, host, resume_key);
    const bool inside = outer_ != nullptr;
    BIO* const bio = inside ? make_tunnel_bio(wire_) : make_wire_bio(wire_);
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
    const bool missed = certificate_missed(ssl_.get());
    if (wire_.error != 0 || wire_.ended) {
        ERR_clear_error();
        Step step{StepState::cut, 0};
        if (wire_.error != 0) {
            step = fail(std::exchange(wire_.error, 0));
        } else {
            failure_ = "the server closed the connection without a TLS close_notify";
        }
        if (missed) {
            failure_ += missed_hint;
        }
        return step;
    }
    TlsFailure reason = take_tls_failure(missed);
    failure_ = std::move(reason.text);
    refused_ = reason.refused;
    error_ = boost::system::errc::make_error_code(boost::system::errc::protocol_error);
    return Step{StepState::failed, 0};
}

Step Connection::handshake_step() {
    const OpensslUse use;
    ERR_clear_error();
    const Step step = ssl_step(SSL_do_handshake(ssl_.get()), 0);
    secured_ = step.state == StepState::done && finish_resumption(ssl_.get());
    return step.state == StepState::done && !secured_ ? Step{StepState::failed, 0} : step;
}

Errc Connection::handshake_error(StepState state, std::string& text) const {
    const long verified = SSL_get_verify_result(ssl_.get());
    if (verified != X509_V_OK) {
        return certificate_error(verified, text);
    }
    if (state == StepState::failed) {
        text = "the TLS handshake failed: " + failure_;
    } else {
        text = "the server closed the connection during the TLS handshake";
        text += certificate_missed(ssl_.get()) ? missed_hint : "";
    }
    if (!refused_) {
        text += "; check that it serves https (TLS 1.2 or newer) on this port";
    }
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
        const OpensslUse use;
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
        const OpensslUse use;
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

bool Connection::has_buffered_input() const {
    return (ssl_ && SSL_has_pending(ssl_.get()) != 0) ||
           (outer_ && SSL_has_pending(outer_.get()) != 0);
}

bool Connection::looks_alive() {
    if (!socket_) {
        return false;
    }
    char byte = 0;
    if (!has_buffered_input()) {
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

void Connection::leave_to_parent() noexcept {
    // A close_notify would end the parent's TLS; Asio's close would take the socket out of the
    // epoll set, which both processes share.
    KeptForParent::keep(std::move(ssl_));
    KeptForParent::keep(std::move(outer_));
    if (socket_) {
        const int descriptor = socket_->native_handle();
        KeptForParent::keep(std::move(*socket_));
        ::close(descriptor);
    }
}

void Connection::close() noexcept {
    ready_ = false;
    if (inherited(generation_)) {
        leave_to_parent();
        secured_ = false;
    }
    secured_ = secured_ && !openssl_has_ended();
    wire_.below_secured = wire_.below_secured && !openssl_has_ended();
    if (ssl_ && secured_ && socket_) {
        const OpensslUse use;
        ERR_clear_error();
        SSL_shutdown(ssl_.get());
        ERR_clear_error();
    }
    secured_ = false;
    ssl_.reset();
    if (outer_ && wire_.below_secured && socket_) {
        const OpensslUse use;
        SSL_shutdown(outer_.get());
        ERR_clear_error();
    }
    outer_.reset();
    socket_.reset();
    wire_ = WireEnd();
}

}  // namespace llmproc::net
