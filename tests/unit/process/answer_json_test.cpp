#include "process/answer_json.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

using Texts = std::vector<std::string_view>;

TEST(AnswerJsonTest, FindsTheObjectAmongWords) {
    EXPECT_EQ(json_objects_in(R"({"a":1})"), (Texts{R"({"a":1})"}));
    EXPECT_EQ(json_objects_in("\n {} \n"), (Texts{"{}"}));
    EXPECT_EQ(json_objects_in("Here it is:\n```json\n{\"a\": 1}\n```\n"), (Texts{"{\"a\": 1}"}));
    EXPECT_EQ(
        json_objects_in(R"(Sets {like this} or [1] are no answer, {"a":"}"} is.)"),
        (Texts{R"({"a":"}"})"})
    );
    EXPECT_EQ(json_objects_in(R"({"a":{"b":{}}} {})"), (Texts{R"({"a":{"b":{}}})", "{}"}));
}

TEST(AnswerJsonTest, WithoutAnyObjectItIsAllOfTheText) {
    EXPECT_EQ(json_objects_in("I do not know."), (Texts{"I do not know."}));
    EXPECT_EQ(json_objects_in("[1,2]"), (Texts{"[1,2]"}));
    EXPECT_EQ(json_objects_in(""), (Texts{""}));
    EXPECT_EQ(json_objects_in("{x}"), (Texts{"{x}"}));
}

TEST(AnswerJsonTest, PartsOfABrokenObjectAreNoAnswer) {
    EXPECT_EQ(json_objects_in(R"({"a":{"a":1})"), (Texts{R"({"a":{"a":1})"}));
    EXPECT_EQ(json_objects_in(R"({} {"a":,} {"b":1})"), (Texts{"{}", R"({"a":,} {"b":1})"}));
    EXPECT_EQ(json_objects_in("so: {"), (Texts{"{"}));
}

TEST(AnswerJsonTest, HostileTextsAreBounded) {
    std::string many;
    for (int i = 0; i < 100'000; ++i) {
        many += "{}";
    }
    EXPECT_EQ(json_objects_in(many).size(), 16U);
    EXPECT_EQ(json_objects_in(std::string(1'000'000, '{')).size(), 1U);
}

}  // namespace
}  // namespace llmproc
