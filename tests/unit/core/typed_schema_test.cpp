#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/typed.hpp>
#include "core/typed_json.hpp"
#include "support/described_types.hpp"

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace llmproc {
namespace {

using namespace testing;

template <typename T>
std::string answer_schema_of() {
    return detail::write_schema(detail::node_of<T>(), detail::SchemaForm::answer);
}

TEST(TypedSchemaTest, PlainValues) {
    EXPECT_EQ(json_schema_of<bool>(), R"({"type":"boolean"})");
    EXPECT_EQ(json_schema_of<std::string>(), R"({"type":"string"})");
    EXPECT_EQ(json_schema_of<double>(), R"({"type":"number"})");
    EXPECT_EQ(json_schema_of<float>(), R"({"type":"number"})");
    EXPECT_EQ(json_schema_of<std::monostate>(), R"({"type":"null"})");
    EXPECT_EQ(json_schema_of<Sky>(), R"({"type":"string","enum":["clear","cloudy","rain"]})");
}

TEST(TypedSchemaTest, OnlyNarrowIntegersHaveBounds) {
    EXPECT_EQ(json_schema_of<int>(), R"({"type":"integer"})");
    EXPECT_EQ(json_schema_of<long long>(), R"({"type":"integer"})");
    EXPECT_EQ(json_schema_of<std::uint64_t>(), R"({"type":"integer","minimum":0})");
    EXPECT_EQ(json_schema_of<std::int8_t>(), R"({"type":"integer","minimum":-128,"maximum":127})");
    EXPECT_EQ(json_schema_of<std::uint16_t>(), R"({"type":"integer","minimum":0,"maximum":65535})");
}

TEST(TypedSchemaTest, AllMembersAreRequiredAndNoOthersAllowed) {
    EXPECT_EQ(
        json_schema_of<Weather>(),
        R"({"type":"object","properties":{"city":{"type":"string"},"place":{"type":"object",)"
        R"("properties":{"latitude":{"type":"number"},"longitude":{"type":"number"}},)"
        R"("required":["latitude","longitude"],"additionalProperties":false},)"
        R"("days":{"type":"array","items":{"type":"object","properties":{)"
        R"("high":{"type":"integer"},"low":{"anyOf":[{"type":"integer"},{"type":"null"}]},)"
        R"("sky":{"type":"string","enum":["clear","cloudy","rain"]}},)"
        R"("required":["high","low","sky"],"additionalProperties":false}}},)"
        R"("required":["city","place","days"],"additionalProperties":false})"
    );
    EXPECT_EQ(
        json_schema_of<Nothing>(),
        R"({"type":"object","properties":{},"required":[],"additionalProperties":false})"
    );
    EXPECT_EQ(json_schema_of<Weather>(), answer_schema_of<Weather>());
}

TEST(TypedSchemaTest, MembersOfBasesComeFirst) {
    EXPECT_EQ(
        json_schema_of<Account>(),
        R"({"type":"object","properties":{"latitude":{"type":"number"},)"
        R"("longitude":{"type":"number"},"number_":{"type":"integer"}},)"
        R"("required":["latitude","longitude","number_"],"additionalProperties":false})"
    );
}

TEST(TypedSchemaTest, TwoMembersOfOneNameAreRefused) {
    try {
        json_schema_of<TwoNames>();
        FAIL() << "no error";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
        EXPECT_NE(error.message().find("TwoNames has two members named \"id\""), std::string::npos)
            << error.message();
    }
}

TEST(TypedSchemaTest, ArraysAndMaps) {
    EXPECT_EQ(
        (json_schema_of<std::array<bool, 2>>()),
        R"({"type":"array","items":{"type":"boolean"},"minItems":2,"maxItems":2})"
    );
    EXPECT_EQ(
        (json_schema_of<std::map<std::string, int>>()),
        R"({"type":"object","additionalProperties":{"type":"integer"}})"
    );
}

TEST(TypedSchemaTest, AlternativesOfAlternativesAreOneList) {
    using Inner = std::variant<bool, std::string>;
    EXPECT_EQ(
        (json_schema_of<std::optional<std::variant<int, Inner>>>()),
        R"({"anyOf":[{"type":"integer"},{"type":"boolean"},{"type":"string"},{"type":"null"}]})"
    );
}

TEST(TypedSchemaTest, ATypeWithinItselfIsADefinition) {
    const std::string body =
        R"("type":"object","properties":{"name":{"type":"string"},"children":{"type":"array",)"
        R"("items":{"$ref":"#/$defs/Tree"}},"next":{"anyOf":[{"$ref":"#/$defs/Tree"},)"
        R"({"type":"null"}]}},"required":["name","children","next"],"additionalProperties":false)";
    EXPECT_EQ(json_schema_of<Tree>(), "{" + body + R"(,"$defs":{"Tree":{)" + body + "}}}");
    EXPECT_EQ(
        json_schema_of<std::vector<Tree>>(),
        R"({"type":"array","items":{"$ref":"#/$defs/Tree"},"$defs":{"Tree":{)" + body + "}}}"
    );
}

TEST(TypedSchemaTest, AnAnswerIsAnObjectAndNamesItsMembers) {
    EXPECT_EQ(
        answer_schema_of<std::vector<int>>(),
        R"({"type":"object","properties":{"value":{"type":"array","items":{"type":"integer"}}},)"
        R"("required":["value"],"additionalProperties":false})"
    );
    EXPECT_EQ(
        (answer_schema_of<std::map<std::string, bool>>()),
        R"({"type":"object","properties":{"value":{"type":"array","items":{"type":"object",)"
        R"("properties":{"key":{"type":"string"},"value":{"type":"boolean"}},)"
        R"("required":["key","value"],"additionalProperties":false}}},)"
        R"("required":["value"],"additionalProperties":false})"
    );
}

/// Every place of a schema that names members closes the object and requires all of them.
void expect_strict(const Json& schema) {
    if (schema.is_object() && schema.contains("properties")) {
        EXPECT_EQ(schema.value("additionalProperties", true), false) << schema;
        EXPECT_EQ(schema["required"].size(), schema["properties"].size()) << schema;
    }
    for (const Json& part : schema) {
        if (part.is_structured()) {
            expect_strict(part);
        }
    }
}

TEST(TypedSchemaTest, EveryAnswerSchemaIsStrict) {
    for (const std::string& text :
         {answer_schema_of<Weather>(),
          answer_schema_of<Containers>(),
          answer_schema_of<Numbers>(),
          answer_schema_of<Tree>(),
          answer_schema_of<Shape>(),
          answer_schema_of<Sky>()}) {
        const Json schema = parse_json(text);
        EXPECT_EQ(schema["type"], "object");
        expect_strict(schema);
    }
}

}  // namespace
}  // namespace llmproc
