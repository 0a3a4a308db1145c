#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/raw_json.hpp>

#include <gtest/gtest.h>

#include <string>

namespace llmproc {
namespace {

TEST(RawJsonTest, IsNullByDefault) {
    EXPECT_EQ(RawJson().text(), "null");
    EXPECT_TRUE(RawJson().parse().is_null());
}

TEST(RawJsonTest, KeepsTheExactText) {
    const std::string text = "{ \"b\" : 1.50,\n \"a\":12345678901234567890123456789 }";
    EXPECT_EQ(RawJson(text).text(), text);
    EXPECT_EQ(RawJson(text).parse()["b"], 1.5);
}

TEST(RawJsonTest, DropsWhiteSpaceAroundTheValue) {
    EXPECT_EQ(RawJson(" \n[ 1 ]\t\r\n").text(), "[ 1 ]");
    EXPECT_EQ(RawJson::trusted("\t1 ").text(), "1");
    EXPECT_EQ(RawJson(" 1"), RawJson("1"));
    EXPECT_NE(RawJson("1.0"), RawJson("1"));
}

TEST(RawJsonTest, RefusesWhatIsNotOneValue) {
    for (const std::string text : {"", " ", "{", "{} {}", "{'a':1}", "nul", "\"\xff\""}) {
        try {
            const RawJson value(text);
            ADD_FAILURE() << text;
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::invalid_json);
            EXPECT_NE(std::string(error.what()).find("offset"), std::string::npos);
        }
    }
}

TEST(RawJsonTest, TakesADocument) {
    EXPECT_EQ(RawJson::from(Json::parse("{\"a\": [1]}")).text(), "{\"a\":[1]}");
}

TEST(RawJsonTest, TrustedTextFailsOnlyWhenParsed) {
    const RawJson wrong = RawJson::trusted("{");
    EXPECT_EQ(wrong.text(), "{");
    EXPECT_THROW(static_cast<void>(wrong.parse()), LLMError);
}

}  // namespace
}  // namespace llmproc
