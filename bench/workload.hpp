/// @file
/// What every client of a benchmark sends, and what the server answers.
#pragma once

#include <llmproc/http_message.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llmproc::bench {

/// Where to send, and how much.
struct Load {
    std::uint16_t port = 0;
    std::string ca_file;
    std::uint64_t in_flight = 1;
};

/// Environment variable that holds the key the clients send.
inline constexpr const char* key_variable = "LLMPROC_BENCH_KEY";
inline constexpr std::string_view prompt =
    "Name the capital of France and the river that runs through it, in one short sentence.";
/// A name of the server beside 127.0.0.1; only a resolver of the benchmark knows it.
inline constexpr std::string_view host_name = "api.bench.test";
inline constexpr std::string_view target = "/v1/chat/completions";

/// The program file of our own clients. `prefix`: before the path of the API.
std::string program_text(
    const Load& load,
    std::string_view codec = "openai_chat",
    std::string_view prefix = ""
);
/// The request as our codec makes it, so that the others send the same bytes.
HttpRequest chat_request();
/// Ordinary words with line ends and quotes.
std::string conversation_text(std::size_t bytes);
/// What one turn of a long conversation has: 1,000 of them are 4 MB.
inline constexpr std::size_t conversation_turn_bytes = 4'000;
/// A chat completion of ordinary size.
std::string_view reply_body();
/// Throws std::runtime_error unless a client got that reply whole.
void check_reply(long status, std::size_t body_bytes);

}  // namespace llmproc::bench
