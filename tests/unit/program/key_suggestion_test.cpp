#include "program/key_suggestion.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

TEST(KeySuggestionTest, CountsEdits) {
    EXPECT_EQ(edit_distance("", ""), 0U);
    EXPECT_EQ(edit_distance("", "abc"), 3U);
    EXPECT_EQ(edit_distance("user", "user"), 0U);
    EXPECT_EQ(edit_distance("usre", "user"), 1U);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(KeySuggestionTest, FindsTheClosest) {
    const std::vector<std::string_view> names{"timeout", "top_k", "top_p", "temperature", "stop"};
    EXPECT_EQ(closest("timout", names), "timeout");
    EXPECT_EQ(closest("topp", names), "top_p");
    EXPECT_EQ(closest("temp", names), "temperature");
    EXPECT_EQ(closest("timeout_seconds", names), "timeout");
    EXPECT_EQ(closest("colour", names), "");
    EXPECT_EQ(closest("", names), "");
    EXPECT_EQ(closest(std::string(100'000, 'a'), names), "");
}

}  // namespace
}  // namespace llmproc
