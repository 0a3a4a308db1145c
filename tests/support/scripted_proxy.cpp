#include "support/scripted_proxy.hpp"

#include "core/base64.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <exception>
#include <mutex>
#include <thread>

namespace llmproc::testing {

namespace asio = boost::asio;
using asio::ip::tcp;
using TlsStream = asio::ssl::stream<tcp::socket>;

namespace {

constexpr std::size_t max_head = 64UL * 1024;

void ignore(std::exception_ptr /*error*/) {}

tcp::socket& socket_of(tcp::socket& socket) {
    return socket;
}

tcp::socket& socket_of(TlsStream& stream) {
    return stream.next_layer();
}

/// A client, and the target behind it.
template <class Stream>
struct Link {
    explicit Link(Stream accepted) : client(std::move(accepted)), target(client.get_executor()) {}
    void close() {
        boost::system::error_code ignored;
        socket_of(client).close(ignored);
        target.close(ignored);
    }
    Stream client;
    tcp::socket target;
};

template <class Held, class From, class To>
asio::awaitable<void> pump(std::shared_ptr<Held> link, From& from, To& to) {
    std::array<char, 16384> buffer{};
    for (;;) {
        const auto [read_error, count] = co_await from.async_read_some(
            asio::buffer(buffer),
            asio::as_tuple(asio::use_awaitable)
        );
        if (read_error) {
            break;
        }
        const auto [write_error, written] = co_await asio::async_write(
            to,
            asio::buffer(buffer.data(), count),
            asio::as_tuple(asio::use_awaitable)
        );
        if (write_error || written != count) {
            break;
        }
    }
    link->close();
}

/// The head as an origin would get it.
std::string for_origin(const std::string& head) {
    std::string result;
    std::size_t begin = 0;
    while (begin < head.size()) {
        const std::size_t end = head.find("\r\n", begin) + 2;
        std::string line = head.substr(begin, end - begin);
        if (begin == 0) {
            const std::size_t scheme = line.find("://");
            const std::size_t path = line.find('/', scheme + 3);
            line.erase(line.find(' ') + 1, path - line.find(' ') - 1);
        }
        if (!line.starts_with("Proxy-")) {
            result += line;
        }
        begin = end;
    }
    return result;
}

}  // namespace

struct ScriptedProxy::Impl {
    explicit Impl(ProxyOptions given)
        : options(std::move(given)),
          acceptor(io, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
          port(acceptor.local_endpoint().port()) {
        if (options.certificate_) {
            tls.use_certificate_chain(asio::buffer(options.certificate_->chain_pem));
            tls.use_private_key(
                asio::buffer(options.certificate_->key_pem),
                asio::ssl::context::pem
            );
        }
        asio::co_spawn(io, accept(), &ignore);
        thread = std::thread([this] { io.run(); });
    }

    asio::awaitable<void> accept() {
        for (;;) {
            tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
            {
                const std::lock_guard lock(mutex);
                ++connections;
            }
            if (options.certificate_) {
                asio::co_spawn(io, serve_tls(std::move(socket)), &ignore);
            } else {
                auto link = std::make_shared<Link<tcp::socket>>(std::move(socket));
                asio::co_spawn(io, serve(std::move(link)), &ignore);
            }
        }
    }

    asio::awaitable<void> serve_tls(tcp::socket socket) {
        auto link = std::make_shared<Link<TlsStream>>(TlsStream(std::move(socket), tls));
        co_await link->client.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
        co_await serve(std::move(link));
    }

    template <class Stream>
    asio::awaitable<void> serve(std::shared_ptr<Link<Stream>> link) {
        std::string input;
        const std::size_t size = co_await asio::async_read_until(
            link->client,
            asio::dynamic_buffer(input, max_head),
            "\r\n\r\n",
            asio::use_awaitable
        );
        const std::string head = input.substr(0, size);
        note(head);
        if (options.hang_) {
            std::array<char, 1> byte{};
            co_await link->client.async_read_some(asio::buffer(byte), asio::use_awaitable);
            co_return;
        }
        const bool tunnel = head.starts_with("CONNECT ");
        const std::string refusal = refuse(head);
        if (!refusal.empty() || options.answer_) {
            co_await asio::async_write(link->client, asio::buffer(refusal), asio::use_awaitable);
            // Closing with unread input would reset the connection and lose the answer.
            boost::system::error_code ignored;
            socket_of(link->client).shutdown(tcp::socket::shutdown_send, ignored);
            std::array<char, 1> byte{};
            co_await link->client.async_read_some(asio::buffer(byte), asio::use_awaitable);
            co_return;
        }
        const tcp::endpoint place(asio::ip::address_v4::loopback(), options.target_port_);
        co_await link->target.async_connect(place, asio::use_awaitable);
        if (tunnel) {
            co_await asio::async_write(
                link->client,
                asio::buffer(options.established_),
                asio::use_awaitable
            );
        } else {
            const std::string forwarded = for_origin(head) + input.substr(size);
            co_await asio::async_write(link->target, asio::buffer(forwarded), asio::use_awaitable);
        }
        asio::co_spawn(io, pump(link, link->client, link->target), &ignore);
        co_await pump(link, link->target, link->client);
    }

    void note(const std::string& head) {
        {
            const std::lock_guard lock(mutex);
            heads.push_back(head);
        }
        if (options.on_head_) {
            options.on_head_(head);
        }
    }

    /// Empty: the request is granted.
    std::string refuse(const std::string& head) const {
        if (options.answer_) {
            return *options.answer_;
        }
        const std::string field = "\r\nProxy-Authorization: Basic " +
                                  base64_encode(options.credentials_) + "\r\n";
        if (options.credentials_.empty() || head.find(field) != std::string::npos) {
            return "";
        }
        return "HTTP/1.1 407 Proxy Authentication Required\r\n"
               "Proxy-Authenticate: Basic realm=\"test\"\r\nContent-Length: 13\r\n\r\nlog in first\n";
    }

    const ProxyOptions options;
    asio::io_context io;
    asio::ssl::context tls{asio::ssl::context::tls_server};
    tcp::acceptor acceptor;
    const std::uint16_t port;
    mutable std::mutex mutex;
    std::vector<std::string> heads;
    std::size_t connections = 0;
    std::thread thread;
};

ScriptedProxy::ScriptedProxy(ProxyOptions options)
    : impl_(std::make_unique<Impl>(std::move(options))) {}

ScriptedProxy::~ScriptedProxy() {
    impl_->io.stop();
    impl_->thread.join();
}

std::uint16_t ScriptedProxy::port() const {
    return impl_->port;
}

std::string ScriptedProxy::host_port() const {
    return "127.0.0.1:" + std::to_string(port());
}

std::string ScriptedProxy::url(const std::string& userinfo) const {
    const std::string scheme = impl_->options.certificate_ ? "https://" : "http://";
    return scheme + (userinfo.empty() ? "" : userinfo + "@") + host_port();
}

std::vector<std::string> ScriptedProxy::heads() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->heads;
}

std::size_t ScriptedProxy::connections() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->connections;
}

}  // namespace llmproc::testing
