#include "providers/json_schema_shape.hpp"

#include <llmproc/error.hpp>

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace llmproc::providers {
namespace {

std::string shaped(const std::string& schema, SchemaRules rules) {
    return shape_schema(RawJson(schema), rules, "the tool f");
}

std::string problem_of(const std::string& schema, SchemaRules rules) {
    try {
        return "no problem: " + shaped(schema, rules);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::not_supported) << error.message();
        return error.message();
    }
}

struct ShapeCase {
    std::string given;
    std::string openai;
    std::string anthropic;
    std::string gemini;
};

TEST(JsonSchemaShapeTest, EachProviderGetsItsOwnForm) {
    const std::vector<ShapeCase>
        cases{
            // Objects.
            {R"j({"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b"]})j",
             R"j({"type":"object","properties":{"b":{"type":"string"},"a":{"type":["integer","null"]}},"required":["b","a"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"b":{"type":"string"},"a":{"type":"integer"}},"required":["b"]})j"},
            // No properties: a tool without parameters.
            {R"j({"type":"object"})j",
             R"j({"type":"object","properties":{},"required":[],"additionalProperties":false})j",
             R"j({"type":"object","properties":{},"additionalProperties":false})j",
             R"j({"type":"object"})j"},
            // A constraint that is not known moves to where the model reads it, digits kept.
            {R"j({"type":"object","properties":{"n":{"type":"number","minimum":1.50,"description":"d"},"s":{"type":"string","minLength":3,"pattern":"^a"}},"required":["n","s"]})j",
             R"j({"type":"object","properties":{"n":{"type":"number","minimum":1.50,"description":"d"},"s":{"type":"string","pattern":"^a","description":"(minLength: 3)"}},"required":["n","s"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"n":{"type":"number","description":"d (minimum: 1.50)"},"s":{"type":"string","description":"(minLength: 3, pattern: \"^a\")"}},"required":["n","s"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"n":{"type":"number","minimum":1.50,"description":"d"},"s":{"type":"string","description":"(minLength: 3, pattern: \"^a\")"}},"required":["n","s"]})j"},
            // Formats, counts, remarks and defaults.
            {R"j({"$schema":"x","type":"object","properties":{"u":{"type":"string","format":"uri","x-a":1},"l":{"type":"array","items":{"type":"integer"},"minItems":1,"default":[1]}},"required":["u","l"]})j",
             R"j({"type":"object","properties":{"u":{"type":"string","description":"(format: \"uri\")"},"l":{"type":"array","items":{"type":"integer"},"minItems":1,"description":"(default: [1])"}},"required":["u","l"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"u":{"type":"string","format":"uri"},"l":{"type":"array","items":{"type":"integer"},"minItems":1,"default":[1]}},"required":["u","l"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"u":{"type":"string","format":"uri"},"l":{"type":"array","items":{"type":"integer"},"minItems":1,"description":"(default: [1])"}},"required":["u","l"]})j"},
            // References.
            {R"j({"type":"object","properties":{"p":{"$ref":"#/$defs/p"},"q":{"$ref":"#/$defs/p","description":"q"}},"required":["p"],"$defs":{"unused":{"not":{}},"p":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]}}})j", R"j({"type":"object","properties":{"p":{"$ref":"#/$defs/p"},"q":{"type":["object","null"],"properties":{"x":{"type":"integer"}},"description":"q","required":["x"],"additionalProperties":false}},"required":["p","q"],"additionalProperties":false,"$defs":{"p":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":false}}})j", R"j({"type":"object","properties":{"p":{"$ref":"#/$defs/p"},"q":{"type":"object","properties":{"x":{"type":"integer"}},"description":"q","required":["x"],"additionalProperties":false}},"required":["p"],"additionalProperties":false,"$defs":{"p":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"],"additionalProperties":false}}})j", R"j({"type":"object","properties":{"p":{"type":"object","properties":{"x":{"type":"integer"}},"required":["x"]},"q":{"type":"object","properties":{"x":{"type":"integer"}},"description":"q","required":["x"]}},"required":["p"]})j"},
            // Choices, fixed values, null.
            {R"j({"type":"object","properties":{"c":{"oneOf":[{"type":"string"},{"type":"null"}]},"k":{"const":"x"},"e":{"type":"string","enum":["a","b"]},"n":{"type":"string","nullable":true}},"required":["c","k","n"]})j",
             R"j({"type":"object","properties":{"c":{"anyOf":[{"type":"string"},{"type":"null"}]},"k":{"type":"string","const":"x"},"e":{"type":["string","null"],"enum":["a","b",null]},"n":{"type":["string","null"]}},"required":["c","k","e","n"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"c":{"anyOf":[{"type":"string"},{"type":"null"}]},"k":{"const":"x"},"e":{"type":"string","enum":["a","b"]},"n":{"type":["string","null"]}},"required":["c","k","n"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"c":{"anyOf":[{"type":"string"},{"type":"null"}]},"k":{"enum":["x"]},"e":{"type":"string","enum":["a","b"]},"n":{"type":["string","null"]}},"required":["c","k","n"]})j"},
            // An allOf of one, as generators write it around a $ref.
            {R"j({"type":"object","properties":{"p":{"allOf":[{"$ref":"#/definitions/p"}],"title":"T"}},"required":["p"],"definitions":{"p":{"type":"string"}}})j",
             R"j({"type":"object","properties":{"p":{"type":"string","title":"T"}},"required":["p"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"p":{"type":"string","title":"T"}},"required":["p"],"additionalProperties":false})j",
             R"j({"type":"object","properties":{"p":{"type":"string","title":"T"}},"required":["p"]})j"},
        };
    for (const ShapeCase& one : cases) {
        EXPECT_EQ(shaped(one.given, SchemaRules::openai_strict), one.openai);
        EXPECT_EQ(shaped(one.given, SchemaRules::anthropic), one.anthropic);
        EXPECT_EQ(shaped(one.given, SchemaRules::gemini), one.gemini);
        // What was shaped once is right already.
        EXPECT_EQ(shaped(one.openai, SchemaRules::openai_strict), one.openai);
        EXPECT_EQ(shaped(one.gemini, SchemaRules::gemini), one.gemini);
    }
}

