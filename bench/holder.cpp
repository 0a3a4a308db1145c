#include "holder.hpp"

#include <openssl/ssl.h>

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <unordered_map>

namespace llmproc::bench {

namespace {

struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL* ssl) const { SSL_free(ssl); }
};

class HoldingServer {
public:
    HoldingServer(const std::string& chain_file, const std::string& key_file, std::size_t calls)
        : wanted_(calls),
          context_(SSL_CTX_new(TLS_server_method())) {
        SSL_CTX_set_mode(context_.get(), SSL_MODE_RELEASE_BUFFERS);
        if (SSL_CTX_use_certificate_chain_file(context_.get(), chain_file.c_str()) != 1 ||
            SSL_CTX_use_PrivateKey_file(context_.get(), key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
            throw std::runtime_error("cannot use the server's certificate");
        }
        listen_on_loopback();
    }

    [[noreturn]] void run() {
        std::array<epoll_event, 256> events{};
        for (;;) {
            const int count = epoll_wait(epoll_, events.data(), events.size(), -1);
            for (int i = 0; i < count; ++i) {
                const int descriptor = events[static_cast<std::size_t>(i)].data.fd;
                if (descriptor == listener_) {
                    accept_all();
                } else {
                    advance(descriptor);
                }
            }
        }
    }

private:
    struct Held {
        std::unique_ptr<SSL, Free> ssl;
        std::string request;
        bool complete = false;
    };

    void watch(int descriptor) const {
        epoll_event event{};
        event.events = EPOLLIN;
        event.data.fd = descriptor;
        epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
    }

    void listen_on_loopback() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        void* const generic = &address;
        if (bind(listener_, static_cast<sockaddr*>(generic), size) != 0 ||
            listen(listener_, 16'384) != 0 ||
            getsockname(listener_, static_cast<sockaddr*>(generic), &size) != 0) {
            throw std::runtime_error("cannot listen on loopback");
        }
        watch(listener_);
        std::cout << ntohs(address.sin_port) << std::endl;
    }

    void accept_all() {
        for (;;) {
            const int descriptor =
                accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
            if (descriptor < 0) {
                return;
            }
            Held& held = held_[descriptor];
            held.ssl.reset(SSL_new(context_.get()));
            SSL_set_fd(held.ssl.get(), descriptor);
            SSL_set_accept_state(held.ssl.get());
            watch(descriptor);
        }
    }

    void advance(int descriptor) {
        Held& held = held_[descriptor];
        std::array<char, 4096> buffer{};
        int bytes = 0;
        while ((bytes = SSL_read(held.ssl.get(), buffer.data(), buffer.size())) > 0) {
            held.request.append(buffer.data(), static_cast<std::size_t>(bytes));
        }
        if (SSL_get_error(held.ssl.get(), bytes) != SSL_ERROR_WANT_READ) {
            throw std::runtime_error("a client has left");
        }
        // All of these requests end with the brace of their JSON body.
        if (!held.complete && held.request.find("\r\n\r\n{") != std::string::npos &&
            held.request.ends_with('}')) {
            held.complete = true;
            if (++complete_ == wanted_) {
                std::cout << "full" << std::endl;
            }
        }
    }

    std::size_t wanted_;
    std::size_t complete_ = 0;
    std::unique_ptr<SSL_CTX, Free> context_;
    int epoll_ = epoll_create1(EPOLL_CLOEXEC);
    int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    std::unordered_map<int, Held> held_;
};

}  // namespace

void hold_calls(const std::string& chain_file, const std::string& key_file, std::size_t calls) {
    HoldingServer(chain_file, key_file, calls).run();
}

}  // namespace llmproc::bench
