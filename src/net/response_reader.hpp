/// @file
/// Bytes of a connection to one HTTP/1.1 answer; no sockets.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/http_message.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::net {

/// Reads one final answer, skipping the interim ones before it (RFC 9112).
///
/// Strict where a lenient reading could hide a second answer or shift a body's end: refused are
/// folded and bare-LF lines, a length beside chunks, lengths that differ, transfer codings other
/// than one `chunked`, an upgrade. Equal lengths that repeat are one length (RFC 9112, 6.3).
/// Chunk extensions and trailers are checked and dropped. What is read does not depend on how the
/// bytes were cut. Memory beyond the body is bounded by `max_header_bytes`.
class ResponseReader {
public:
    /// `head_request`: the answer to HEAD has no body whatever its header says.
    ResponseReader(std::size_t max_header_bytes, bool head_request);
    ResponseReader(const ResponseReader&) = delete;
    ResponseReader& operator=(const ResponseReader&) = delete;
    ~ResponseReader() = default;

    /// Takes what has arrived and appends body bytes to `body`. False: see `problem`.
    bool feed(std::string_view bytes, std::string& body);
    /// The peer has ended its side; `orderly` if it said so. False: see `problem`.
    bool end(bool orderly);

    /// Whether anything has arrived at all.
    bool started() const noexcept { return started_; }
    bool head_complete() const noexcept { return head_complete_; }
    bool complete() const noexcept { return state_ == State::complete; }
    /// After `complete`: another request may follow on this connection.
    bool reusable() const noexcept { return reusable_ && !surplus_; }
    /// After `head_complete`: a body follows, and it is compressed or coded in another way.
    bool coded_body() const noexcept { return coded_ && has_body_; }
    /// After `head_complete`: the value of the last Keep-Alive field; empty if there is none.
    const std::string& keep_alive() const noexcept { return keep_alive_; }
    /// After `complete`: bytes came that are not part of the answer.
    bool surplus() const noexcept { return surplus_; }
    const HttpResponse& head() const noexcept { return head_; }
    HttpResponse& head() noexcept { return head_; }

    /// Why `feed` or `end` returned false: code and a text without the place.
    Errc problem() const noexcept { return problem_; }
    const std::string& problem_text() const noexcept { return problem_text_; }

private:
    enum class State {
        status_line,
        field,
        length_body,
        close_body,
        chunk_size,
        chunk_body,
        chunk_end,
        trailer,
        complete,
    };

    void begin_message();
    bool take_line(std::string_view& bytes);
    bool take_body(std::string_view& bytes, std::string& body);
    bool check_beginning(std::string_view bytes);
    bool read_line(std::string_view line);
    bool read_status(std::string_view line);
    bool read_field(std::string_view line, Headers& headers);
    bool note_field(std::string_view name, std::string_view value);
    bool note_length(std::string_view value);
    bool note_coding(std::string_view value);
    void note_connection(std::string_view value);
    bool read_chunk_size(std::string_view line);
    bool end_head();
    void begin_chunk_line(State state, std::size_t room);
    bool fail(Errc code, std::string text);
    bool malformed(std::string_view what);
    bool too_long();

    std::size_t max_header_bytes_;
    bool head_request_;
    bool started_ = false;
    bool head_complete_ = false;
    bool surplus_ = false;
    bool reusable_ = false;
    int interim_ = 0;
    State state_ = State::status_line;
    std::size_t room_ = 0;         ///< Bytes that the lines of this section may still have.
    std::uint64_t remaining_ = 0;  ///< Of the body or the chunk.
    std::string rest_;             ///< The line that is not complete yet.

    // What the header says about the message's end.
    std::optional<std::uint64_t> length_;
    bool http_1_0_ = false;
    bool chunked_ = false;
    bool says_close_ = false;
    bool says_keep_alive_ = false;
    bool coded_ = false;
    bool has_body_ = false;
    std::string keep_alive_;

    Errc problem_ = Errc::internal;
    std::string problem_text_;
    HttpResponse head_;
};

}  // namespace llmproc::net
