#include "workload.hpp"

#include <llmproc/provider.hpp>
#include "replies.hpp"

#include <cstdlib>
#include <stdexcept>

namespace llmproc::bench {

namespace {

constexpr std::string_view model_name = "gpt-5-mini-2025-08-07";

}  // namespace

std::string program_text(const Load& load, std::string_view codec, std::string_view prefix) {
    return "[model]\nname = \"" + std::string(model_name) + "\"\nprovider = \"" +
           std::string(codec) + "\"\nbase_url = \"https://127.0.0.1:" + std::to_string(load.port) +
           std::string(prefix) + std::string(protocol_of(codec).base_path) +
           "\"\napi_key_env = \"" + key_variable + "\"\n[connection]\nca_file = \"" + load.ca_file +
           "\"\nmax_connections = 10000\nmax_connections_per_host = 10000\n"
           "connect_timeout = 600\nhandshake_timeout = 600\nproxy = \"\"\n";
}

HttpRequest chat_request() {
    const char* const key = std::getenv(key_variable);
    Endpoint endpoint;
    endpoint.base_url = "https://127.0.0.1/v1";
    endpoint.model = model_name;
    endpoint.api_key = Secret(key == nullptr ? "" : key);
    EncodeCache cache;
    return find_codec("openai_chat")
        ->encode(ChatRequest(std::string(prompt)), endpoint, false, cache);
}

std::string conversation_text(std::size_t bytes) {
    constexpr std::string_view line =
        "The river \"Seine\" runs through Paris, from the east to the west.\n";
    std::string text;
    while (text.size() + line.size() <= bytes) {
        text += line;
    }
    return text.append(bytes - text.size(), '.');
}

std::string_view reply_body() {
    return R"({"id":"chatcmpl-BnQ4mJ5Tq9xkP2aWcYv7RsE1uLzDfg","object":"chat.completion",)"
           R"("created":1751990400,"model":"gpt-5-mini-2025-08-07","choices":[{"index":0,)"
           R"("message":{"role":"assistant","content":"The capital of France is Paris, and )"
           R"(the river Seine runs through it, from the east to the west.","refusal":null,"annotations":[]},)"
           R"("logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":25,"completion_tokens":16,)"
           R"("total_tokens":41,"prompt_tokens_details":{"cached_tokens":0},)"
           R"("completion_tokens_details":{"reasoning_tokens":0,"accepted_prediction_tokens":0}},)"
           R"("service_tier":"default"})";
}

void check_reply(long status, std::size_t body_bytes) {
    if (status != 200 || body_bytes != reply_body().size()) {
        throw std::runtime_error(
            "the server answered with status " + std::to_string(status) + " and " +
            std::to_string(body_bytes) + " bytes instead of 200 and " +
            std::to_string(reply_body().size())
        );
    }
}

}  // namespace llmproc::bench
