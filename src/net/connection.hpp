/// @file
/// One TCP connection, plain or TLS, in steps that never block and never wait.
#pragma once

#include <llmproc/error.hpp>
#include "core/fork_guard.hpp"
#include "net/tls_bio.hpp"
#include "net/tls_context.hpp"

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

    /// Takes over a socket that was connected elsewhere.
    void adopt(boost::asio::ip::tcp::socket connected);
    /// Adds TLS to a connected socket; the second time, inside the TLS of the first: to an origin
    /// through the tunnel of an https proxy. Throws as `make_ssl`.
    void start_tls(
        const TlsContext& context,
        const std::string& host,
        const std::string& resume_key
    );
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
    /// Whether the server has refused us by a TLS alert, so that trying again is of no use. TLS 1.3
    /// servers judge a client certificate, or its absence, after our handshake is complete.
    bool refused() const noexcept { return refused_; }
    /// Whether the TLS handshake took up an earlier session. Precondition: it is complete.
    bool resumed() const noexcept { return ssl_ && SSL_session_reused(ssl_.get()) != 0; }
    /// "TLSv1.3"; empty without TLS.
    std::string_view tls_version() const noexcept {
        return ssl_ ? std::string_view(SSL_get_version(ssl_.get())) : std::string_view();
    }

    bool ready() const noexcept { return ready_; }
    /// Whether an idle connection may be used: still open, and the server has said nothing.
    bool looks_alive();
    /// The socket to wait on. Precondition: connected.
    boost::asio::ip::tcp::socket& socket() noexcept { return *socket_; }
    /// To be called before a wait for writing.
    void note_write_wait() noexcept { write_waited_ = true; }
    /// To be called before a wait for reading only.
    void note_read_wait();
    /// Closes now; says good-bye to a TLS peer if that needs no waiting. In a child after fork()
    /// only the child's descriptor: the parent goes on using the connection.
    void close() noexcept;

private:
    friend class ConnectionRegistry;

    void leave_to_parent() noexcept;
    Step fail(int error_number);
    Step ssl_step(int result, std::size_t bytes);
    bool has_buffered_input() const;

    std::optional<boost::asio::ip::tcp::socket> socket_;
    WireEnd wire_;
    SslPtr outer_;  ///< TLS to an https proxy, with that to the origin inside.
    SslPtr ssl_;
    std::string failure_;
    boost::system::error_code error_;
    std::size_t registry_index_ = 0;
    unsigned generation_ = fork_generation();  ///< Of the process that connected it.
    bool ready_ = false;
    bool refused_ = false;
    bool secured_ = false;  ///< The handshake is complete and TLS has not failed since.
    bool write_waited_ = false;
};

}  // namespace llmproc::net
