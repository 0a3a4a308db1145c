#include <llmproc/error.hpp>
#include "providers/gemini.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

std::string shaped(const std::string& schema) {
    return providers::gemini_schema(RawJson(schema), "the tool f");
}

std::string problem_of(const std::string& schema) {
    try {
        return "no problem: " + shaped(schema);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::not_supported);
        return error.message();
    }
}

TEST(GeminiSchemaTest, WhatTheSubsetHasStaysInItsOrder) {
    const std::string schema =
        R"({"type":"object","properties":{"z":{"type":"string","description":"d","maxLength":3},)"
        R"("a":{"type":"array","items":{"type":"integer","minimum":1}}},"required":["z"]})";
    EXPECT_EQ(shaped(schema), schema);
}

TEST(GeminiSchemaTest, ReferencesAreInlined) {
    EXPECT_EQ(
        shaped(R"({"$schema":"s","type":"object","properties":{"p":{"$ref":"#/$defs/point",
            "description":"where"},"q":{"$ref":"#/definitions/a~1b"}},"additionalProperties":false,
            "$defs":{"point":{"type":"object","properties":{"x":{"type":"number"}}}},
            "definitions":{"a/b":{"type":"string"}}})"),
        R"({"type":"object","properties":{"p":{"type":"object","properties":{"x":{"type":"number"}},)"
        R"("description":"where"},"q":{"type":"string"}}})"
    );
}

TEST(GeminiSchemaTest, NullBecomesNullableAndOneOfAnyOf) {
    EXPECT_EQ(shaped(R"({"type":["string","null"]})"), R"({"nullable":true,"type":"string"})")
        << "the order of members says nothing";
    EXPECT_EQ(
        shaped(R"({"oneOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]})"),
        R"({"nullable":true,"anyOf":[{"type":"string"},{"type":"integer"}]})"
    );
    EXPECT_EQ(
        shaped(R"({"anyOf":[{"$ref":"#/$defs/a"},{"type":"null"}],"$defs":{"a":{"type":"string"}}})"
        ),
        R"({"nullable":true,"type":"string"})"
    );
    EXPECT_EQ(shaped(R"({"const":"x"})"), R"({"type":"string","enum":["x"]})");
    EXPECT_EQ(
        shaped(R"({"enum":["a",null]})"),
        R"({"nullable":true,"type":"string","enum":["a"]})"
    );
    EXPECT_EQ(shaped(R"({"allOf":[{"type":"string"}]})"), R"({"type":"string"})");
}

TEST(GeminiSchemaTest, WhatItLacksIsNamedWithItsPlace) {
    const std::vector<std::pair<std::string, std::string>> cases{
        {R"({"properties":{"a":{"not":{}}}})", "the keyword not at #/properties/a/not"},
        {R"({"properties":{"a":{"$ref":"#"}}})", "a $ref that contains itself (#)"},
        {R"({"$ref":"#/$defs/a","$defs":{"a":{"items":{"$ref":"#/$defs/a"}}}})", "contains itself"},
        {R"({"$ref":"other.json"})", "a $ref to another document"},
        {R"({"$ref":"#/nowhere"})", "what is not there"},
        {R"({"$ref":"#nowhere"})", "what is not there"},
        {R"({"type":["string","integer"]})", "a choice of types"},
        {R"({"additionalProperties":{"type":"string"}})", "properties of any name"},
        {R"({"enum":[1,2]})", "a fixed value that is no text"},
        {R"({"items":false})", "a schema that is no object"},
        {R"({"allOf":[{},{}]})", "the keyword allOf"}};
    for (const auto& [schema, words] : cases) {
        const std::string problem = problem_of(schema);
        EXPECT_NE(problem.find(words), std::string::npos) << problem;
        EXPECT_NE(problem.find("the tool f"), std::string::npos) << problem;
    }
}

TEST(GeminiSchemaTest, InliningIsBounded) {
    // Each definition has the next one ten times: 10^12 schemas.
    std::string schema = R"({"$ref":"#/$defs/d0","$defs":{)";
    for (int depth = 0; depth < 12; ++depth) {
        std::string properties;
        for (int i = 0; i < 10; ++i) {
            properties += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) +
                          R"(":{"$ref":"#/$defs/d)" + std::to_string(depth + 1) + "\"}";
        }
        schema += "\"d" + std::to_string(depth) + R"(":{"properties":{)" + properties + "}},";
    }
    schema += R"("d12":{"type":"string"}}})";
    EXPECT_NE(problem_of(schema).find("more than 10,000 schemas"), std::string::npos);
}

TEST(GeminiSchemaTest, OddShapesAreErrorsNotCrashes) {
    for (const char* schema :
         {"7",
          "[]",
          "null",
          R"({"type":7})",
          R"({"properties":7})",
          R"({"anyOf":7})",
          R"({"enum":7})",
          R"({"type":{}})",
          R"({"$ref":7})",
          R"({"anyOf":[]})",
          R"({"required":7})"}) {
        try {
            static_cast<void>(shaped(schema));
        } catch (const LLMError& error) {
            EXPECT_TRUE(
                error.errc() == Errc::not_supported || error.errc() == Errc::invalid_argument
            ) << schema;
        }
    }
}

}  // namespace
}  // namespace llmproc
