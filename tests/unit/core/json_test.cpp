#include <llmproc/error.hpp>
#include <llmproc/json.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace llmproc {
namespace {

std::string error_of(std::string_view text) {
    try {
        parse_json(text);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_json);
        return error.what();
    }
    return "accepted";
}

TEST(JsonTest, GivesTheDocumentThatTheJsonLibraryGives) {
    for (const std::string text :
         {"null",
          "true",
          "[]",
          "{}",
          "\"x\\u00e9\\n\"",
          "-0",
          "1",
          "-7",
          "18446744073709551615",
          "9223372036854775807",
          "-9223372036854775808",
          "18446744073709551616",
          "1.0",
          "1e3",
          "0.1",
          "-2.5e-3",
          R"({"b":[1,{"c":null},"x"],"a":{"d":[[],{}]},"a":2,"":[false]})"}) {
        const Json ours = parse_json(text);
        const Json theirs = Json::parse(text);
        EXPECT_EQ(ours, theirs) << text;
        EXPECT_EQ(ours.type(), theirs.type()) << text;
        EXPECT_EQ(ours.dump(), theirs.dump()) << text;
    }
}

TEST(JsonTest, NamesTheOffset) {
    EXPECT_EQ(error_of("{\"a\":}"), "invalid JSON at offset 5: expected a value, found '}'");
    EXPECT_EQ(error_of("1 2"), "invalid JSON at offset 2: expected the end of the text, found '2'");
    EXPECT_NE(error_of("[1e999]").find("range of double"), std::string::npos);
    EXPECT_NE(error_of(std::string(600, '[')).find("nested"), std::string::npos);
}

TEST(JsonTest, ReadsLoneSurrogatesLeniently) {
    EXPECT_EQ(parse_json(R"("\ud83d")"), Json("\xef\xbf\xbd"));
}

TEST(JsonTest, DumpsOneLineAndReplacesInvalidUtf8) {
    EXPECT_EQ(
        dump_json(Json::parse(R"({ "b": [1, 2.5],  "a": "é\n" })")),
        R"({"a":"é\n","b":[1,2.5]})"
    );
    EXPECT_EQ(dump_json(Json("a\xff")), "\"a\xef\xbf\xbd\"");
}

}  // namespace
}  // namespace llmproc
