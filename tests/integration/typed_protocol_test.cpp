// Typed answers over every protocol.
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/anthropic.hpp>
#include <llmproc/testing/gemini.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/openai_responses.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/described_types.hpp"

#include <gtest/gtest.h>

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using namespace testing;

/// A protocol: how an answer of the model travels, and where its requests have the schema.
struct TypedProtocol {
    const char* provider;
    const char* path;
    const char* schema;
    std::function<Reply(const std::string& text)> answer;
};

std::vector<TypedProtocol> typed_protocols() {
    return {
        {"openai_chat",
         "/v1",
         "/response_format/json_schema/schema",
         [](const std::string& text) { return openai_chat_reply(text); }},
        {"openai_responses",
         "/v1",
         "/text/format/schema",
         [](const std::string& text) { return openai_responses_reply(text); }},
        {"anthropic",
         "",
         "/output_config/format/schema",
         [](const std::string& text) { return anthropic_reply(text); }},
        {"gemini",
         "/v1beta",
         "/generationConfig/responseJsonSchema",
         [](const std::string& text) { return gemini_reply(text); }},
    };
}

class TypedProtocolTest : public ::testing::TestWithParam<TypedProtocol> {
protected:
    LLMProgram program() const {
        return LLMProgram::from_toml_string(
            "[model]\nname = \"a-model\"\nprovider = \"" + std::string(GetParam().provider) +
                "\"\nbase_url = \"" + server_.url() + GetParam().path +
                "\"\napi_key_env = \"\"\n[prompt]\nsystem = \"Be exact.\"\n" +
                "[connection]\nca_file = \"" + server_.ca_file() + "\"\n",
            "test.toml"
        );
    }

    /// The schema that a request had.
    Json schema(std::size_t request) {
        const Json body = parse_json(server_.requests().at(request).body);
        return body.at(Json::json_pointer(GetParam().schema));
    }

    ScriptedServer server_;
};

TEST_P(TypedProtocolTest, TheAnswerIsTheValue) {
    server_.push(GetParam().answer(weather_text));
    SyncLLMProcess process = program().start_sync();
    EXPECT_EQ(process.run_as<Weather>("Weather in Paris?"), weather());
    const Json sent = schema(0);
    EXPECT_EQ(sent["type"], "object");
    EXPECT_EQ(sent["properties"].size(), 3U);
    EXPECT_EQ(sent["properties"]["days"]["items"]["properties"]["sky"]["enum"].size(), 3U);
    ASSERT_EQ(process.messages().size(), 2U);
    EXPECT_EQ(process.messages()[1]->text(), weather_text);
}

TEST_P(TypedProtocolTest, AnInvalidAnswerIsAskedForOnceMore) {
    server_.push(GetParam().answer(R"({"value":["clear","hail"]})"));
    server_.push(GetParam().answer(R"({"value":["clear","rain"]})"));
    server_.push(GetParam().answer("Gladly."));
    SyncLLMProcess process = program().start_sync();
    const auto typed = process.run_typed<std::vector<Sky>>("What sky?");
    EXPECT_EQ(typed.value, (std::vector<Sky>{Sky::clear, Sky::rain}));
    EXPECT_EQ(typed.result.api_calls(), 2);
    EXPECT_EQ(typed.result.attempts(), 2);
    EXPECT_EQ(typed.result.usage().input_tokens, 20);
    EXPECT_EQ(typed.result.usage().output_tokens, 10);
    EXPECT_EQ(schema(0), schema(1));
    const std::string second = server_.requests().at(1).body;
    EXPECT_NE(second.find("hail"), std::string::npos);
    EXPECT_NE(second.find("$.value[1]: expected one of"), std::string::npos) << second;

    // The conversation has the question and the valid answer only.
    ASSERT_EQ(process.messages().size(), 2U);
    EXPECT_EQ(process.messages()[1]->text(), R"({"value":["clear","rain"]})");
    process.run("Thank you.");
    EXPECT_EQ(server_.requests().at(2).body.find("hail"), std::string::npos);
}

TEST_P(TypedProtocolTest, EveryKindOfTypeIsTaken) {
    const std::string containers =
        R"({"flags":[true],"three":[1,2,3],"names":["a"],"counts":[{"key":"x","value":1}],)"
        R"("skies":[{"key":"y","value":["rain"]}]})";
    server_.push(GetParam().answer(containers));
    server_.push(GetParam().answer(R"({"value":{"width":1,"height":2}})"));
    server_.push(GetParam().answer(R"({"i8":1,"u8":2,"i64":3,"u64":4,"f":5,"d":6})"));
    SyncLLMProcess process = program().start_sync();
    const auto read = process.run_as<Containers>("Containers?");
    EXPECT_EQ(read.counts.at("x"), 1);
    EXPECT_EQ(read.skies.at("y"), (std::vector<Sky>{Sky::rain}));
    EXPECT_EQ(process.run_as<std::optional<Shape>>("A shape?"), Shape(Box{1, 2}));
    EXPECT_EQ(process.run_as<Numbers>("Numbers?").u64, 4U);
}

std::string protocol_name(const ::testing::TestParamInfo<TypedProtocol>& info) {
    return info.param.provider;
}

INSTANTIATE_TEST_SUITE_P(
    Protocols,
    TypedProtocolTest,
    ::testing::ValuesIn(typed_protocols()),
    protocol_name
);

}  // namespace
}  // namespace llmproc
