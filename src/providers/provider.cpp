#include <llmproc/message.hpp>
#include <llmproc/provider.hpp>

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

std::optional<HttpRequest> Codec::
    encode_list_models(const Endpoint& /*endpoint*/, const std::string& /*page*/) const {
    return std::nullopt;
}

ModelPage Codec::decode_list_models(const HttpResponse& /*response*/) const {
    not_supported(name(), "list of models");
}

std::optional<HttpRequest> Codec::encode_embeddings(
    const EmbedRequest& /*request*/,
    const Endpoint& /*endpoint*/
) const {
    return std::nullopt;
}

Embeddings Codec::decode_embeddings(const HttpResponse& /*response*/) const {
    not_supported(name(), "embeddings");
}

std::size_t Codec::embeddings_per_request() const noexcept {
    return 0;
}

/// In the order of the first encoding, which is that of the conversation: a request looks its
/// messages up in a row, nearly always without the index.
struct EncodeCache::Impl {
    /// The weak owner keeps the control block, so an address cannot be mistaken for a later message.
    struct Entry {
        const Message* message = nullptr;
        std::weak_ptr<const Message> owner;
        std::string text;
    };
    std::vector<Entry> entries;
    std::unordered_map<const Message*, std::size_t> index;
    std::size_t next = 0;  ///< Where the next look-up begins.
    std::size_t trim_at = 64;

    bool holds(std::size_t position, const std::shared_ptr<const Message>& message) const {
        const Entry& entry = entries[position];
        return entry.message == message.get() && !entry.owner.owner_before(message) &&
               !message.owner_before(entry.owner);
    }
};

EncodeCache::EncodeCache() = default;
EncodeCache::~EncodeCache() = default;

const std::string* EncodeCache::find(const std::shared_ptr<const Message>& message) const {
    if (!impl_ || !message) {
        return nullptr;
    }
    std::size_t position = impl_->next;
    if (position >= impl_->entries.size() || !impl_->holds(position, message)) {
        const auto found = impl_->index.find(message.get());
        if (found == impl_->index.end() || !impl_->holds(found->second, message)) {
            return nullptr;
        }
        position = found->second;
    }
    impl_->next = position + 1;
    return &impl_->entries[position].text;
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
    const auto [known, added] = impl_->index.try_emplace(message.get(), impl_->entries.size());
    if (added) {
        impl_->entries.emplace_back();
    }
    Impl::Entry& entry = impl_->entries[known->second];
    entry.message = message.get();
    entry.owner = message;
    entry.text = std::move(text);
    return entry.text;
}

void EncodeCache::trim() {
    if (!impl_) {
        return;
    }
    std::erase_if(impl_->entries, [](const Impl::Entry& entry) { return entry.owner.expired(); });
    impl_->index.clear();
    for (std::size_t i = 0; i < impl_->entries.size(); ++i) {
        impl_->index.emplace(impl_->entries[i].message, i);
    }
    impl_->next = 0;
}

std::size_t EncodeCache::size() const noexcept {
    return impl_ ? impl_->entries.size() : 0;
}

}  // namespace llmproc
