#include "providers/stream_driver.hpp"

#include <llmproc/error.hpp>
#include "core/log_line.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace llmproc::providers {

namespace {

[[noreturn]] void truncated() {
    throw LLMError(
        Errc::truncated_stream,
        "the stream ended in the middle of an event, so the reply is incomplete; try again"
    );
}

[[noreturn]] void too_large(std::string_view what, std::size_t limit) {
    throw LLMError(
        Errc::body_too_large,
        std::string(what) + " exceeds " + std::to_string(limit) +
            " bytes; raise connection.max_body_bytes if the provider sends that much"
    );
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

bool is_event_stream(const Headers& headers) {
    constexpr std::string_view wanted = "text/event-stream";
    const auto type = headers.get("content-type");
    if (!type) {
        return false;
    }
    const auto first = type->find_first_not_of(" \t");
    if (first == std::string_view::npos || type->size() - first < wanted.size()) {
        return false;
    }
    const std::string_view media = type->substr(first, wanted.size());
    const std::string_view rest = type->substr(first + wanted.size());
    const bool ends = rest.empty() || rest.front() == ';' || rest.front() == ' ' ||
                      rest.front() == '\t';
    return ends && std::equal(media.begin(), media.end(), wanted.begin(), [](char c, char low) {
               return lower(c) == low;
           });
}

StreamDriver::StreamDriver(
    std::unique_ptr<StreamDecoder> decoder,
    wire::SseLimits limits,
    std::size_t max_bytes
)
    : parser_(limits),
      decoder_(std::move(decoder)),
      bytes_left_(max_bytes),
      max_bytes_(max_bytes) {}

void StreamDriver::decode(const SseEvent& event, StreamEvents& out) {
    if (done_) {
        return;
    }
    switch (decoder_->feed(event, out)) {
        case DecodeStatus::ok: return;
        case DecodeStatus::done: done_ = true; return;
        case DecodeStatus::unknown: break;
    }
    ++unknown_events_;
    if (log_enabled(LogLevel::debug)) {
        std::string text = "skipped a stream event of unknown kind \"";
        text.append(event.event.substr(0, 64)).append("\", ");
        log_line(LogLevel::debug, text + std::to_string(event.data.size()) + " bytes");
    }
}

void StreamDriver::feed(std::string_view body_bytes, StreamEvents& out) {
    if (failed_) {
        return;
    }
    failed_ = true;
    const bool fits = body_bytes.size() <= bytes_left_;
    body_bytes = body_bytes.substr(0, bytes_left_);
    bytes_left_ -= body_bytes.size();
    if (!done_) {
        parse(body_bytes, out);
    }
    // Also behind the end mark: a server that never stops sending must not keep the call.
    if (!fits) {
        too_large("the stream", max_bytes_);
    }
    failed_ = false;
}

void StreamDriver::parse(std::string_view body_bytes, StreamEvents& out) {
    parser_.feed(body_bytes);
    SseEvent event;
    while (parser_.next(event)) {
        decode(event, out);
    }
    if (parser_.status() == wire::SseStatus::too_large) {
        too_large("an event of the stream", parser_.limits().max_event_bytes);
    }
}

void StreamDriver::flush_tail(StreamEvents& out) {
    if (parser_.finish() != wire::SseTail::pending_event || !decoder_->flush_pending_event()) {
        return;
    }
    SseEvent event;
    if (!parser_.take_pending(event)) {
        return;
    }
    try {
        decode(event, out);
    } catch (const LLMError& error) {
        // The last event lacks its end, so what does not parse was cut off, not corrupted.
        if (error.errc() == Errc::malformed_response) {
            truncated();
        }
        throw;
    }
}

void StreamDriver::finish(StreamEvents& out) {
    if (failed_) {
        truncated();
    }
    failed_ = true;
    if (!done_) {
        flush_tail(out);
    }
    decoder_->finish(out);
    failed_ = false;
}

}  // namespace llmproc::providers
