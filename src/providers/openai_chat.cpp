#include "providers/openai_chat.hpp"

#include <llmproc/version.hpp>
#include "providers/codecs.hpp"
#include "providers/openai_errors.hpp"
#include "providers/request_parts.hpp"
#include "wire/url.hpp"

#include <stdexcept>
#include <utility>

namespace llmproc::providers {

namespace {

class OpenAiChatCodec final : public Codec {
public:
    std::string_view name() const noexcept override { return openai_chat_name; }

    HttpRequest encode(
        const ChatRequest& request,
        const Endpoint& endpoint,
        bool stream,
        EncodeCache& cache
    ) const override {
        HttpRequest result = openai_request("POST", "/chat/completions", endpoint);
        result.body = encode_chat_body(request, endpoint, stream, cache);
        add_extra_headers(result, request.params);
        return result;
    }

    ChatReply decode(const HttpResponse& response) const override {
        ChatReply reply = decode_chat_reply(response);
        reply.request_id = request_id(response.headers);
        return reply;
    }

    LLMError decode_error(const HttpResponse& response) const override {
        return decode_openai_error(response, request_id(response.headers));
    }

    std::unique_ptr<StreamDecoder> stream_decoder() const override {
        return make_chat_stream_decoder();
    }

    std::optional<HttpRequest> encode_list_models(const Endpoint& endpoint) const override {
        return openai_request("GET", "/models", endpoint);
    }

    std::vector<std::string> decode_list_models(const HttpResponse& response) const override {
        return decode_model_list(response.body);
    }

    std::optional<HttpRequest> encode_embeddings(
        const std::vector<std::string>& texts,
        const Endpoint& endpoint
    ) const override {
        HttpRequest request = openai_request("POST", "/embeddings", endpoint);
        request.body = encode_embeddings_body(texts, endpoint);
        return request;
    }

    std::vector<std::vector<float>> decode_embeddings(const HttpResponse& response) const override {
        return decode_embedding_list(response.body);
    }
};

}  // namespace

namespace {

/// The usual base, a path without query, is only cut: it was checked when the process started.
std::string target_of(const Endpoint& endpoint, std::string_view path) {
    const std::string_view base = endpoint.base_url;
    const std::size_t authority = base.find("://");
    const bool plain = (base.starts_with("https:") || base.starts_with("http:")) &&
                       authority != base.npos && base.find_first_of("?#@ ") == base.npos;
    if (!plain) {
        return wire::Url::parse(base).join(path);
    }
    const std::size_t begin = base.find('/', authority + 3);
    std::string_view prefix = begin == base.npos ? std::string_view() : base.substr(begin);
    while (prefix.ends_with('/')) {
        prefix.remove_suffix(1);
    }
    std::string target;
    target.reserve(prefix.size() + path.size());
    target.append(prefix).append(path);
    return target;
}

}  // namespace

HttpRequest openai_request(
    std::string_view method,
    std::string_view path,
    const Endpoint& endpoint
) {
    HttpRequest request;
    request.method = method;
    try {
        request.target = target_of(endpoint, path);
    } catch (const std::invalid_argument& problem) {
        throw LLMError(Errc::invalid_argument, std::string("model.base_url: ") + problem.what());
    }
    request.headers.reserve(5);
    if (!endpoint.api_key.empty()) {
        std::string value = "Bearer ";
        value += endpoint.api_key.reveal();
        try {
            request.headers.add("authorization", std::move(value));
        } catch (const std::invalid_argument&) {
            throw LLMError(
                Errc::invalid_argument,
                "the API key holds a line end or another byte that no header can carry; "
                "remove it from the variable or file the key comes from"
            );
        }
    }
    if (method != "GET") {
        request.headers.add("content-type", "application/json");
    }
    request.headers.add("accept", "application/json");
    request.headers.add("user-agent", "llmproc/" LLMPROC_VERSION);
    return request;
}

const Codec& openai_chat_codec() {
    // Never destroyed: threads that end after main may still use it.
    static const auto* const codec = new OpenAiChatCodec();
    return *codec;
}

}  // namespace llmproc::providers
