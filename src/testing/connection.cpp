#include "testing/connection.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <utility>

namespace llmproc::testing {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr std::uint32_t header_limit = 1U << 20U;
constexpr std::uint64_t body_limit = 256ULL << 20U;
constexpr std::chrono::milliseconds linger_time{2000};

}  // namespace

Connection::Connection(ServerCore& core, asio::ip::tcp::socket socket, int id)
    : core_(core),
      socket_(std::move(socket)),
      timer_(core.context),
      id_(id) {}

void Connection::start() {
    error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.non_blocking(true, ignored);
    after(core_.options.accept_delay(), &Connection::begin);
}

void Connection::begin() {
    if (core_.options.handshake_hang()) {
        state_ = State::hung;
    } else if (core_.tls) {
        state_ = State::handshaking;
        tls_.emplace(*core_.tls);
    } else {
        state_ = State::reading;
        start_parser();
    }
    wait_readable();
}

void Connection::start_parser() {
    parser_.emplace();
    parser_->eager(true);
    parser_->header_limit(header_limit);
    parser_->body_limit(body_limit);
    continued_ = false;
}

/// Zero delays run at once. A later wait replaces an earlier one: a connection waits for one thing.
void Connection::after(std::chrono::milliseconds delay, void (Connection::*member)()) {
    if (delay.count() <= 0) {
        (this->*member)();
        return;
    }
    timer_.expires_after(delay);
    timer_.async_wait([self = shared_from_this(), member](error_code ec) {
        if (!ec && self->state_ != State::closed) {
            ((*self).*member)();
        }
    });
}

void Connection::wait_readable() {
    socket_.async_wait(asio::socket_base::wait_read, [self = shared_from_this()](error_code ec) {
        if (self->state_ == State::closed) {
            return;
        }
        if (ec) {
            self->on_peer_gone();
        } else {
            self->on_readable();
        }
    });
}

void Connection::on_readable() {
    std::array<char, 16384> buffer;  // NOLINT(cppcoreguidelines-pro-type-member-init)
    // a bound, so that a client that never pauses cannot keep the other connections waiting
    for (int round = 0; round < 16; ++round) {
        error_code ec;
        const std::size_t size = socket_.read_some(asio::buffer(buffer), ec);
        if (ec == asio::error::would_block || ec == asio::error::try_again) {
            break;
        }
        if (ec) {
            on_peer_gone();
            return;
        }
        if (!take(std::string_view(buffer.data(), size)) || state_ == State::closed) {
            return;
        }
    }
    wait_readable();
}

/// False if the connection has come to its end.
bool Connection::take(std::string_view bytes) {
    if (state_ == State::hung || state_ == State::lingering) {
        return true;
    }
    if (!tls_) {
        input_.append(bytes);
        parse();
        return true;
    }
    const bool was_established = tls_->established();
    const TlsEngine::Result result = tls_->feed(bytes, input_);
    send_raw(tls_->take_output());
    if (!was_established && tls_->established()) {
        on_handshake();
    }
    if (state_ != State::closed && tls_->established()) {
        parse();
    }
    if (state_ == State::closed) {
        return false;
    }
    if (result != TlsEngine::Result::ok) {
        on_peer_gone();
        return false;
    }
    return true;
}

void Connection::on_handshake() {
    core_.count(&ServerStats::handshakes);
    if (tls_->resumed()) {
        core_.count(&ServerStats::resumed_handshakes);
    }
    state_ = State::reading;
    start_parser();
}

void Connection::on_peer_gone() {
    if (state_ == State::handshaking) {
        core_.count(&ServerStats::handshake_failures);
    } else if (state_ == State::waiting || state_ == State::replying) {
        core_.on_response_end(*this, true);
    }
    close_now();
}

void Connection::parse() {
    if (state_ != State::reading || input_.empty()) {
        return;
    }
    timer_.cancel();
    if (!feed_parser()) {
        refuse();
    } else if (parser_->is_done()) {
        on_request_complete();
    } else if (parser_->is_header_done() && !continued_ && parser_->get()[http::field::expect] == "100-continue") {
        continued_ = true;
        send("HTTP/1.1 100 Continue\r\n\r\n");
    }
}

bool Connection::feed_parser() {
    while (!input_.empty() && !parser_->is_done()) {
        error_code ec;
        const std::size_t used = parser_->put(asio::buffer(input_), ec);
        input_.erase(0, used);
        if (ec == http::error::need_more) {
            return true;
        }
        if (ec) {
            return false;
        }
        if (used == 0) {
            break;
        }
    }
    return true;
}

void Connection::refuse() {
    core_.count(&ServerStats::bad_requests);
    send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    if (state_ != State::closed) {
        close_gracefully();
    }
}

