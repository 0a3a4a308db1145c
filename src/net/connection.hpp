/// @file
/// One TCP connection, plain or TLS, in steps that never block and never wait.
#pragma once

#include <llmproc/error.hpp>
#include "net/tls_context.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace llmproc::net {

/// What one step came to.
enum class StepState {
    done,        ///< `bytes` were moved, or the handshake is complete.
    want_read,   ///< Wait until the socket is readable, then try again.
    want_write,  ///< Wait until the socket is writable, then try again.
    closed,      ///< The peer has ended its side in order.
    cut,         ///< End of input without TLS's close_notify.
    failed,      ///< See `Connection::failure`.
};

struct Step {
    StepState state = StepState::done;
    std::size_t bytes = 0;
};

/// A connection. TLS runs directly on the descriptor: Asio is only asked when it is ready, so a
/// cancelled wait leaves nothing behind and idle connections need no buffers.
///
/// Thread safety: one user at a time. `abandon` may be called when the io_context goes away.
class Connection {
public:
    Connection() = default;
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    /// Starts to connect; `want_write`: wait, then call `finish_connect`.
    Step start_connect(
        const boost::asio::any_io_executor& executor,
        const boost::asio::ip::tcp::endpoint& peer
    );
    Step finish_connect();
    /// Adds TLS to a connected socket. Throws as `make_ssl`.
    void start_tls(const TlsContext& context, const std::string& host);
    Step handshake_step();
    /// What a failed handshake means: a code and a text with the remedy.
    Errc handshake_error(StepState state, std::string& text) const;
    /// The connection is set up: requests may use it.
    void mark_ready();

    Step try_read(std::span<char> buffer);
    Step try_write(std::string_view bytes);
    /// Why the last step failed.
    const std::string& failure() const noexcept { return failure_; }
    const boost::system::error_code& error() const noexcept { return error_; }

    bool ready() const noexcept { return ready_; }
    /// Whether an idle connection may be used: still open, and the server has said nothing.
    bool looks_alive();
    /// The socket to wait on. Precondition: connecting or connected.
    boost::asio::ip::tcp::socket& socket() noexcept { return *socket_; }
    /// To be called before a wait for writing.
    void note_write_wait() noexcept { write_waited_ = true; }
    /// To be called before a wait for reading only.
    void note_read_wait();
    /// Closes now; says good-bye to a TLS peer if that needs no waiting.
    void close() noexcept;

private:
    friend class ConnectionRegistry;
    struct Wire {
        int descriptor = -1;
        int error = 0;
        bool ended = false;
    };
    struct WireBio;

    Step fail(int error_number);
    Step ssl_step(int result, std::size_t bytes);

    std::optional<boost::asio::ip::tcp::socket> socket_;
    Wire wire_;
    SslPtr ssl_;
    std::string failure_;
    boost::system::error_code error_;
    std::size_t registry_index_ = 0;
    bool ready_ = false;
    bool secured_ = false;  ///< The handshake is complete and TLS has not failed since.
    bool write_waited_ = false;
};

}  // namespace llmproc::net
