#include <llmproc/testing/reply.hpp>

namespace llmproc::testing {

namespace {

/// A line break inside the text starts another data line, as the SSE format demands.
std::string sse_event(const std::string& text) {
    std::string event = "data: ";
    for (const char letter : text) {
        event += letter;
        if (letter == '\n') {
            event += "data: ";
        }
    }
    return event + "\n\n";
}

}  // namespace

Reply::Reply() = default;

Reply Reply::json(std::string body) {
    Reply reply;
    reply.header("Content-Type", "application/json").body(std::move(body));
    return reply;
}

Reply Reply::status(int code) {
    Reply reply;
    reply.with_status(code);
    return reply;
}

Reply Reply::sse(const std::vector<std::string>& data) {
    Reply reply;
    reply.header("Content-Type", "text/event-stream").header("Cache-Control", "no-cache");
    reply.framing(Framing::chunked);
    for (const std::string& text : data) {
        reply.piece(sse_event(text));
    }
    return reply;
}

Reply& Reply::with_status(int code) {
    spec_.status = code;
    return *this;
}

Reply& Reply::reason(std::string text) {
    spec_.reason = std::move(text);
    return *this;
}

Reply& Reply::header(std::string name, std::string value) {
    spec_.headers.emplace_back(std::move(name), std::move(value));
    return *this;
}

Reply& Reply::body(std::string text) {
    spec_.body = std::move(text);
    return *this;
}

Reply& Reply::piece(std::string bytes, std::chrono::milliseconds delay) {
    spec_.pieces.emplace_back(std::move(bytes), delay);
    return *this;
}

Reply& Reply::piece_delay(std::chrono::milliseconds delay) {
    for (ReplyPiece& piece : spec_.pieces) {
        piece.delay = delay;
    }
    return *this;
}

Reply& Reply::trailer(std::string name, std::string value) {
    spec_.trailers.emplace_back(std::move(name), std::move(value));
    return *this;
}

Reply& Reply::framing(Framing value) {
    spec_.framing = value;
    return *this;
}

Reply& Reply::split_every(std::size_t bytes) {
    spec_.split_every = bytes;
    return *this;
}

Reply& Reply::interim(int code, Headers headers) {
    spec_.interim.emplace_back(code, std::move(headers));
    return *this;
}

Reply& Reply::delay(std::chrono::milliseconds value) {
    spec_.delay = value;
    return *this;
}

Reply& Reply::reset_after(std::size_t bytes) {
    spec_.cut_after = bytes;
    spec_.end = ReplyEnd::reset;
    return *this;
}

Reply& Reply::truncate_after(std::size_t bytes) {
    spec_.cut_after = bytes;
    spec_.end = ReplyEnd::close_silent;
    return *this;
}

Reply& Reply::hold_after(std::size_t bytes) {
    spec_.cut_after = bytes;
    spec_.end = ReplyEnd::hold;
    return *this;
}

Reply& Reply::close_after() {
    spec_.end = ReplyEnd::close_announced;
    return *this;
}

Reply& Reply::close_silently_after() {
    spec_.end = ReplyEnd::close_silent;
    return *this;
}

Reply& Reply::close_without_answer() {
    return truncate_after(0);
}

Reply& Reply::hold() {
    return hold_after(0);
}

Reply& Reply::without_close_notify() {
    spec_.close_notify = false;
    return *this;
}

Reply& Reply::raw(std::string bytes) {
    spec_.raw = std::move(bytes);
    return *this;
}

}  // namespace llmproc::testing
