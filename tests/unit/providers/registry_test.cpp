#include <llmproc/error.hpp>
#include <llmproc/program.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

class NamedCodec final : public Codec {
public:
    explicit NamedCodec(std::string name) : name_(std::move(name)) {}
    std::string_view name() const noexcept override { return name_; }
    HttpRequest encode(const ChatRequest&, const Endpoint&, bool, EncodeCache&) const override {
        return {};
    }
    ChatReply decode(const HttpResponse&) const override { return {}; }
    LLMError decode_error(const HttpResponse&) const override {
        return {Errc::http_status, "none"};
    }
    std::unique_ptr<StreamDecoder> stream_decoder() const override { return nullptr; }

private:
    std::string name_;
};

ProviderProfile profile(const std::string& name, const std::string& codec = "") {
    ProviderProfile row;
    row.name = name;
    row.codec = codec;
    row.base_url = "https://" + name + ".example/v1";
    row.api_key_env = "REGISTERED_KEY";
    return row;
}

std::shared_ptr<const Codec> codec(const std::string& name) {
    return std::make_shared<const NamedCodec>(name);
}

/// The message of the refusal; nothing was added.
std::string refused(const ProviderProfile& row, const std::shared_ptr<const Codec>& own = nullptr) {
    const std::size_t rows = provider_profiles().size();
    std::string text = "accepted";
    try {
        register_provider(row, own);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
        text = error.message();
        EXPECT_NE(text.find("register_provider(\"" + row.name + "\")"), std::string::npos);
    }
    EXPECT_EQ(provider_profiles().size(), rows);
    return text;
}

TEST(RegistryTest, ACompatibleServerIsARow) {
    EXPECT_EQ(find_profile("row-only"), nullptr);
    register_provider(profile("row-only", "openai_chat"));
    ASSERT_NE(find_profile("row-only"), nullptr);
    EXPECT_EQ(find_profile("row-only")->base_url, "https://row-only.example/v1");
    const auto rows = provider_profiles();
    EXPECT_TRUE(std::is_sorted(rows.begin(), rows.end(), [](const auto& left, const auto& right) {
        return left.name < right.name;
    }));
    EXPECT_TRUE(std::any_of(rows.begin(), rows.end(), [](const auto& row) {
        return row.name == "row-only";
    }));
}

TEST(RegistryTest, ANewProtocolIsACodecAndItsRows) {
    const std::shared_ptr<const Codec> own = codec("own_protocol");
    register_provider(profile("own-cloud"), own);
    register_provider(profile("own-local", "own_protocol"), own);
    register_provider(profile("own-third", "own_protocol"));
    EXPECT_EQ(find_codec("own_protocol"), own.get());
    EXPECT_EQ(find_profile("own-cloud")->codec, "own_protocol");
    EXPECT_NE(find_profile("own-third"), nullptr);
}

TEST(RegistryTest, WhatIsFoundStaysWhereItIs) {
    register_provider(profile("first-row"), codec("first_protocol"));
    const ProviderProfile* const row = find_profile("first-row");
    const Codec* const protocol = find_codec("first_protocol");
    for (int i = 0; i < 100; ++i) {
        register_provider(profile("later-" + std::to_string(i), "gemini"));
    }
    EXPECT_EQ(find_profile("first-row"), row);
    EXPECT_EQ(find_codec("first_protocol"), protocol);
    EXPECT_EQ(protocol->name(), "first_protocol");
}

TEST(RegistryTest, RefusesWhatWouldBeAmbiguousOrUnusable) {
    register_provider(profile("taken"), codec("taken_protocol"));
    const auto says = [](const std::string& text, const char* words) {
        EXPECT_NE(text.find(words), std::string::npos) << text;
    };
    says(refused(profile("")), "has no name");
    says(refused(profile("taken", "gemini")), "the name is taken");
    says(refused(profile("openai", "openai_chat")), "the name is taken");
    says(refused(profile("claude", "anthropic")), "the name is taken");  // another spelling
    says(refused(profile("x", "nothing")), "no protocol \"nothing\"");
    says(refused(profile("x")), "no protocol \"\"");
    says(refused(profile("x"), codec("")), "its codec has no name");
    says(refused(profile("x"), codec("gemini")), "has another codec");
    says(refused(profile("x"), codec("taken_protocol")), "has another codec");
    says(refused(profile("x", "y"), codec("z")), "the profile names the protocol \"y\"");
    ProviderProfile elsewhere = profile("x", "gemini");
    elsewhere.codec_elsewhere = "nothing";
    says(refused(elsewhere), "no protocol \"nothing\"");
    elsewhere.codec_elsewhere = "openai_chat";
    elsewhere.base_url.clear();
    says(refused(elsewhere), "base_url, which is empty");
    ProviderProfile nowhere = profile("x", "gemini");
    nowhere.base_url = "x.example/v1";
    says(refused(nowhere), "ProviderProfile::base_url: invalid URL");
    EXPECT_EQ(find_profile("x"), nullptr);
}

TEST(RegistryTest, OneOfManyThreadsWinsAName) {
    constexpr int threads = 4;
    constexpr int names = 50;
    std::atomic<int> winners{0};
    std::vector<std::thread> racing;
    for (int i = 0; i < threads; ++i) {
        racing.emplace_back([&winners] {
            for (int name = 0; name < names; ++name) {
                const std::string row = "raced-" + std::to_string(name);
                try {
                    register_provider(profile(row), codec("raced_" + std::to_string(name)));
                    ++winners;
                } catch (const LLMError& error) {
                    EXPECT_EQ(error.errc(), Errc::invalid_argument);
                }
                EXPECT_NE(find_profile(row), nullptr);
            }
        });
    }
    for (std::thread& thread : racing) {
        thread.join();
    }
    EXPECT_EQ(winners, names);
}

TEST(RegistryTest, AProgramFileNamesIt) {
    register_provider(profile("in-toml"), codec("toml_protocol"));
    const LLMProgram program = LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"in-toml\"\napi_key_env = \"\"\n"
    );
    EXPECT_EQ(program.provider(), "in-toml");
    EXPECT_EQ(program.base_url(), "https://in-toml.example/v1");
    try {
        static_cast<void>(
            LLMProgram::from_toml_string("[model]\nname = \"m\"\nprovider = \"in-tomI\"\n")
        );
        ADD_FAILURE();
    } catch (const ConfigError& error) {
        EXPECT_NE(error.message().find("did you mean 'in-toml'?"), std::string::npos)
            << error.message();
    }
}

}  // namespace
}  // namespace llmproc