TEST(JsonSchemaShapeTest, OptionalOnesMayBeNullInStrictMode) {
    const auto property = [](const std::string& schema) {
        const std::string all = shaped(
            R"({"type":"object","properties":{"p":)" + schema + "}}",
            SchemaRules::openai_strict
        );
        const std::string before = R"({"type":"object","properties":{"p":)";
        return all.substr(before.size(), all.find(R"(},"required")") - before.size());
    };
    EXPECT_EQ(property(R"({"type":"string"})"), R"({"type":["string","null"]})");
    EXPECT_EQ(property(R"({"type":["string","null"]})"), R"({"type":["string","null"]})");
    EXPECT_EQ(property(R"({"type":"null"})"), R"({"type":"null"})");
    EXPECT_EQ(property(R"({"const":7})"), R"({"type":["integer","null"],"enum":[7,null]})");
    EXPECT_EQ(property(R"({"enum":[1.5]})"), R"({"type":["number","null"],"enum":[1.5,null]})");
    EXPECT_EQ(
        property(R"({"anyOf":[{"type":"string"},{"type":"integer"}]})"),
        R"({"anyOf":[{"type":"string"},{"type":"integer"},{"type":"null"}]})"
    );
    EXPECT_EQ(property(R"({"$ref":"#"})"), R"({"anyOf":[{"$ref":"#"},{"type":"null"}]})");
    EXPECT_EQ(
        property(R"({"items":{"type":"string"}})"),
        R"({"type":["array","null"],"items":{"type":"string"}})"
    );
}

TEST(JsonSchemaShapeTest, RecursionStaysOnlyWhereItIsKnown) {
    const std::string tree =
        R"({"$ref":"#/$defs/node","$defs":{"node":{"type":"object","properties":{"v":{"type":"integer"},)"
        R"("next":{"anyOf":[{"$ref":"#/$defs/node","description":"n"},{"type":"null"}]}},"required":["v","next"]}}})";
    const std::string node =
        R"("type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/node"},)"
        R"({"type":"null"}]}},"required":["v","next"],"additionalProperties":false)";
    EXPECT_EQ(
        shaped(tree, SchemaRules::openai_strict),
        "{" + node + R"(,"$defs":{"node":{)" + node + "}}}"
    );
    for (const SchemaRules rules : {SchemaRules::anthropic, SchemaRules::gemini}) {
        EXPECT_NE(
            problem_of(tree, rules).find("a $ref that contains itself (#/$defs/node)"),
            std::string::npos
        );
    }
    // Two that name each other.
    const std::string pair =
        R"({"type":"object","properties":{"a":{"$ref":"#/$defs/a"}},"$defs":{)"
        R"("a":{"type":"array","items":{"$ref":"#/$defs/b"}},"b":{"type":"array","items":{"$ref":"#/$defs/a"}}}})";
    EXPECT_NE(problem_of(pair, SchemaRules::anthropic).find("itself"), std::string::npos);
    EXPECT_NE(problem_of(pair, SchemaRules::gemini).find("itself"), std::string::npos);
    EXPECT_NE(
        shaped(pair, SchemaRules::openai_strict)
            .find(R"("$defs":{"b":{"type":"array","items":{"$ref":"#/$defs/a"}},"a":)"),
        std::string::npos
    );
    const std::string narrowed =
        R"({"type":"object","properties":{"a":{"$ref":"#","minProperties":2}}})";
    EXPECT_NE(
        problem_of(narrowed, SchemaRules::openai_strict).find("beside a recursive $ref"),
        std::string::npos
    );
}

TEST(JsonSchemaShapeTest, DefinitionsKeepNamesThatAReferenceMustEscape) {
    const std::string schema =
        R"j({"type":"object","properties":{"p":{"$ref":"#/$defs/a~1b~0c"}},"required":["p"],)j"
        R"j("additionalProperties":false,"$defs":{"a/b~c":{"type":"string"}}})j";
    EXPECT_EQ(shaped(schema, SchemaRules::openai_strict), schema);
    EXPECT_EQ(shaped(schema, SchemaRules::anthropic), schema);
}

TEST(JsonSchemaShapeTest, WhatCannotBeSaidIsRefusedWithItsPlace) {
    using enum SchemaRules;
    struct Refusal {
        std::string schema;
        std::string words;
        std::vector<SchemaRules> rules;
    };
    const std::vector<SchemaRules> all{openai_strict, anthropic, gemini};
    const std::vector<SchemaRules> closed{openai_strict, anthropic};
    const std::vector<Refusal> cases{
        {R"({"type":"object","properties":{"a":{"not":{}}}})",
         "the keyword not at #/properties/a/not",
         all},
        {R"({"type":"object","patternProperties":{}})", "the keyword patternProperties", all},
        {R"({"type":"object","if":{}})", "the keyword if", all},
        {R"({"type":"object","allOf":[{},{}]})", "the keyword allOf", all},
        {R"({"type":"object","properties":{"a":{"type":"array","prefixItems":[]}}})",
         "the keyword prefixItems",
         all},
        {R"({"type":"object","properties":{"m":{"type":"object","additionalProperties":{"type":"string"}}}})",
         "properties of any name (an array of objects",
         closed},
        {R"({"type":"object","properties":{"m":{"type":"object"}}})",
         "properties of any name",
         closed},
        {R"({"type":"object","properties":{"a":{"$ref":"other.json"}}})",
         "a $ref to another document",
         all},
        {R"({"type":"object","properties":{"a":{"$ref":"#/nowhere"}}})", "what is not there", all},
        {R"({"type":"object","properties":{"a":{"$ref":7}}})", "another document", all},
        {R"({"type":"object","properties":{"a":false}})", "a schema that is no object", all},
        {R"({"type":"object","properties":[]})", "properties that are no object", all},
        {R"({"type":"object","properties":{"a":{"anyOf":[]}}})", "a choice of nothing", all},
        {R"({"type":"object","properties":{"a":{"anyOf":[{}],"oneOf":[{}]}}})", "", all},
        {R"({"type":"string"})", "another root than an object", {openai_strict}},
        {R"({"anyOf":[{"type":"object"}]})", "properties of any name", {openai_strict}},
        {R"({"anyOf":[{"type":"object","properties":{"a":{"type":"null"}}}]})",
         "another root than an object",
         {openai_strict}},
        {R"({"type":"object","properties":{"a":{}}})", "a schema without a type", {openai_strict}},
        {R"({"type":"object","properties":{"a":true}})",
         "a schema without a type",
         {openai_strict}},
    };
    for (const Refusal& one : cases) {
        for (const SchemaRules rules : one.rules) {
            const std::string problem = problem_of(one.schema, rules);
            EXPECT_NE(problem.find(one.words), std::string::npos) << one.schema << ": " << problem;
            EXPECT_EQ(problem.find("the tool f: the schema has "), 0U) << problem;
            EXPECT_NE(problem.find("change the schema"), std::string::npos) << problem;
        }
    }
    EXPECT_EQ(
        shaped(
            R"({"type":"object","additionalProperties":{"type":"string","minLength":1}})",
            gemini
        ),
        R"j({"type":"object","additionalProperties":{"type":"string","description":"(minLength: 1)"}})j"
    ) << "Gemini knows maps";
}

TEST(JsonSchemaShapeTest, TheLimitsOfStrictModeAreErrorsBeforeSending) {
    std::string many = R"({"type":"object","properties":{)";
    for (int i = 0; i <= 5000; ++i) {
        many += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) + R"(":{"type":"null"})";
    }
    many += "}}";
    EXPECT_NE(
        problem_of(many, SchemaRules::openai_strict).find("more than 5000 properties"),
        std::string::npos
    );
    EXPECT_NO_THROW(shaped(many, SchemaRules::anthropic));

    std::string deep = R"({"type":"string"})";
    for (int i = 0; i < 10; ++i) {
        deep = R"({"type":"object","properties":{"p":)" + deep + "}}";
    }
    EXPECT_NO_THROW(shaped(deep, SchemaRules::openai_strict));
    deep = R"({"type":"object","properties":{"p":)" + deep + "}}";
    EXPECT_NE(
        problem_of(deep, SchemaRules::openai_strict).find("more than 10 levels"),
        std::string::npos
    );

    std::string values = R"({"type":"object","properties":{"e":{"enum":[0)";
    for (int i = 1; i <= 1000; ++i) {
        values += "," + std::to_string(i);
    }
    values += "]}}}";
    EXPECT_NE(
        problem_of(values, SchemaRules::openai_strict).find("more than 1000 values of enum"),
        std::string::npos
    );
    const std::string wide = R"({"type":"object","properties":{")" + std::string(120'001, 'n') +
                             R"(":{"type":"null"}}})";
    EXPECT_NE(
        problem_of(wide, SchemaRules::openai_strict).find("120,000 bytes"),
        std::string::npos
    );
}

