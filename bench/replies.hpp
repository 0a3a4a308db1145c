/// @file
/// What the servers of a benchmark answer, by protocol.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace llmproc::bench {

/// One protocol as a server sees it.
struct Protocol {
    std::string_view codec;        ///< Name of ours.
    std::string_view base_path;    ///< Below the server's address, as a program file names it.
    std::string_view call_path;    ///< Where the codec sends calls.
    std::string_view stream_path;  ///< Where it sends streams, without the query.
    std::string_view reply;        ///< An answer of ordinary size with 16 output tokens.
};

extern const std::array<Protocol, 4> protocols;

/// Throws std::runtime_error if there is no such codec.
const Protocol& protocol_of(std::string_view codec);

/// A stream: the beginning, a piece per token, the end.
struct StreamText {
    std::string begin;
    std::string token;
    std::string end;
};

/// Text of a stream of `tokens` pieces, each with the word below.
StreamText stream_text(std::string_view codec, std::size_t tokens);

inline constexpr std::string_view stream_word = " token";

}  // namespace llmproc::bench
