#pragma once

#include <llmproc/export.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {

using Headers = std::vector<std::pair<std::string, std::string>>;

/// How the end of a body is marked.
enum class Framing {
    automatic,  ///< chunked if the reply has pieces, else Content-Length
    content_length,
    chunked,
    close_delimited,  ///< the body ends where the connection ends
};

/// What becomes of the connection after the bytes of a reply (or after the first N of them).
enum class ReplyEnd {
    keep_alive,
    close_announced,  ///< `Connection: close`, then an orderly close
    close_silent,     ///< an orderly close that no header announced
    reset,            ///< TCP RST
    hold,             ///< nothing more, until the client goes away or the server stops
};

/// One piece of a body, written on its own.
class ReplyPiece {
public:
    ReplyPiece(std::string text, std::chrono::milliseconds wait)
        : bytes(std::move(text)),
          delay(wait) {}

    std::string bytes;
    std::chrono::milliseconds delay;  ///< waited before the piece is written
};

/// Everything a Reply was told, for the code that writes it.
class ReplySpec {
public:
    ReplySpec() = default;

    int status = 200;
    std::string reason;
    Headers headers;
    Headers trailers;
    std::string body;
    std::vector<ReplyPiece> pieces;
    std::vector<std::pair<int, Headers>> interim;
    std::optional<std::string> raw;
    Framing framing = Framing::automatic;
    ReplyEnd end = ReplyEnd::keep_alive;
    std::optional<std::size_t> cut_after;
    std::size_t split_every = 0;
    std::chrono::milliseconds delay{0};
    bool close_notify = true;
};

/// One scripted answer: a good HTTP response unless a setter says otherwise.
class LLMPROC_API Reply {
public:
    /// 200 with an empty body.
    Reply();

    /// 200 with a JSON body.
    static Reply json(std::string body);
    /// The given status with an empty body.
    static Reply status(int code);
    /// 200, `text/event-stream`: one chunk `data: <text>` and a blank line per element.
    static Reply sse(const std::vector<std::string>& data);

    Reply& with_status(int code);
    /// Replaces the standard reason phrase.
    Reply& reason(std::string text);
    /// Adds a header; a Content-Length or Transfer-Encoding given here replaces the right one.
    Reply& header(std::string name, std::string value);
    Reply& body(std::string text);
    /// Appends a piece of the body, written after `delay` as one chunk (and one TLS record).
    Reply& piece(std::string bytes, std::chrono::milliseconds delay = std::chrono::milliseconds(0));
    /// Sets the delay before each piece given so far.
    Reply& piece_delay(std::chrono::milliseconds delay);
    /// Adds a trailer field after a chunked body.
    Reply& trailer(std::string name, std::string value);
    Reply& framing(Framing value);
    /// Writes at most `bytes` at a time, each as a TLS record of its own.
    Reply& split_every(std::size_t bytes);
    /// Sends an interim head (100, 103) before the real one.
    Reply& interim(int code, Headers headers = Headers());
    /// Waits before the first byte.
    Reply& delay(std::chrono::milliseconds value);

    /// Resets the connection (TCP RST) after the first `bytes` of the whole response.
    Reply& reset_after(std::size_t bytes);
    /// Closes the connection in good order after the first `bytes` of the whole response.
    Reply& truncate_after(std::size_t bytes);
    /// Falls silent after the first `bytes` of the whole response.
    Reply& hold_after(std::size_t bytes);
    /// Announces `Connection: close` and closes after the response.
    Reply& close_after();
    /// Closes after the response without having said so.
    Reply& close_silently_after();
    /// Closes instead of answering.
    Reply& close_without_answer();
    /// Never answers; ends when the client goes away or the server stops.
    Reply& hold();
    /// TLS only: a later close sends no close_notify, as a cut connection would.
    Reply& without_close_notify();
    /// Writes exactly these bytes as the whole response; head, body and framing are not used.
    Reply& raw(std::string bytes);

    const ReplySpec& spec() const { return spec_; }

private:
    ReplySpec spec_;
};

}  // namespace llmproc::testing
