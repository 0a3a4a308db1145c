// The floor: one blocking OpenSSL connection, written by hand for exactly this exchange.
#include "client.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::runtime_error("openssl client: " + what + " failed");
}

std::string wire_text(const Load& load) {
    const HttpRequest request = chat_request();
    std::string text = request.method + " " + request.target +
                       " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(load.port) + "\r\n";
    for (const auto& [name, value] : request.headers) {
        text += name + ": " + value + "\r\n";
    }
    return text + "Content-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" +
           request.body;
}

struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Free>;
using SslPtr = std::unique_ptr<SSL, Free>;
using SessionPtr = std::unique_ptr<SSL_SESSION, Free>;

ContextPtr make_context(const Load& load) {
    ContextPtr context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
    if (SSL_CTX_load_verify_locations(context.get(), load.ca_file.c_str(), nullptr) != 1) {
        fail("loading the CA file");
    }
    return context;
}

int connect_socket(std::uint16_t port) {
    const int result = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int on = 1;
    setsockopt(result, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    void* const generic = &address;
    if (connect(result, static_cast<const sockaddr*>(generic), sizeof address) != 0) {
        close(result);
        fail("connecting");
    }
    return result;
}

/// One connection, and the exchange over it.
class Link {
public:
    Link(SSL_CTX* context, std::uint16_t port, SSL_SESSION* resume)
        : socket_(connect_socket(port)),
          ssl_(SSL_new(context)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), "127.0.0.1");
        SSL_set_fd(ssl_.get(), socket_);
        if (resume != nullptr) {
            SSL_set_session(ssl_.get(), resume);
        }
        if (SSL_connect(ssl_.get()) != 1) {
            fail("the TLS handshake");
        }
    }
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;
    ~Link() { close(socket_); }

    SSL* ssl() const { return ssl_.get(); }

    void call(const std::string& request) {
        if (SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size())) <= 0) {
            fail("writing");
        }
        answer_.clear();
        std::size_t body = std::string::npos;
        std::size_t length = 0;
        while (body == std::string::npos || answer_.size() < body + length) {
            const int bytes =
                SSL_read(ssl_.get(), buffer_.data(), static_cast<int>(buffer_.size()));
            if (bytes <= 0) {
                fail("reading");
            }
            answer_.append(buffer_.data(), static_cast<std::size_t>(bytes));
            if (body == std::string::npos) {
                body = find_body(length);
            }
        }
        check_reply(answer_.starts_with("HTTP/1.1 200 ") ? 200 : 0, answer_.size() - body);
    }

    std::size_t find_body(std::size_t& length) const {
        const std::size_t end = answer_.find("\r\n\r\n");
        if (end == std::string::npos) {
            return end;
        }
        constexpr std::string_view field = "Content-Length: ";
        const std::size_t at = answer_.find(field);
        if (at >= end) {
            fail("finding the length of the answer");
        }
        std::from_chars(answer_.data() + at + field.size(), answer_.data() + end, length);
        return end + 4;
    }

    int socket_;
    SslPtr ssl_;
    std::string answer_;
    std::array<char, 16UL * 1024> buffer_;
};

class OpensslClient final : public Client {
public:
    explicit OpensslClient(const Load& load)
        : request_(wire_text(load)),
          context_(make_context(load)),
          link_(context_.get(), load.port, nullptr) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        one_by_one(calls, latencies, [this] { link_.call(request_); });
    }

private:
    std::string request_;
    ContextPtr context_;
    Link link_;
};

/// A connection per call: what connecting costs at least.
class OpensslConnects final : public Client {
public:
    OpensslConnects(const Load& load, bool resume)
        : port_(load.port),
          resume_(resume),
          request_(wire_text(load)),
          context_(make_context(load)) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        one_by_one(calls, latencies, [this] { call(); });
    }

private:
    void call() {
        Link link(context_.get(), port_, session_.get());
        link.call(request_);
        if (session_ && SSL_session_reused(link.ssl()) != 1) {
            fail("resuming");
        }
        if (resume_) {
            session_.reset(SSL_get1_session(link.ssl()));
        }
        SSL_shutdown(link.ssl());
    }

    std::uint16_t port_;
    bool resume_;
    std::string request_;
    ContextPtr context_;
    SessionPtr session_;
};

}  // namespace

std::unique_ptr<Client> make_openssl(const Load& load) {
    return std::make_unique<OpensslClient>(load);
}

std::unique_ptr<Client> make_openssl_connect_full(const Load& load) {
    return std::make_unique<OpensslConnects>(load, false);
}

std::unique_ptr<Client> make_openssl_connect_resumed(const Load& load) {
    return std::make_unique<OpensslConnects>(load, true);
}

}  // namespace llmproc::bench
