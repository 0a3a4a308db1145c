#include <llmproc/http_message.hpp>

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace llmproc {
namespace {

TEST(HeadersTest, FindsNamesWithoutRegardToCase) {
    Headers headers;
    headers.add("Content-Type", "application/json");
    EXPECT_EQ(headers.get("content-type"), "application/json");
    EXPECT_EQ(headers.get("CONTENT-TYPE"), "application/json");
    EXPECT_TRUE(headers.contains("cOntent-tYpe"));
    EXPECT_FALSE(headers.contains("content-typ"));
    EXPECT_EQ(headers.get("content-type2"), std::nullopt);
}

TEST(HeadersTest, KeepsOrderAndRepeatedNames) {
    const Headers headers{{"B", "1"}, {"A", "2"}, {"b", "3"}};
    std::string seen;
    for (const auto& [name, value] : headers) {
        seen += name + "=" + value + ";";
    }
    EXPECT_EQ(seen, "B=1;A=2;b=3;");
    EXPECT_EQ(headers.get("b"), "1");
    EXPECT_EQ(headers.get_all("B"), (std::vector<std::string_view>{"1", "3"}));
    EXPECT_TRUE(headers.get_all("c").empty());
}

TEST(HeadersTest, SetReplacesAllOfThatNameAtThePlaceOfTheFirst) {
    Headers headers{{"X", "1"}, {"a", "2"}, {"x", "3"}, {"b", "4"}, {"X", "5"}};
    headers.set("x", "new");
    ASSERT_EQ(headers.size(), 3U);
    EXPECT_EQ(headers.begin()->second, "new");
    EXPECT_EQ((headers.begin() + 2)->first, "b");
    headers.set("fresh", "6");
    EXPECT_EQ(headers.get("FRESH"), "6");
}

TEST(HeadersTest, EraseCountsAndSurvivesAViewIntoItself) {
    Headers headers{{"Name", "1"}, {"other", "2"}, {"NAME", "3"}};
    EXPECT_EQ(headers.erase(headers.begin()->first), 2U);
    EXPECT_EQ(headers.erase("name"), 0U);
    ASSERT_EQ(headers.size(), 1U);
    EXPECT_EQ(headers.get("other"), "2");
}

TEST(HeadersTest, RefusesNamesThatAreNoTokens) {
    const std::vector<std::string> bad = {
        "",
        "a b",
        "a:",
        "a\r\nb",
        "a\n",
        std::string("a\0b", 3),
        "a\"",
        "(a)",
        "a/b",
        "\x7f",
        "a\tb",
        " a",
        "\xC3\xA9",
        "{a}",
    };
    for (const auto& name : bad) {
        Headers headers;
        EXPECT_THROW(headers.add(name, "v"), std::invalid_argument) << name;
        EXPECT_THROW(headers.set(name, "v"), std::invalid_argument) << name;
        EXPECT_TRUE(headers.empty());
    }
    Headers headers;
    headers.add("!#$%&'*+-.^_`|~09azAZ", "v");
    EXPECT_EQ(headers.size(), 1U);
}

TEST(HeadersTest, RefusesValuesThatWouldSmuggleALineAndDoesNotShowThem) {
    const std::vector<std::string> bad = {
        "sk-secret\r\nX-Evil: 1",
        "sk-secret\n",
        "sk-secret\r",
        std::string("sk-secret\0", 10)};
    for (const auto& value : bad) {
        Headers headers;
        EXPECT_THROW(headers.set("Authorization", value), std::invalid_argument);
        try {
            headers.add("Authorization", value);
            ADD_FAILURE() << "accepted";
        } catch (const std::invalid_argument& error) {
            const std::string text = error.what();
            EXPECT_EQ(text.find("secret"), std::string::npos) << text;
            EXPECT_NE(text.find("Authorization"), std::string::npos) << text;
        }
    }
    EXPECT_THROW((Headers{{"a", "1"}, {"b", "\n"}}), std::invalid_argument);
}

TEST(HeadersTest, KeepsTabsAndBytesOutsideAscii) {
    Headers headers;
    headers.add("a", "x\ty \xC3\xA9 \xFF");
    EXPECT_EQ(headers.get("A"), "x\ty \xC3\xA9 \xFF");
}

// Aggregates as temporaries in a co_await are destroyed twice by g++ 12.
static_assert(!std::is_aggregate_v<HttpRequest>);
static_assert(!std::is_aggregate_v<HttpResponse>);
static_assert(!std::is_aggregate_v<SseEvent>);

}  // namespace
}  // namespace llmproc
