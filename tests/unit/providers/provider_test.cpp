#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace llmproc {
namespace {

TEST(ProfileTest, RowsAreSortedAndEachNamesAKnownCodec) {
    const std::vector<ProviderProfile> rows = provider_profiles();
    EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end(), [](const auto& left, const auto& right) {
        return left.name < right.name;
    }));
    for (const ProviderProfile& row : rows) {
        EXPECT_NE(find_codec(row.codec), nullptr) << row.name;
        ASSERT_NE(find_profile(row.name), nullptr);
        EXPECT_EQ(find_profile(row.name)->name, row.name);
        EXPECT_TRUE(row.base_url.empty() || row.base_url.back() != '/') << row.name;
        // A vendor's server needs a key and https, a local one neither.
        const bool vendor = row.base_url.rfind("https://", 0) == 0 ||
                            row.hosting != Hosting::direct;
        EXPECT_EQ(vendor, !row.api_key_env.empty()) << row.name;
    }
}

TEST(ProfileTest, AliasesFindTheirRow) {
    ASSERT_NE(find_profile("llama.cpp"), nullptr);
    EXPECT_EQ(find_profile("llama.cpp")->name, "llamacpp");
    EXPECT_EQ(find_profile("nobody"), nullptr);
    EXPECT_EQ(find_profile(""), nullptr);
    EXPECT_EQ(find_codec("nobody"), nullptr);
}

TEST(ProfileTest, OpenAiWantsItsNewNames) {
    const ProviderQuirks& quirks = find_profile("openai")->quirks;
    EXPECT_TRUE(quirks.max_completion_tokens);
    EXPECT_TRUE(quirks.developer_role);
    EXPECT_TRUE(find_profile("openai_compatible")->base_url.empty());
}

TEST(ProfileTest, OpenAiResponsesIsTheSameServerAndKeyAsOpenAi) {
    const ProviderProfile& openai = *find_profile("openai");
    ASSERT_NE(find_profile("openai-responses"), nullptr);
    const ProviderProfile& responses = *find_profile("openai-responses");
    EXPECT_EQ(responses.name, "openai_responses");
    EXPECT_EQ(find_profile("openai_response"), &responses);
    EXPECT_EQ(responses.codec, "openai_responses");
    EXPECT_EQ(openai.codec, "openai_responses");
    EXPECT_EQ(openai.codec_elsewhere, "openai_chat");
    EXPECT_EQ(responses.codec_elsewhere, "");
    EXPECT_EQ(responses.base_url, openai.base_url);
    EXPECT_EQ(responses.api_key_env, openai.api_key_env);
    EXPECT_FALSE(responses.quirks.send_top_k);
}

TEST(EncodeCacheTest, FindsByIdentityNotByAddress) {
    EncodeCache cache;
    auto first = std::make_shared<const Message>(Message::user("a"));
    const auto equal = std::make_shared<const Message>(Message::user("a"));
    EXPECT_EQ(cache.find(first), nullptr);
    EXPECT_EQ(cache.store(first, "text"), "text");
    ASSERT_NE(cache.find(first), nullptr);
    EXPECT_EQ(*cache.find(first), "text");
    EXPECT_EQ(cache.find(equal), nullptr);
    // Another owner at the same address, as after a free and a new allocation.
    const std::shared_ptr<const Message> other(first.get(), [](const Message*) {});
    EXPECT_EQ(cache.find(other), nullptr);
    EXPECT_EQ(cache.find(nullptr), nullptr);
}

TEST(EncodeCacheTest, TrimDropsWhatNobodyHolds) {
    EncodeCache cache;
    auto kept = std::make_shared<const Message>(Message::user("a"));
    auto gone = std::make_shared<const Message>(Message::user("b"));
    cache.store(kept, "a");
    cache.store(gone, "b");
    gone.reset();
    cache.trim();
    EXPECT_EQ(cache.size(), 1U);
    EXPECT_NE(cache.find(kept), nullptr);
}

TEST(EncodeCacheTest, StaysBoundedWhenMessagesDie) {
    EncodeCache cache;
    for (int i = 0; i < 10000; ++i) {
        cache.store(std::make_shared<const Message>(Message::user("m")), "m");
    }
    EXPECT_LT(cache.size(), 200U);
}

/// The least a codec must do.
class BareCodec final : public Codec {
public:
    std::string_view name() const noexcept override { return "bare"; }
    HttpRequest encode(const ChatRequest&, const Endpoint&, bool, EncodeCache&) const override {
        return {};
    }
    ChatReply decode(const HttpResponse&) const override { return {}; }
    LLMError decode_error(const HttpResponse&) const override {
        return {Errc::http_status, "bare"};
    }
    std::unique_ptr<StreamDecoder> stream_decoder() const override { return nullptr; }
};

TEST(CodecTest, DefaultsSayNotSupported) {
    const BareCodec codec;
    EXPECT_FALSE(codec.encode_count_tokens(ChatRequest("x"), Endpoint()).has_value());
    EXPECT_FALSE(codec.encode_list_models(Endpoint(), "").has_value());
    EXPECT_FALSE(codec.encode_embeddings(EmbedRequest(), Endpoint()).has_value());
    EXPECT_EQ(codec.embeddings_per_request(), 0U);
    try {
        static_cast<void>(codec.decode_count_tokens(HttpResponse(200)));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_NE(error.message().find("bare"), std::string::npos);
    }
    EXPECT_THROW(static_cast<void>(codec.decode_list_models(HttpResponse(200))), LLMError);
    EXPECT_THROW(static_cast<void>(codec.decode_embeddings(HttpResponse(200))), LLMError);
    EXPECT_EQ(codec.request_id(Headers({{"Request-Id", "r"}})), "r");
    EXPECT_EQ(codec.request_id(Headers({{"apim-request-id", "a"}, {"X-Request-Id", "x"}})), "x");
}

}  // namespace
}  // namespace llmproc