TEST(JsonSchemaShapeTest, HostileSchemasEndInBoundedErrors) {
    // Each definition has the next one ten times: 10^12 schemas, were they all replaced.
    std::string widening = R"({"type":"object","properties":{"r":{"$ref":"#/$defs/d0"}},"$defs":{)";
    for (int depth = 0; depth < 12; ++depth) {
        std::string properties;
        for (int i = 0; i < 10; ++i) {
            properties += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) +
                          R"(":{"description":"x","$ref":"#/$defs/d)" + std::to_string(depth + 1) +
                          "\"}";
        }
        widening += "\"d" + std::to_string(depth) + R"(":{"type":"object","properties":{)" +
                    properties + "}},";
    }
    widening += R"("d12":{"type":"string"}}})";
    // A large text that is copied for each of many references.
    std::string copies = R"({"type":"object","properties":{)";
    for (int i = 0; i < 500; ++i) {
        copies += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) +
                  R"(":{"description":"x","$ref":"#/$defs/d"})";
    }
    copies += R"(},"$defs":{"d":{"type":"string","title":")" + std::string(100'000, 't') +
              R"("}}})";
    std::string nested = R"({"type":"string"})";
    for (int i = 0; i < 150; ++i) {
        nested = R"({"type":"array","items":)" + nested + "}";
    }
    nested = R"({"type":"object","properties":{"a":)" + nested + "}}";
    std::string chain = R"({"type":"object","properties":{"a":{"$ref":"#/$defs/d0"}},"$defs":{)";
    for (int i = 0; i < 150; ++i) {
        chain += "\"d" + std::to_string(i) + R"(":{"type":"array","items":{"$ref":"#/$defs/d)" +
                 std::to_string(i + 1) + "\"}},";
    }
    chain += R"("d150":{"type":"string"}}})";
    for (const SchemaRules rules :
         {SchemaRules::openai_strict, SchemaRules::anthropic, SchemaRules::gemini}) {
        EXPECT_NE(problem_of(widening, rules).find("more than 10"), std::string::npos);
        EXPECT_NE(problem_of(copies, rules).find("more than 8 MiB"), std::string::npos);
        EXPECT_NE(problem_of(nested, rules).find("more than 100 levels"), std::string::npos);
        EXPECT_NE(problem_of(chain, rules).find("more than 100 levels"), std::string::npos);
    }
}

TEST(JsonSchemaShapeTest, OddShapesAreErrorsNotCrashes) {
    for (const char* const schema :
         {"7",
          "[]",
          "null",
          "true",
          R"("x")",
          R"({"type":7})",
          R"({"type":{}})",
          R"({"enum":7})",
          R"({"enum":[]})",
          R"({"required":7,"type":"object"})",
          R"({"required":[7],"type":"object","properties":{"a":{"type":"null"}}})",
          R"({"items":[]})",
          R"({"allOf":[7]})",
          R"({"allOf":7})",
          R"({"$defs":7,"$ref":"#/$defs/a"})",
          R"({"$ref":"#/$defs"})",
          R"({"$ref":"#/$defs/","$defs":{"":{"$ref":"#"}}})",
          R"({"$ref":"#"})",
          R"({"description":7,"minLength":1})",
          R"({"format":7})"}) {
        for (const SchemaRules rules :
             {SchemaRules::openai_strict, SchemaRules::anthropic, SchemaRules::gemini}) {
            try {
                static_cast<void>(shaped(schema, rules));
            } catch (const LLMError& error) {
                EXPECT_EQ(error.errc(), Errc::not_supported) << schema;
            }
        }
    }
}

}  // namespace
}  // namespace llmproc::providers
