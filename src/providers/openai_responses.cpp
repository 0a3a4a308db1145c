#include "providers/openai_responses.hpp"

#include "providers/codecs.hpp"
#include "providers/openai_chat.hpp"
#include "providers/request_parts.hpp"

namespace llmproc::providers {

namespace {

class OpenAiResponsesCodec final : public Codec {
public:
    std::string_view name() const noexcept override { return openai_responses_name; }

    HttpRequest encode(
        const ChatRequest& request,
        const Endpoint& endpoint,
        bool stream,
        EncodeCache& cache
    ) const override {
        HttpRequest result = openai_request("POST", "/responses", endpoint);
        result.body = encode_responses_body(request, endpoint, stream, cache);
        add_extra_headers(result, request.params);
        return result;
    }

    ChatReply decode(const HttpResponse& response) const override {
        return decode_response(response, request_id(response.headers));
    }

    LLMError decode_error(const HttpResponse& response) const override {
        return decode_openai_error(response, request_id(response.headers));
    }

    std::unique_ptr<StreamDecoder> stream_decoder() const override {
        return make_responses_stream_decoder();
    }

    std::optional<HttpRequest> encode_count_tokens(
        const ChatRequest& request,
        const Endpoint& endpoint
    ) const override {
        HttpRequest result = openai_request("POST", "/responses/input_tokens", endpoint);
        result.body = encode_input_tokens_body(request, endpoint);
        add_extra_headers(result, request.params);
        return result;
    }

    TokenCount decode_count_tokens(const HttpResponse& response) const override {
        return decode_input_tokens(response.body);
    }

    std::optional<HttpRequest> encode_list_models(const Endpoint& endpoint, const std::string& page)
        const override {
        return openai_chat_codec().encode_list_models(endpoint, page);
    }

    ModelPage decode_list_models(const HttpResponse& response) const override {
        return openai_chat_codec().decode_list_models(response);
    }

    std::optional<HttpRequest> encode_embeddings(
        const EmbedRequest& request,
        const Endpoint& endpoint
    ) const override {
        return openai_chat_codec().encode_embeddings(request, endpoint);
    }

    Embeddings decode_embeddings(const HttpResponse& response) const override {
        return openai_chat_codec().decode_embeddings(response);
    }

    std::size_t embeddings_per_request() const noexcept override {
        return openai_chat_codec().embeddings_per_request();
    }
};

}  // namespace

const Codec& openai_responses_codec() {
    // Never destroyed: threads that end after main may still use it.
    static const auto* const codec = new OpenAiResponsesCodec();
    return *codec;
}

}  // namespace llmproc::providers
