#include "providers/openai_chat.hpp"

#include "providers/codecs.hpp"
#include "providers/openai_errors.hpp"
#include "providers/request_parts.hpp"

#include <utility>

namespace llmproc::providers {

namespace {

/// `path` below an Azure resource: its newer API ("v1") is OpenAI's, the older ones have a version in
/// the query and deployments in the path. A base URL without a path names the resource alone.
std::string azure_path(
    std::string_view path,
    const Endpoint& endpoint,
    const std::string& deployment
) {
    const std::string_view base = base_path(endpoint);
    const bool versioned = !endpoint.api_version.empty();
    std::string result = base.empty() ? "/openai" : "";
    if (!versioned && (base.empty() || base.ends_with("/openai"))) {
        result += "/v1";
    }
    const bool has_deployment = base.ends_with("/v1") || base.find("/deployments/") != base.npos;
    if (versioned && !deployment.empty() && !has_deployment) {
        result += "/deployments/" + path_name("the deployment", deployment);
    }
    result += path;
    if (versioned) {
        result += path.find('?') == path.npos ? "?" : "&";
        result += "api-version=" + path_name("the API version", endpoint.api_version);
    }
    return result;
}

class OpenAiChatCodec final : public Codec {
public:
    std::string_view name() const noexcept override { return openai_chat_name; }

    HttpRequest encode(
        const ChatRequest& request,
        const Endpoint& endpoint,
        bool stream,
        EncodeCache& cache
    ) const override {
        HttpRequest result =
            openai_request("POST", "/chat/completions", endpoint, wire_model(request, endpoint));
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

    std::optional<HttpRequest> encode_list_models(const Endpoint& endpoint, const std::string& page)
        const override {
        const std::string path = page.empty() ? "/models" : "/models?after=" + query_value(page);
        return openai_request("GET", path, endpoint);
    }

    ModelPage decode_list_models(const HttpResponse& response) const override {
        return decode_model_list(response.body);
    }

    std::optional<HttpRequest> encode_embeddings(
        const EmbedRequest& request,
        const Endpoint& endpoint
    ) const override {
        HttpRequest result = openai_request("POST", "/embeddings", endpoint, request.model);
        result.body = encode_embeddings_body(request);
        return result;
    }

    Embeddings decode_embeddings(const HttpResponse& response) const override {
        return decode_embedding_list(response.body);
    }

    std::size_t embeddings_per_request() const noexcept override { return 2048; }
};

}  // namespace

HttpRequest openai_request(
    std::string_view method,
    std::string_view path,
    const Endpoint& endpoint,
    const std::string& deployment
) {
    if (endpoint.hosting == Hosting::azure) {
        HttpRequest request =
            json_request(method, azure_path(path, endpoint, deployment), endpoint);
        add_key_header(request, "api-key", "", endpoint);
        return request;
    }
    HttpRequest request = json_request(method, path, endpoint);
    add_key_header(request, "authorization", "Bearer ", endpoint);
    return request;
}

const Codec& openai_chat_codec() {
    // Never destroyed: threads that end after main may still use it.
    static const auto* const codec = new OpenAiChatCodec();
    return *codec;
}

}  // namespace llmproc::providers
