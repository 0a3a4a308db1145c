#include "core/base64.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

TEST(Base64Test, MatchesTheVectorsOfRfc4648) {
    const std::vector<std::pair<std::string, std::string>> vectors = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"}};
    for (const auto& [bytes, text] : vectors) {
        EXPECT_EQ(base64_encode(bytes), text);
        EXPECT_EQ(base64_decode(text), bytes);
    }
    EXPECT_EQ(base64_encode("\xfb\xff\xbf"), "+/+/");
    EXPECT_EQ(base64_decode("+/+/"), "\xfb\xff\xbf");
}

TEST(Base64Test, RoundTripsAnyBytes) {
    std::mt19937 random(3);
    for (std::size_t length = 0; length < 300; ++length) {
        std::string bytes;
        for (std::size_t i = 0; i < length; ++i) {
            bytes.push_back(static_cast<char>(random() % 256));
        }
        ASSERT_EQ(base64_decode(base64_encode(bytes)), bytes);
    }
}

TEST(Base64Test, RefusesWhatIsNotCanonical) {
    for (const std::string text :
         {"Z",
          "Zg",
          "Zg=",
          "Z===",
          "====",
          "==",
          "Zg==Zg==",
          "Zm9v\n",
          "Zm 9",
          "Zh==",
          "Zm9=",
          "Zm-_",
          "Z=g=",
          "=Zg=",
          "\xc3\xa9\xc3\xa9"}) {
        EXPECT_EQ(base64_decode(text), std::nullopt) << text;
    }
}

}  // namespace
}  // namespace llmproc
