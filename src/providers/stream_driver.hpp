/// @file
/// From the bytes of a streaming answer to events: the one place that decides what an unknown, a
/// corrupt, an oversized and a missing event mean.
#pragma once

#include <llmproc/provider.hpp>
#include "wire/sse_parser.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace llmproc::providers {

/// Whether the answer's content type is text/event-stream; if not, `Codec::decode` reads its body.
bool is_event_stream(const Headers& headers);

/// Drives one decoder. Unknown events are skipped and
/// logged by kind and size, corrupt ones are errors, the end of the body
/// without the protocol's own end is truncation. After an error nothing more is decoded.
class StreamDriver {
public:
    static constexpr std::size_t default_max_bytes = std::size_t{64} << 20U;

    /// A body of more than `max_bytes` is an error, so what a reply can make us hold is bounded.
    StreamDriver(
        std::unique_ptr<StreamDecoder> decoder,
        wire::SseLimits limits,
        std::size_t max_bytes = default_max_bytes
    );

    /// Decodes the next bytes of the body and appends events to `out`; what was decoded before an
    /// error is in `out` too. What follows the provider's end mark is ignored.
    /// Throws LLMError: malformed_response, body_too_large, or the error that the stream reports.
    void feed(std::string_view body_bytes, StreamEvents& out);

    /// The body has ended completely. Appends the last events, `stop` at the end.
    /// Throws LLMError{truncated_stream} if the answer is incomplete, else as `feed`.
    void finish(StreamEvents& out);

    std::uint64_t unknown_events() const noexcept { return unknown_events_; }
    const StreamDecoder& decoder() const noexcept { return *decoder_; }

private:
    void parse(std::string_view body_bytes, StreamEvents& out);
    void decode(const SseEvent& event, StreamEvents& out);
    void flush_tail(StreamEvents& out);

    wire::SseParser parser_;
    std::unique_ptr<StreamDecoder> decoder_;
    std::uint64_t unknown_events_ = 0;
    std::size_t bytes_left_;
    std::size_t max_bytes_;
    bool done_ = false;
    bool failed_ = false;  ///< An error was thrown.
};

}  // namespace llmproc::providers