RecordedRequest Connection::record() const {
    const auto& message = parser_->get();
    RecordedRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    request.http_version = static_cast<int>(message.version());
    for (const auto& field : message) {
        request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    request.body = message.body();
    request.connection_id = id_;
    request.sequence = sequence_;
    if (tls_) {
        request.server_name = tls_->server_name();
        request.tls_version = tls_->version();
        request.alpn = tls_->alpn();
    }
    return request;
}

void Connection::on_request_complete() {
    ++sequence_;
    keep_alive_ = parser_->get().keep_alive();
    request_ = record();
    state_ = State::waiting;
    core_.on_request(shared_from_this(), request_);
}

void Connection::answer() {
    if (state_ != State::waiting) {
        return;
    }
    const std::size_t limit = core_.options.keep_alive_requests();
    PlanContext context;
    context.head_request = request_.method == "HEAD";
    context.last_on_connection = !keep_alive_ ||
                                 (limit > 0 && static_cast<std::size_t>(sequence_) >= limit);
    const Reply reply = core_.choose_reply(request_);
    if (state_ != State::waiting) {
        return;  // the handler stopped the server
    }
    plan_ = make_plan(reply.spec(), context);
    step_ = 0;
    step_waited_ = false;
    state_ = State::replying;
    next_step();
}

void Connection::next_step() {
    while (state_ == State::replying && !writing_) {
        if (step_ == plan_.steps.size()) {
            finish_reply();
            return;
        }
        const ReplyPiece& step = plan_.steps[step_];
        if (!step_waited_ && step.delay.count() > 0) {
            step_waited_ = true;
            after(step.delay, &Connection::next_step);
            return;
        }
        step_waited_ = false;
        ++step_;
        send(step.bytes);
    }
}

void Connection::finish_reply() {
    if (plan_.end == ReplyEnd::hold) {
        return;  // still replying: only the client or the server's end can change that
    }
    core_.on_response_end(*this, false);
    switch (plan_.end) {
        case ReplyEnd::reset: reset(); return;
        case ReplyEnd::close_announced:
        case ReplyEnd::close_silent: close_gracefully(plan_.close_notify); return;
        case ReplyEnd::keep_alive:
        case ReplyEnd::hold: break;
    }
    await_next_request();
}

void Connection::await_next_request() {
    state_ = State::reading;
    start_parser();
    if (!input_.empty()) {
        // a pipelined request: not from here, or a long row of them would nest
        asio::post(core_.context, [self = shared_from_this()] { self->parse(); });
    } else if (core_.options.idle_timeout().count() > 0) {
        after(core_.options.idle_timeout(), &Connection::on_idle_timeout);
    }
}

void Connection::on_idle_timeout() {
    if (idle()) {
        close_gracefully();
    }
}

void Connection::reset() {
    core_.count(&ServerStats::resets);
    error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    close_now();
}

/// False if the connection ended meanwhile.
bool Connection::send(std::string_view plain) {
    if (!tls_) {
        send_raw(plain);
    } else if (tls_->write(plain)) {
        send_raw(tls_->take_output());
    } else {
        on_peer_gone();
    }
    return state_ != State::closed;
}

void Connection::send_raw(std::string_view bytes) {
    output_.append(bytes);
    if (!writing_) {
        flush();
    }
}

/// Writes what the socket takes and waits for room for the rest. That the last byte has gone out
/// is known here, before any read could report that the client has seen it and left.
void Connection::flush() {
    std::size_t sent = 0;
    error_code ec;
    while (sent < output_.size() && !ec) {
        sent += socket_.write_some(asio::buffer(output_) + sent, ec);
    }
    output_.erase(0, sent);
    writing_ = false;
    if (output_.empty()) {
        return;
    }
    if (ec != asio::error::would_block && ec != asio::error::try_again) {
        on_peer_gone();
        return;
    }
    writing_ = true;
    socket_.async_wait(
        asio::socket_base::wait_write,
        [self = shared_from_this()](error_code /*the next write reports it*/) {
            if (self->state_ != State::closed) {
                self->flush();
                self->on_drained();
            }
        }
    );
}

void Connection::on_drained() {
    if (writing_ || state_ == State::closed) {
        return;
    }
    if (state_ == State::lingering) {
        error_code ignored;
        socket_.shutdown(asio::socket_base::shutdown_send, ignored);
    } else {
        next_step();
    }
}

void Connection::close_gracefully(bool close_notify) {
    if (state_ == State::closed || state_ == State::lingering) {
        return;
    }
    state_ = State::lingering;
    if (tls_ && close_notify) {
        tls_->close_notify();
        send_raw(tls_->take_output());
    }
    on_drained();
    if (state_ != State::closed) {
        after(linger_time, &Connection::close_now);
    }
}

void Connection::close_now() {
    if (state_ == State::closed) {
        return;
    }
    const auto self = shared_from_this();  // the server's list may hold the last reference
    state_ = State::closed;
    error_code ignored;
    timer_.cancel();
    socket_.close(ignored);
    core_.on_connection_end(*this);
}

}  // namespace llmproc::testing
