/// @file
/// Requests of all protocols, for tests of what they have in common.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::testing_requests {

inline constexpr std::string_view chat = "openai_chat";
inline constexpr std::string_view responses = "openai_responses";
inline constexpr std::string_view anthropic = "anthropic";
inline constexpr std::string_view gemini = "gemini";
inline constexpr std::array<std::string_view, 4> all_protocols{chat, responses, anthropic, gemini};

inline Endpoint endpoint_of(std::string_view model = "m") {
    Endpoint endpoint;
    endpoint.provider = "p";
    endpoint.base_url = "http://localhost/v1";
    endpoint.model = model;
    return endpoint;
}

inline std::string body_text(
    std::string_view protocol,
    const ChatRequest& request,
    const Endpoint& endpoint = endpoint_of()
) {
    EncodeCache cache;
    return find_codec(protocol)->encode(request, endpoint, false, cache).body;
}

inline Json body_of(
    std::string_view protocol,
    const ChatRequest& request,
    const Endpoint& endpoint = endpoint_of()
) {
    return parse_json(body_text(protocol, request, endpoint));
}

/// The error of encoding it.
inline LLMError failure(
    std::string_view protocol,
    const ChatRequest& request,
    const Endpoint& endpoint = endpoint_of()
) {
    try {
        return {Errc::internal, "it did not fail: " + body_text(protocol, request, endpoint)};
    } catch (const LLMError& error) {
        return error;
    }
}

inline ChatRequest request_of(std::vector<Message> messages) {
    ChatRequest request;
    for (Message& message : messages) {
        request.add(std::move(message));
    }
    return request;
}

/// What a reply of this protocol becomes.
inline ChatReply reply_of(std::string_view protocol, std::string_view body) {
    HttpResponse response(200);
    response.body = body;
    return find_codec(protocol)->decode(response);
}

}  // namespace llmproc::testing_requests
