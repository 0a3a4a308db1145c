#include "providers/gemini.hpp"

#include "core/json_reader.hpp"
#include "core/json_writer.hpp"
#include "providers/answer_list.hpp"
#include "providers/codecs.hpp"
#include "providers/openai_fields.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <utility>

namespace llmproc::providers {

namespace {

/// `path` below the API's version, unless the base URL ends with one.
std::string path_below(const Endpoint& endpoint, std::string_view path) {
    const std::string_view base = base_path(endpoint);
    if (endpoint.hosting == Hosting::vertex || ends_with_version(base)) {
        return std::string(path);
    }
    std::string result = "/";
    if (endpoint.api_version.empty()) {
        result += gemini_version;
    } else {
        result += path_name("the API version", endpoint.api_version);
    }
    return result.append(path);
}

/// Google Cloud lists models by publisher; a model of one's own is an endpoint.
std::string vertex_model_path(const std::string& model) {
    constexpr std::string_view plain = "models/";
    if (model.starts_with("publishers/") || model.starts_with("endpoints/")) {
        return path_name("the model", model);
    }
    return "publishers/google/models/" +
           path_name("the model", model.starts_with(plain) ? model.substr(plain.size()) : model);
}

HttpRequest gemini_request(
    std::string_view method,
    std::string_view path,
    const Endpoint& endpoint
) {
    HttpRequest request = json_request(method, path_below(endpoint, path), endpoint);
    if (endpoint.hosting == Hosting::vertex) {
        add_key_header(request, "authorization", "Bearer ", endpoint);
        return request;
    }
    // Not in the query, where logs would show it.
    add_key_header(request, "x-goog-api-key", "", endpoint);
    return request;
}

HttpRequest model_request(
    const std::string& model,
    std::string_view call,
    const Endpoint& endpoint
) {
    std::string path = "/";
    path += endpoint.hosting == Hosting::vertex ? vertex_model_path(model)
                                                : gemini_model_path(model);
    path += call;
    return gemini_request("POST", path, endpoint);
}

LLMError reported_by_gemini(std::string_view body) {
    return make_gemini_error(std::nullopt, body, Headers(), std::string());
}

/// The API leaves empty arrays out.
ListShape gemini_list(std::string_view what, std::string_view name) {
    return {"generateContent", what, name, true, reported_by_gemini};
}

class GeminiCodec final : public Codec {
public:
    std::string_view name() const noexcept override { return gemini_name; }

    HttpRequest encode(
        const ChatRequest& request,
        const Endpoint& endpoint,
        bool stream,
        EncodeCache& cache
    ) const override {
        HttpRequest result = model_request(
            wire_model(request, endpoint),
            stream ? ":streamGenerateContent?alt=sse" : ":generateContent",
            endpoint
        );
        result.body = encode_gemini_body(request, endpoint, cache);
        add_extra_headers(result, request.params);
        return result;
    }

    ChatReply decode(const HttpResponse& response) const override {
        ChatReply reply = decode_gemini_reply(response);
        reply.request_id = request_id(response.headers);
        return reply;
    }

    LLMError decode_error(const HttpResponse& response) const override {
        return make_gemini_error(
            response.status,
            response.body,
            response.headers,
            request_id(response.headers)
        );
    }

    std::unique_ptr<StreamDecoder> stream_decoder() const override {
        return make_gemini_stream_decoder();
    }

    std::optional<HttpRequest> encode_count_tokens(
        const ChatRequest& request,
        const Endpoint& endpoint
    ) const override {
        HttpRequest result = model_request(wire_model(request, endpoint), ":countTokens", endpoint);
        result.body = encode_gemini_count(request, endpoint);
        add_extra_headers(result, request.params);
        return result;
    }

    TokenCount decode_count_tokens(const HttpResponse& response) const override {
        return decode_gemini_count(response.body);
    }

    std::optional<HttpRequest> encode_list_models(const Endpoint& endpoint, const std::string& page)
        const override {
        if (endpoint.hosting == Hosting::vertex) {
            return std::nullopt;
        }
        const std::string after = page.empty() ? "" : "&pageToken=" + query_value(page);
        // The API's largest page.
        return gemini_request("GET", "/models?pageSize=1000" + after, endpoint);
    }

