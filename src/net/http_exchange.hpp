/// @file
/// One request and its answer on one connection, in steps that never wait.
#pragma once

#include <llmproc/http_message.hpp>
#include "async/call_context.hpp"
#include "net/connection_pool.hpp"
#include "net/connector.hpp"
#include "net/http_client.hpp"
#include "net/response_reader.hpp"

#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

namespace llmproc::net {

/// What must happen before the next step.
enum class Need {
    nothing,    ///< The header, or more of the body, is there.
    readable,   ///< Wait until the server has sent something.
    writable,   ///< Wait until there is room to send.
    either,     ///< Both: the server may answer before it has read all.
    new_start,  ///< The reused connection was dead: open another and begin again.
};

class HttpExchange::Impl {
public:
    /// Whether a large body is copied, or sent from the request, which then must outlive this.
    enum class Body { viewed, copied };

    Impl(async::CallContext& call, const ConnectPlan& plan, const HttpRequest& request, Body body);

    /// Begins on a connection that is ready; `reused` if it served another request before.
    void begin(PooledConnection lease, bool reused);
    /// Opens the way for a second try: the dead connection is closed, its slot kept.
    PooledConnection restart();

    /// Sends and receives what is possible, until the answer's header is complete. Each time that
    /// bytes were sent after a wait the call enters Stage::write again: its limit bounds the time
    /// without progress. Throws LLMError.
    Need advance_to_head(async::CallContext& call);
    /// Appends what has arrived to `out`. Need::nothing: there is more, or the body is complete.
    /// Goes on sending the request if the server answered before it had all of it and did not
    /// refuse it. A failure waits until what arrived before it was taken. Throws LLMError.
    Need advance_body(std::string& out, std::size_t soft_limit);
    /// Body bytes that came with the header.
    bool take_early(std::string& out);
    bool finished() const noexcept { return finished_; }
    /// Bytes of header and body of the request.
    std::size_t request_size() const noexcept { return request_.size() + rest_.size(); }
    std::size_t sent() const noexcept { return sent_; }

    const HttpResponse& head() const noexcept { return reader_.head(); }
    HttpResponse& head() noexcept { return reader_.head(); }
    std::size_t max_body_bytes() const noexcept { return settings_->max_body_bytes; }
    std::shared_ptr<async::CallContext> call() const;
    Connection& connection() const noexcept { return *lease_; }
    LLMError error(Errc code, Stage stage, std::string_view problem) const;

private:
    enum class Sent { all, blocked_write, blocked_read, failed, given_up };
    enum class Arrived { some, nothing_yet, blocked_write, complete, failed };

    Sent send_more();
    Sent send_beside_answer();
    Arrived receive(std::string& sink, std::size_t limit, Stage stage);
    Arrived end_of_input(bool orderly, Stage stage);
    Arrived lost(Stage stage, const std::string& reason);
    Arrived broken(Stage stage);
    Need head_failed();
    void finish();
    void check_head();

    std::weak_ptr<async::CallContext> call_;
    std::shared_ptr<const Origin> origin_;
    std::shared_ptr<const NetSettings> settings_;
    PooledConnection lease_;
    std::string request_;    ///< The header and the beginning of the body, mostly all of it.
    std::string_view rest_;  ///< The rest of a large body.
    std::size_t sent_ = 0;
    std::string early_;  ///< Body bytes that came with the header.
    std::exception_ptr failure_;
    bool head_request_;
    bool reused_ = false;
    bool disconnected_ = false;  ///< The failure is a lost connection.
    bool write_failed_ = false;
    bool just_sent_ = false;
    bool send_waited_ = false;  ///< Since the last progress there was no room to send.
    bool finished_ = false;
    ResponseReader reader_;
};

/// The request as it goes over the wire, up to about `limit` bytes: a longer body is cut off there.
/// Plain http by a proxy has the absolute form (RFC 9112, 3.2.2) and the proxy's credentials, which
/// go nowhere else.
///
/// Unless the caller names an Accept-Encoding of its own, `identity` is asked for, and an answer
/// that is coded nevertheless is refused: a decoder would hold streamed events back until a block
/// is full, would add a library and its bugs between server and parser, and compressing secrets
/// beside chosen text shows their length (BREACH), all to save little on texts of this size.
///
/// Throws LLMError{invalid_argument} for what cannot stand in a request line, and for the headers
/// Transfer-Encoding, Proxy-Authorization and Proxy-Connection, which only the transport sets.
std::string compose_request(
    const HttpRequest& request,
    const Origin& origin,
    std::size_t limit = std::string::npos
);

}  // namespace llmproc::net
