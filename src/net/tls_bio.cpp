#include "net/tls_bio.hpp"

#include <llmproc/error.hpp>
#include "net/tls_errors.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstddef>

namespace llmproc::net {

namespace {

bool would_block(int error) {
    return error == EAGAIN || error == EWOULDBLOCK;
}

long control(BIO* bio, int command, long /*number*/, void* /*pointer*/) {
    switch (command) {
        case BIO_CTRL_FLUSH: return 1;
        case BIO_CTRL_EOF: return static_cast<WireEnd*>(BIO_get_data(bio))->ended ? 1 : 0;
        default: return 0;
    }
}

using ReadFunction = int (*)(BIO*, char*, int);
using WriteFunction = int (*)(BIO*, const char*, int);

const BIO_METHOD* make_method(const char* name, ReadFunction read, WriteFunction write) {
    BIO_METHOD* const made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, name);
    if (made == nullptr) {
        throw LLMError(Errc::internal, "OpenSSL: cannot make a BIO: " + take_ssl_error());
    }
    BIO_meth_set_read(made, read);
    BIO_meth_set_write(made, write);
    BIO_meth_set_ctrl(made, &control);
    return made;
}

BIO* make_bio(const BIO_METHOD* method, WireEnd& end) {
    BIO* const bio = BIO_new(method);
    if (bio == nullptr) {
        throw LLMError(Errc::internal, "OpenSSL: cannot make a BIO: " + take_ssl_error());
    }
    BIO_set_data(bio, &end);
    BIO_set_init(bio, 1);
    return bio;
}

int read_wire(BIO* bio, char* data, int size) {
    WireEnd& end = *static_cast<WireEnd*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    ssize_t count = 0;
    do {
        count = ::recv(end.descriptor, data, static_cast<std::size_t>(size), 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        if (would_block(errno)) {
            BIO_set_retry_read(bio);
        } else {
            end.error = errno;
        }
    }
    end.ended = end.ended || (count == 0 && size > 0);
    return static_cast<int>(count);
}

/// OpenSSL's own socket BIO uses write(2), which raises SIGPIPE.
int write_wire(BIO* bio, const char* data, int size) {
    WireEnd& end = *static_cast<WireEnd*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    ssize_t count = 0;
    do {
        count = ::send(end.descriptor, data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        if (would_block(errno)) {
            BIO_set_retry_write(bio);
        } else {
            end.error = errno;
        }
    }
    return static_cast<int>(count);
}

/// What the outer TLS waits for is what the inner one must wait for, whatever it wants itself.
int tunnel_result(BIO* bio, WireEnd& end, int result, std::size_t count) {
    if (result > 0) {
        return static_cast<int>(count);
    }
    switch (SSL_get_error(end.below, result)) {
        case SSL_ERROR_WANT_READ: BIO_set_retry_read(bio); return -1;
        case SSL_ERROR_WANT_WRITE: BIO_set_retry_write(bio); return -1;
        case SSL_ERROR_ZERO_RETURN: end.ended = true; return 0;
        default: end.below_secured = false; return -1;
    }
}

int read_tunnel(BIO* bio, char* data, int size) {
    WireEnd& end = *static_cast<WireEnd*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    std::size_t count = 0;
    const int result = SSL_read_ex(end.below, data, static_cast<std::size_t>(size), &count);
    return tunnel_result(bio, end, result, count);
}

int write_tunnel(BIO* bio, const char* data, int size) {
    WireEnd& end = *static_cast<WireEnd*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    std::size_t count = 0;
    const int result = SSL_write_ex(end.below, data, static_cast<std::size_t>(size), &count);
    return tunnel_result(bio, end, result, count);
}

}  // namespace

BIO* make_wire_bio(WireEnd& end) {
    static const BIO_METHOD* const method = make_method("llmproc", &read_wire, &write_wire);
    return make_bio(method, end);
}

BIO* make_tunnel_bio(WireEnd& end) {
    static const BIO_METHOD* const method =
        make_method("llmproc tunnel", &read_tunnel, &write_tunnel);
    return make_bio(method, end);
}

}  // namespace llmproc::net