    ModelPage decode_list_models(const HttpResponse& response) const override {
        return decode_gemini_models(response.body);
    }

    std::optional<HttpRequest> encode_embeddings(
        const EmbedRequest& request,
        const Endpoint& endpoint
    ) const override {
        if (endpoint.hosting == Hosting::vertex) {
            return std::nullopt;  // Google Cloud has another protocol for it
        }
        HttpRequest result = model_request(request.model, ":batchEmbedContents", endpoint);
        result.body = encode_gemini_embeddings(request);
        return result;
    }

    Embeddings decode_embeddings(const HttpResponse& response) const override {
        return decode_gemini_embeddings(response.body);
    }

    std::size_t embeddings_per_request() const noexcept override { return 100; }
};

}  // namespace

bool ends_with_version(std::string_view path) noexcept {
    const std::string_view last = path.substr(path.rfind('/') + 1);
    return last.size() > 1 && last[0] == 'v' && last[1] >= '0' && last[1] <= '9';
}

std::string gemini_model_path(const std::string& model) {
    static_cast<void>(path_name("the model", model));
    const bool whole = model.starts_with("models/") || model.starts_with("tunedModels/");
    return whole ? model : "models/" + model;
}

TokenCount decode_gemini_count(std::string_view body) {
    return reading("the token count", [&] {
        std::optional<std::int64_t> total;
        JsonReader reader(body);
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key == "totalTokens") {
                total = read_count(reader);
            } else {
                reader.skip();
            }
        }
        reader.finish();
        if (!total) {
            throw gemini_malformed("the token count", "it has no totalTokens");
        }
        TokenCount count;
        count.input_tokens = *total;
        count.exact = true;
        count.source = TokenSource::provider;
        return count;
    });
}

ModelPage decode_gemini_models(std::string_view body) {
    constexpr std::string_view prefix = "models/";
    ModelPage page;
    const auto read_model = [&](JsonReader& reader) {
        std::string name;
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key == "name") {
                name = reader.string();
            } else {
                reader.skip();
            }
        }
        if (!name.empty()) {
            page.models.push_back(name.starts_with(prefix) ? name.substr(prefix.size()) : name);
        }
    };
    const auto read_other = [&](std::string_view key, JsonReader& reader) {
        if (key == "nextPageToken") {
            page.next = read_string_or_empty(reader);
        } else {
            reader.skip();
        }
    };
    read_list(gemini_list("the list of models", "models"), body, read_model, read_other);
    return page;
}

std::string encode_gemini_embeddings(const EmbedRequest& request) {
    const std::string model = gemini_model_path(request.model);
    std::string body;
    JsonWriter json(body);
    json.begin_object();
    json.key("requests");
    json.begin_array();
    for (const std::string& text : request.texts) {
        json.begin_object();
        json.key("model");
        json.string(model);
        write_integer(json, "outputDimensionality", request.dimensions);
        json.key("content");
        json.begin_object();
        json.key("parts");
        json.begin_array();
        json.begin_object();
        json.key("text");
        json.string(text);
        json.end_object();
        json.end_array();
        json.end_object();
        json.end_object();
    }
    json.end_array();
    json.end_object();
    return body;
}

Embeddings decode_gemini_embeddings(std::string_view body) {
    constexpr std::string_view what = "the list of embeddings";
    Embeddings result;
    const auto read_item = [&](JsonReader& reader) {
        bool found = false;
        std::vector<float>& values = result.vectors.emplace_back();
        reader.begin_object();
        std::string_view key;
        while (reader.next_key(key)) {
            if (key != "values") {
                reader.skip();
                continue;
            }
            found = true;
            reader.begin_array();
            while (reader.next_element()) {
                values.push_back(static_cast<float>(reader.number()));
            }
        }
        if (!found) {
            throw gemini_malformed(what, "an item has no values");
        }
    };
    const auto skip = [](std::string_view /*key*/, JsonReader& reader) { reader.skip(); };
    read_list(gemini_list(what, "embeddings"), body, read_item, skip);
    return result;
}

const Codec& gemini_codec() {
    // Never destroyed: threads that end after main may still use it.
    static const auto* const codec = new GeminiCodec();
    return *codec;
}

}  // namespace llmproc::providers
