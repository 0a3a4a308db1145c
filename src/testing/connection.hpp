#pragma once

#include "testing/reply_plan.hpp"
#include "testing/server_core.hpp"
#include "testing/tls_engine.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace llmproc::testing {

/// One accepted connection: reads all the time, so that a client that leaves is noticed at once.
/// Thread safety: belongs to the server's thread.
class Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(ServerCore& core, boost::asio::ip::tcp::socket socket, int id);

    void start();
    int id() const { return id_; }
    /// Between two requests, with nothing of the next one received.
    bool idle() const { return state_ == State::reading && sequence_ > 0 && input_.empty(); }
    /// Answers the request that on_request() reported.
    void answer();
    /// Orderly close: close_notify, FIN, and reading on until the client closes too.
    void close_gracefully(bool close_notify = true);
    /// Closes at once and leaves the server.
    void close_now();

private:
    enum class State { delayed, hung, handshaking, reading, waiting, replying, lingering, closed };
    using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;

    void begin();
    void wait_readable();
    void on_readable();
    bool take(std::string_view bytes);
    void on_handshake();
    void on_peer_gone();
    void parse();
    bool feed_parser();
    void refuse();
    void on_request_complete();
    RecordedRequest record() const;
    void next_step();
    void finish_reply();
    void reset();
    bool send(std::string_view plain);
    void send_raw(std::string_view bytes);
    void flush();
    void on_drained();
    void after(std::chrono::milliseconds delay, void (Connection::*member)());
    void await_next_request();
    void on_idle_timeout();
    void start_parser();

    ServerCore& core_;
    boost::asio::ip::tcp::socket socket_;
    boost::asio::steady_timer timer_;
    std::optional<TlsEngine> tls_;
    std::optional<Parser> parser_;
    std::string input_;   ///< plaintext not parsed yet
    std::string output_;  ///< bytes on their way to the socket
    ReplyPlan plan_;
    RecordedRequest request_;
    std::size_t step_ = 0;
    int id_;
    int sequence_ = 0;
    State state_ = State::delayed;
    bool writing_ = false;
    bool step_waited_ = false;
    bool keep_alive_ = true;
    bool continued_ = false;
};

}  // namespace llmproc::testing
