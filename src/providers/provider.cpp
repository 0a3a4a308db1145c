#include <llmproc/message.hpp>
#include <llmproc/provider.hpp>
#include "providers/codecs.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

namespace llmproc {

namespace {

[[noreturn]] void not_supported(std::string_view codec, std::string_view what) {
    std::string text = "the protocol ";
    text.append(codec).append(" has no ").append(what);
    throw LLMError(Errc::not_supported, text);
}

}  // namespace

StreamDecoder::~StreamDecoder() = default;

void StreamDecoder::complete(ChatReply& /*reply*/) const {}

Usage StreamDecoder::usage() const {
    return {};
}

Codec::~Codec() = default;

std::string Codec::request_id(const Headers& headers) const {
    constexpr std::array<std::string_view, 4> names{
        "x-request-id",
        "apim-request-id",
        "x-ms-request-id",
        "request-id"};
    for (const std::string_view name : names) {
        const auto value = headers.get(name);
        if (value && !value->empty()) {
            return std::string(*value);
        }
    }
    return {};
}

std::optional<HttpRequest> Codec::encode_count_tokens(
    const ChatRequest& /*request*/,
    const Endpoint& /*endpoint*/
) const {
    return std::nullopt;
}

TokenCount Codec::decode_count_tokens(const HttpResponse& /*response*/) const {
    not_supported(name(), "token counting");
}

std::optional<HttpRequest> Codec::encode_list_models(const Endpoint& /*endpoint*/) const {
    return std::nullopt;
}

std::vector<std::string> Codec::decode_list_models(const HttpResponse& /*response*/) const {
    not_supported(name(), "list of models");
}

std::optional<HttpRequest> Codec::encode_embeddings(
    const std::vector<std::string>& /*texts*/,
    const Endpoint& /*endpoint*/
) const {
    return std::nullopt;
}

std::vector<std::vector<float>> Codec::decode_embeddings(const HttpResponse& /*response*/) const {
    not_supported(name(), "embeddings");
}

const Codec* find_codec(std::string_view name) noexcept {
    const std::array<const Codec*, 4> codecs{
        &providers::anthropic_codec(),
        &providers::gemini_codec(),
        &providers::openai_chat_codec(),
        &providers::openai_responses_codec(),
    };
    const auto* const found = std::find_if(
        codecs.begin(),
        codecs.end(),
        [name](const Codec* codec) { return codec->name() == name; }
    );
    return found == codecs.end() ? nullptr : *found;
}

/// The weak owner keeps the control block, so an address cannot be mistaken for a later message.
struct EncodeCache::Impl {
    struct Entry {
        std::weak_ptr<const Message> owner;
        std::string text;
    };
    std::unordered_map<const Message*, Entry> entries;
    std::size_t trim_at = 64;

    static bool same_owner(const Entry& entry, const std::shared_ptr<const Message>& message) {
        return !entry.owner.owner_before(message) && !message.owner_before(entry.owner);
    }
};

EncodeCache::EncodeCache() = default;
EncodeCache::~EncodeCache() = default;

const std::string* EncodeCache::find(const std::shared_ptr<const Message>& message) const {
    if (!impl_ || !message) {
        return nullptr;
    }
    const auto found = impl_->entries.find(message.get());
    if (found == impl_->entries.end() || !Impl::same_owner(found->second, message)) {
        return nullptr;
    }
    return &found->second.text;
}

const std::string& EncodeCache::store(
    const std::shared_ptr<const Message>& message,
    std::string text
) {
    if (!impl_) {
        impl_ = std::make_unique<Impl>();
    }
    // Bounds the cache by twice the living messages, at a constant cost per store.
    if (impl_->entries.size() >= impl_->trim_at) {
        trim();
        impl_->trim_at = impl_->entries.size() * 2 + 64;
    }
    Impl::Entry& entry = impl_->entries[message.get()];
    entry.owner = message;
    entry.text = std::move(text);
    return entry.text;
}

void EncodeCache::trim() {
    if (impl_) {
        std::erase_if(impl_->entries, [](const auto& item) { return item.second.owner.expired(); });
    }
}

std::size_t EncodeCache::size() const noexcept {
    return impl_ ? impl_->entries.size() : 0;
}

}  // namespace llmproc
