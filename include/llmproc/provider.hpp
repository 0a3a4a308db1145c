/// @file
/// The extension point: a provider's wire protocol as a pure codec, and the table of profiles.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/embeddings.hpp>
#include <llmproc/error.hpp>
#include <llmproc/export.hpp>
#include <llmproc/http_message.hpp>
#include <llmproc/secret.hpp>
#include <llmproc/stream_event.hpp>
#include <llmproc/usage.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc {

/// Whose addresses and credentials a protocol is spoken with.
enum class Hosting {
    direct,  ///< The vendor's own, or a compatible server's.
    azure,   ///< Azure OpenAI: deployments, `api-version`, header `api-key`.
    vertex,  ///< Google Cloud: projects and locations, a bearer token.
};

/// What a model takes where models of one protocol differ; unset = as the table of models says
/// (docs/program_file.md, [model.rules]).
struct LLMPROC_API ModelRules {
    ModelRules() = default;
    /// Takes from `defaults` what is not set here.
    ModelRules& fill_from(const ModelRules& defaults);

    std::optional<bool> sampling;                   ///< It takes temperature, top_p and top_k.
    std::optional<bool> max_completion_tokens;      ///< max_tokens is named max_completion_tokens.
    std::optional<bool> developer_role;             ///< The system prompt has the role "developer".
    std::optional<bool> structured_output;          ///< It follows a JSON Schema natively.
    std::optional<bool> adaptive_thinking;          ///< Thinking without a budget.
    std::optional<bool> thinking_budget;            ///< Thinking with a budget of tokens.
    std::optional<std::int64_t> max_output_tokens;  ///< Sent where the protocol needs a limit.
};

/// Switches in which servers of one protocol differ.
struct LLMPROC_API ProviderQuirks {
    ProviderQuirks() = default;
    bool max_completion_tokens = false;  ///< Send max_completion_tokens instead of max_tokens.
    bool developer_role = false;         ///< Send the system prompt as role "developer".
    bool stream_usage = true;            ///< Ask for usage by stream_options.include_usage.
    bool send_top_k = true;              ///< The server knows top_k.
    /// Send schemas to Gemini as `responseSchema` and `parameters`, in their subset of JSON Schema,
    /// instead of as they are; for servers without the fields for JSON Schema.
    bool schema_subset = false;
};

/// One row of the table: a server that speaks a known protocol.
struct LLMPROC_API ProviderProfile {
    ProviderProfile() = default;
    std::string name;         ///< e.g. "groq"; `model.provider` in the program file.
    std::string codec;        ///< Name of the protocol, e.g. "openai_chat".
    std::string base_url;     ///< Empty = `model.base_url` must be set (vertex: `region`).
    std::string api_key_env;  ///< Variable that holds the key; empty = no key is needed.
    Hosting hosting = Hosting::direct;
    /// Name of the protocol at any address but `base_url`'s host and those below it, where the
    /// quirks are those of "openai_compatible"; empty = the same.
    std::string codec_elsewhere;
    ProviderQuirks quirks;
};

/// Where and as whom requests are sent.
struct LLMPROC_API Endpoint {
    Endpoint() = default;
    std::string provider;  ///< Name of the profile.
    std::string base_url;  ///< With path prefix, without trailing slash; may end with a query.
    std::string model;     ///< Used where the request names none.
    Secret api_key;        ///< Empty = no authorization header is sent by the codec.
    Hosting hosting = Hosting::direct;
    std::string api_version;  ///< Of the API, in its own words; empty = the protocol's default.
    std::string deployment;   ///< The server's name of `model`; empty = the same.
    ModelRules rules;         ///< What the program file says of the model.
    ProviderQuirks quirks;
};

/// Encoded messages of one process, so that a long conversation is not encoded anew each turn.
/// Owned by the process; used by one call at a time.
class LLMPROC_API EncodeCache {
public:
    EncodeCache();
    ~EncodeCache();
    EncodeCache(const EncodeCache&) = delete;
    EncodeCache& operator=(const EncodeCache&) = delete;

    /// The text encoded for `message` before, or nullptr. Valid until the next `store` or `trim`.
    const std::string* find(const std::shared_ptr<const Message>& message) const;
    /// Keeps `text` as long as the message lives.
    const std::string& store(const std::shared_ptr<const Message>& message, std::string text);
    /// Drops entries whose message nobody else holds.
    void trim();
    std::size_t size() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Receives decoded events in order.
using StreamEvents = std::vector<StreamEvent>;

/// What became of one event of a stream.
enum class DecodeStatus {
    ok,       ///< Understood (it may have had nothing to say).
    unknown,  ///< A kind that is not known: skipped, logged by kind and size.
    done,     ///< The provider's own end mark.
};

/// Decodes one streaming answer. Used by one call, from one executor at a time.
class LLMPROC_API StreamDecoder {
public:
    StreamDecoder() = default;
    StreamDecoder(const StreamDecoder&) = delete;
    StreamDecoder& operator=(const StreamDecoder&) = delete;
    virtual ~StreamDecoder();

