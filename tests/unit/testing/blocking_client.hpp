#pragma once

#include <llmproc/testing/scripted_server.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <openssl/ssl.h>

#include <array>
#include <optional>
#include <string>

namespace llmproc::testing {

/// What a test's client trusts and offers.
class ClientTls {
public:
    ClientTls() = default;

    ClientTls& ca_pem(std::string pem) {
        ca_pem_ = std::move(pem);
        return *this;
    }
    ClientTls& host(std::string name) {
        host_ = std::move(name);
        return *this;
    }
    ClientTls& certificate(Certificate own) {
        own_ = std::move(own);
        return *this;
    }
    ClientTls& max_version(int version) {
        max_version_ = version;
        return *this;
    }

    std::string ca_pem_;
    std::string host_ = "localhost";
    std::optional<Certificate> own_;
    int max_version_ = TLS1_3_VERSION;
};

/// A plain client that blocks; none of the library's code.
class BlockingClient {
public:
    using Response = boost::beast::http::response<boost::beast::http::string_body>;
    using Tcp = boost::asio::ip::tcp;

    explicit BlockingClient(const ScriptedServer& server)
        : BlockingClient(server, ClientTls().ca_pem(server.ca_pem())) {}

    BlockingClient(const ScriptedServer& server, const ClientTls& tls) {
        socket_.connect(
            Tcp::endpoint(boost::asio::ip::address_v4::loopback(), server.port()),
            error
        );
        if (!error && server.url().starts_with("https")) {
            handshake(tls);
        }
    }

    void send(const std::string& bytes) {
        if (stream_) {
            boost::asio::write(*stream_, boost::asio::buffer(bytes), error);
        } else {
            boost::asio::write(socket_, boost::asio::buffer(bytes), error);
        }
    }

    void send_get(const std::string& target) {
        send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }

    void send_post(const std::string& target, const std::string& body) {
        send(
            "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n" + body
        );
    }

    /// The result is what arrived, whole or not; `error` says which.
    Response read() {
        boost::beast::http::response_parser<boost::beast::http::string_body> parser;
        if (stream_) {
            boost::beast::http::read(*stream_, buffer_, parser, error);
        } else {
            boost::beast::http::read(socket_, buffer_, parser, error);
        }
        return parser.release();
    }

    Response get(const std::string& target) {
        send_get(target);
        return read();
    }

    /// Everything until the connection ends; `error` says how it ended.
    std::string read_to_end() {
        std::string all;
        std::array<char, 4096> piece{};
        for (error.clear(); !error;) {
            const auto to = boost::asio::buffer(piece);
            const std::size_t size = stream_ ? stream_->read_some(to, error)
                                             : socket_.read_some(to, error);
            all.append(piece.data(), size);
        }
        return all;
    }

    void close() {
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

    boost::system::error_code error;

private:
    void handshake(const ClientTls& tls) {
        context_.set_verify_mode(boost::asio::ssl::verify_peer);
        if (!tls.ca_pem_.empty()) {
            context_.add_certificate_authority(boost::asio::buffer(tls.ca_pem_));
        }
        if (tls.own_) {
            context_.use_certificate_chain(boost::asio::buffer(tls.own_->chain_pem));
            context_.use_private_key(
                boost::asio::buffer(tls.own_->key_pem),
                boost::asio::ssl::context::pem
            );
        }
        SSL_CTX_set_max_proto_version(context_.native_handle(), tls.max_version_);
        stream_.emplace(socket_, context_);
        std::string name = tls.host_;
        // what SSL_set_tlsext_host_name does, whose macro has an old-style cast
        SSL_ctrl(
            stream_->native_handle(),
            SSL_CTRL_SET_TLSEXT_HOSTNAME,
            TLSEXT_NAMETYPE_host_name,
            name.data()
        );
        stream_->set_verify_callback(boost::asio::ssl::host_name_verification(tls.host_));
        stream_->handshake(boost::asio::ssl::stream_base::client, error);
    }

    boost::asio::io_context io_;
    Tcp::socket socket_{io_};
    boost::asio::ssl::context context_{boost::asio::ssl::context::tls_client};
    std::optional<boost::asio::ssl::stream<Tcp::socket&>> stream_;
    boost::beast::flat_buffer buffer_;
};

}  // namespace llmproc::testing
