#include "process/schema_instruction.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace llmproc {
namespace {

class SchemaInstructionTest : public ::testing::Test {
protected:
    SchemaInstructionTest() : request_("hi") {
        request_.system = "Be brief.";
        request_.params.response_schema = RawJson(R"({"type":"object"})");
        request_.params.adapt_schemas = true;
        endpoint_.model = "some-model";
        endpoint_.rules.structured_output = false;
    }

    std::optional<ChatRequest> words() const {
        return with_schema_as_words(request_, *find_codec("openai_chat"), endpoint_);
    }

    ChatRequest request_;
    Endpoint endpoint_;
};

TEST_F(SchemaInstructionTest, AModelWithoutStructuredOutputIsTold) {
    std::optional<ChatRequest> request = words();
    ASSERT_TRUE(request);
    EXPECT_FALSE(request->params.response_schema);
    EXPECT_EQ(request->messages, request_.messages);
    EXPECT_EQ(request->system.substr(0, 11), "Be brief.\n\n");
    EXPECT_NE(request->system.find("JSON Schema:\n{\"type\":\"object\"}"), std::string::npos);

    request_.system.clear();
    request = words();
    ASSERT_TRUE(request);
    EXPECT_EQ(request->system.substr(0, 6), "Answer");
}

TEST_F(SchemaInstructionTest, EverythingElseGoesAsItIs) {
    endpoint_.rules.structured_output = true;
    EXPECT_FALSE(words());
    endpoint_.rules.structured_output.reset();
    EXPECT_FALSE(words()) << "a model that nothing is known of";

    endpoint_.rules.structured_output = false;
    request_.params.adapt_schemas = false;
    EXPECT_FALSE(words());
    request_.params.adapt_schemas.reset();
    EXPECT_FALSE(words());

    request_.params.adapt_schemas = true;
    request_.params.response_schema.reset();
    EXPECT_FALSE(words());
}

}  // namespace
}  // namespace llmproc