    /// Decodes one event and appends what it means to `out`.
    /// Throws LLMError: malformed_response for a corrupt known event, the provider's own error
    /// where the event reports one.
    virtual DecodeStatus feed(const SseEvent& event, StreamEvents& out) = 0;
    /// The body has ended completely. Appends what was held back and the `stop` event.
    /// Throws LLMError{truncated_stream} if the protocol's own end has not been seen.
    virtual void finish(StreamEvents& out) = 0;
    /// Whether an event without its final blank line is delivered at the end of the body.
    virtual bool flush_pending_event() const { return false; }
    /// Data of the reply that are no events: id, model, opaque reasoning. Called after `finish`.
    virtual void complete(ChatReply& reply) const;
    /// The tokens reported so far; for the error of a stream that breaks before its end.
    virtual Usage usage() const;
};

/// A part of the list of models.
struct LLMPROC_API ModelPage {
    ModelPage() = default;

    std::vector<std::string> models;  ///< Their ids, as `model.name` takes them.
    std::string next;                 ///< Names the page behind it; empty = it is the last.
};

/// A wire protocol: bytes in, values out; it never waits. Stateless and shared by all threads.
class LLMPROC_API Codec {
public:
    Codec() = default;
    Codec(const Codec&) = delete;
    Codec& operator=(const Codec&) = delete;
    virtual ~Codec();

    virtual std::string_view name() const noexcept = 0;
    /// The HTTP request; its target includes the endpoint's path prefix.
    /// Throws LLMError{not_supported, invalid_argument} for what the protocol cannot express.
    virtual HttpRequest encode(
        const ChatRequest& request,
        const Endpoint& endpoint,
        bool stream,
        EncodeCache& cache
    ) const = 0;
    /// A complete answer of status 2xx. Throws LLMError{malformed_response} or, where a 200 body
    /// carries an error, that error.
    virtual ChatReply decode(const HttpResponse& response) const = 0;
    /// The error of an answer that is not 2xx; never throws it, returns it.
    virtual LLMError decode_error(const HttpResponse& response) const = 0;
    virtual std::unique_ptr<StreamDecoder> stream_decoder() const = 0;
    /// The provider's id of a request, from the answer's headers; empty if there is none.
    virtual std::string request_id(const Headers& headers) const;

    /// Request to the counting endpoint; none = the protocol has no such endpoint.
    virtual std::optional<HttpRequest> encode_count_tokens(
        const ChatRequest& request,
        const Endpoint& endpoint
    ) const;
    /// Its answer. Throws LLMError{not_supported} unless overridden.
    virtual TokenCount decode_count_tokens(const HttpResponse& response) const;
    /// Request for a page of the list of models, the first if `page` is empty, else the one that
    /// the page before named; none = the protocol has no such endpoint.
    virtual std::optional<HttpRequest> encode_list_models(
        const Endpoint& endpoint,
        const std::string& page
    ) const;
    /// Its answer. Throws LLMError{not_supported} unless overridden.
    virtual ModelPage decode_list_models(const HttpResponse& response) const;
    /// Request for embeddings, of at most `embeddings_per_request` texts by a model that is named;
    /// none = the protocol has no such endpoint.
    virtual std::optional<HttpRequest> encode_embeddings(
        const EmbedRequest& request,
        const Endpoint& endpoint
    ) const;
    /// Its answer, in the order of the texts. Throws LLMError{not_supported} unless overridden.
    virtual Embeddings decode_embeddings(const HttpResponse& response) const;
    /// How many texts one request may have; 0 = the protocol has no embeddings.
    virtual std::size_t embeddings_per_request() const noexcept;
};

/// The codec of that name ("openai_chat"), or nullptr. Lives for ever.
LLMPROC_API const Codec* find_codec(std::string_view name) noexcept;
/// The row of that name, or nullptr. Lives for ever.
LLMPROC_API const ProviderProfile* find_profile(std::string_view name) noexcept;
/// All rows, registered ones included, sorted by name.
LLMPROC_API std::vector<ProviderProfile> provider_profiles();

/// Adds a row to the table of providers, for programs that are loaded afterwards: a server of a
/// protocol that is known (`profile.codec` names it), or of one that comes with it. One codec may
/// serve several rows. See docs/adding_a_provider.md.
/// Lifetime: for ever; a plugin that registers one must not be unloaded.
/// Throws LLMError{invalid_argument}: the profile's or the codec's name is empty or taken, the
/// protocol is not known, `profile.codec` names another one than `codec`, `base_url` is no URL, or
/// is empty although there is a `codec_elsewhere`.
/// Thread safety: from any thread, at any time.
LLMPROC_API void register_provider(
    ProviderProfile profile,
    std::shared_ptr<const Codec> codec = nullptr
);

}  // namespace llmproc
