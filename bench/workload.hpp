/// @file
/// What every client of a benchmark sends, and what the server answers.
#pragma once

#include <llmproc/http_message.hpp>

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

/// The program file of our own clients.
std::string program_text(const Load& load);
/// The request as our codec makes it, so that the others send the same bytes.
HttpRequest chat_request();
/// A chat completion of ordinary size.
std::string_view reply_body();
/// Throws std::runtime_error unless a client got that reply whole.
void check_reply(long status, std::size_t body_bytes);

}  // namespace llmproc::bench
