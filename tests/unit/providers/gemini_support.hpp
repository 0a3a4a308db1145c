// Short ways to encode for and decode from Gemini.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "model/reply_builder.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <string>

namespace llmproc::testing_gemini {

inline const Codec& codec() {
    return *find_codec("gemini");
}

inline Endpoint endpoint_of(const std::string& model) {
    Endpoint endpoint;
    endpoint.provider = "gemini";
    endpoint.base_url = "https://generativelanguage.googleapis.com/v1beta";
    endpoint.model = model;
    endpoint.api_key = Secret("k-secret");
    return endpoint;
}

inline HttpRequest encode(
    const ChatRequest& request,
    const std::string& model = "gemini-3.8-flash"
) {
    EncodeCache cache;
    return codec().encode(request, endpoint_of(model), false, cache);
}

inline Json body_of(const ChatRequest& request) {
    return parse_json(encode(request).body);
}

/// The code that encoding fails with; none if it does not.
inline Errc failure_of(const ChatRequest& request) {
    try {
        static_cast<void>(encode(request));
    } catch (const LLMError& error) {
        return error.errc();
    }
    return Errc();
}

inline ChatReply reply_of(const std::string& body) {
    HttpResponse response(200);
    response.body = body;
    return codec().decode(response);
}

/// An answer of these parts.
inline std::string answer(const std::string& parts, const std::string& finish = "STOP") {
    return R"({"candidates":[{"content":{"role":"model","parts":[)" + parts +
           R"(]},"finishReason":")" + finish + R"("}]})";
}

inline std::string event(const std::string& data) {
    return "data: " + data + "\r\n\r\n";
}

/// A chunk of these parts without an end.
inline std::string chunk(const std::string& parts) {
    return event(R"({"candidates":[{"content":{"parts":[)" + parts + R"(],"role":"model"}}]})");
}

inline const std::string stop = event(R"({"candidates":[{"finishReason":"STOP","index":0}]})");

inline ChatReply stream_reply(const std::string& body) {
    providers::StreamDriver driver(codec().stream_decoder(), wire::SseLimits());
    StreamEvents events;
    driver.feed(body, events);
    driver.finish(events);
    ReplyBuilder builder;
    for (const StreamEvent& item : events) {
        builder.add(item);
    }
    ChatReply reply = builder.finish();
    driver.decoder().complete(reply);
    return reply;
}

/// The code that decoding fails with; none if it does not.
template <class Decode>
Errc failure(Decode decode, const std::string& body) {
    try {
        static_cast<void>(decode(body));
    } catch (const LLMError& error) {
        EXPECT_LT(error.message().size(), 3000U);
        return error.errc();
    }
    return Errc();
}

}  // namespace llmproc::testing_gemini
