#include "providers/anthropic.hpp"

#include "providers/codecs.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_errors.hpp"
#include "providers/request_parts.hpp"

#include <stdexcept>
#include <utility>

namespace llmproc::providers {

namespace {

/// The vendor's own base URL has no version, many gateways' have: both are right.
std::string path_below(const Endpoint& endpoint, std::string_view path) {
    return (base_path(endpoint).ends_with("/v1") ? "" : "/v1") + std::string(path);
}

HttpRequest anthropic_request(
    std::string_view method,
    std::string_view path,
    const Endpoint& endpoint
) {
    HttpRequest request = json_request(method, path_below(endpoint, path), endpoint);
    add_key_header(request, "x-api-key", "", endpoint);
    const std::string_view version = endpoint.api_version.empty()
                                         ? anthropic_version
                                         : std::string_view(endpoint.api_version);
    try {
        request.headers.add("anthropic-version", std::string(version));
    } catch (const std::invalid_argument& problem) {
        invalid_request(std::string("model.api_version: ") + problem.what());
    }
    return request;
}

/// Google Cloud has the model and the kind of call in the path, and the version in the body.
HttpRequest vertex_request(
    const ChatRequest& request,
    const Endpoint& endpoint,
    AnthropicCall call,
    EncodeCache& cache
) {
    std::string path = "/publishers/anthropic/models/";
    switch (call) {
        case AnthropicCall::count: path += "count-tokens:rawPredict"; break;
        case AnthropicCall::reply:
            path += path_name("the model", wire_model(request, endpoint)) + ":rawPredict";
            break;
        case AnthropicCall::stream:
            path += path_name("the model", wire_model(request, endpoint)) + ":streamRawPredict";
            break;
    }
    HttpRequest result = json_request("POST", path, endpoint);
    add_key_header(result, "authorization", "Bearer ", endpoint);
    add_extra_headers(result, request.params);
    const std::string_view version = endpoint.api_version.empty()
                                         ? anthropic_vertex_version
                                         : std::string_view(endpoint.api_version);
    result.body = encode_anthropic_body(request, endpoint, call, version, cache);
    return result;
}

HttpRequest with_body(
    std::string_view path,
    const ChatRequest& request,
    const Endpoint& endpoint,
    AnthropicCall call,
    EncodeCache& cache
) {
    if (endpoint.hosting == Hosting::vertex) {
        return vertex_request(request, endpoint, call, cache);
    }
    HttpRequest result = anthropic_request("POST", path, endpoint);
    add_extra_headers(result, request.params);
    const std::string version(result.headers.get("anthropic-version").value_or(""));
    result.body = encode_anthropic_body(request, endpoint, call, version, cache);
    return result;
}

class AnthropicCodec final : public Codec {
public:
    std::string_view name() const noexcept override { return anthropic_name; }

    HttpRequest encode(
        const ChatRequest& request,
        const Endpoint& endpoint,
        bool stream,
        EncodeCache& cache
    ) const override {
        const auto call = stream ? AnthropicCall::stream : AnthropicCall::reply;
        return with_body("/messages", request, endpoint, call, cache);
    }

    ChatReply decode(const HttpResponse& response) const override {
        ChatReply reply = decode_anthropic_reply(response);
        reply.request_id = request_id(response.headers);
        return reply;
    }

    LLMError decode_error(const HttpResponse& response) const override {
        return decode_openai_error(response, request_id(response.headers));
    }

    std::unique_ptr<StreamDecoder> stream_decoder() const override {
        return make_anthropic_stream_decoder();
    }

    /// A gateway's own x-request-id may stand beside the provider's.
    std::string request_id(const Headers& headers) const override {
        const auto own = headers.get("request-id");
        return own && !own->empty() ? std::string(*own) : Codec::request_id(headers);
    }

    std::optional<HttpRequest> encode_count_tokens(
        const ChatRequest& request,
        const Endpoint& endpoint
    ) const override {
        EncodeCache unused;
        return with_body("/messages/count_tokens", request, endpoint, AnthropicCall::count, unused);
    }

    TokenCount decode_count_tokens(const HttpResponse& response) const override {
        return decode_anthropic_count(response.body);
    }

    std::optional<HttpRequest> encode_list_models(const Endpoint& endpoint, const std::string& page)
        const override {
        if (endpoint.hosting == Hosting::vertex) {
            return std::nullopt;
        }
        // A page has 20 entries unless more are asked for; 1000 is the most.
        const std::string after = page.empty() ? "" : "&after_id=" + query_value(page);
        return anthropic_request("GET", "/models?limit=1000" + after, endpoint);
    }

    ModelPage decode_list_models(const HttpResponse& response) const override {
        return decode_model_list(response.body, "Anthropic Messages");
    }
};

}  // namespace

LLMError malformed_anthropic(std::string_view what, std::string_view detail) {
    return malformed_answer(anthropic_words, what, detail);
}

void throw_anthropic_error(std::string_view body) {
    throw make_provider_error(std::nullopt, parse_error_body(body), Headers());
}

const Codec& anthropic_codec() {
    // Never destroyed: threads that end after main may still use it.
    static const auto* const codec = new AnthropicCodec();
    return *codec;
}

}  // namespace llmproc::providers
