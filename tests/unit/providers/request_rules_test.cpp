// What holds for the requests of all protocols: only what was set, extra_body, models' rules.
#include "unit/providers/request_support.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace llmproc {
namespace {

using namespace testing_requests;  // NOLINT(google-build-using-namespace)

TEST(RequestRulesTest, Trap2_NoSamplingValueIsSentByItself) {
    for (const std::string_view protocol : all_protocols) {
        for (const std::string_view model : {"m", "gpt-5", "claude-opus-4-7", "gemini-2.5-pro"}) {
            const std::string body = body_text(protocol, ChatRequest("hi"), endpoint_of(model));
            for (const std::string_view word :
                 {"temperature",
                  "top_p",
                  "topP",
                  "top_k",
                  "topK",
                  "seed",
                  "reasoning_effort",
                  "thinking",
                  "cache_control",
                  "\"tools\"",
                  "maxOutputTokens",
                  "max_completion_tokens",
                  "max_output_tokens"}) {
                EXPECT_EQ(body.find(word), std::string::npos) << protocol << ": " << body;
            }
            // Anthropic's protocol demands a limit.
            EXPECT_EQ(body.find("max_tokens") != std::string::npos, protocol == anthropic);
        }
    }
}

TEST(RequestRulesTest, Trap3_ChatNestsToolsAndSchemasAndResponsesHasThemFlat) {
    ChatRequest request("hi");
    request.tools.emplace_back("f", "d", RawJson(R"({"type":"object"})"));
    request.tool_choice = ToolChoice::tool("f");
    request.params.response_schema = RawJson(R"({"type":"object"})");
    const Json nested = body_of(chat, request);
    EXPECT_EQ(nested["tools"][0]["function"]["name"], "f");
    EXPECT_EQ(nested["tool_choice"]["function"]["name"], "f");
    EXPECT_EQ(nested["response_format"]["json_schema"]["schema"]["type"], "object");
    const Json flat = body_of(responses, request);
    EXPECT_EQ(flat["tools"][0]["name"], "f");
    EXPECT_EQ(flat["tool_choice"]["name"], "f");
    EXPECT_EQ(flat["text"]["format"]["schema"]["type"], "object");
}

TEST(RequestRulesTest, Trap12_ArgumentsAreTextForOpenAiAndAnObjectForTheOthers) {
    const std::string arguments = R"({"z":1.50,"a":12345678901234567890})";
    const ChatRequest request = request_of(
        {Message::user("x"),
         Message(Role::assistant, {ToolCallBlock("c", "f", arguments)}),
         Message::tool_results({ToolResultBlock("c", "r")})}
    );
    const std::string as_text = R"("{\"z\":1.50,\"a\":12345678901234567890}")";
    for (const std::string_view protocol : {chat, responses}) {
        EXPECT_NE(body_text(protocol, request).find(as_text), std::string::npos) << protocol;
    }
    for (const std::string_view protocol : {anthropic, gemini}) {
        EXPECT_NE(body_text(protocol, request).find(":" + arguments), std::string::npos)
            << protocol;
    }
}

TEST(RequestRulesTest, Trap29_SchemasGoAsTheyAreUnlessAdaptingIsAskedFor) {
    const std::string schema =
        R"({"properties":{"a":{"type":"integer","minimum":1.0}},"type":"object"})";
    ChatRequest request("hi");
    request.params.response_schema = RawJson(schema);
    request.tools.emplace_back("strict", "", RawJson(schema));
    request.tools.back().strict = true;
    request.tools.emplace_back("plain", "", RawJson(schema));
    const auto times = [](const std::string& text, const std::string& part) {
        int count = 0;
        for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) {
            ++count;
        }
        return count;
    };
    for (const std::string_view protocol : all_protocols) {
        EXPECT_EQ(times(body_text(protocol, request), schema), 3) << protocol;
        ChatRequest off = request;
        off.params.adapt_schemas = false;
        EXPECT_EQ(body_text(protocol, off), body_text(protocol, request)) << protocol;
    }
    request.params.adapt_schemas = true;
    const std::string strict =
        R"({"properties":{"a":{"type":["integer","null"],"minimum":1.0}},"type":"object",)"
        R"("required":["a"],"additionalProperties":false})";
    for (const std::string_view protocol : {chat, responses}) {
        EXPECT_EQ(times(body_text(protocol, request), strict), 2) << protocol;
        EXPECT_EQ(times(body_text(protocol, request), schema), 1) << "the tool that is not strict";
    }
    const std::string closed =
        R"j({"properties":{"a":{"type":"integer","description":"(minimum: 1.0)"}},)j"
        R"j("type":"object","additionalProperties":false})j";
    EXPECT_EQ(times(body_text(anthropic, request), closed), 2);
    EXPECT_EQ(times(body_text(anthropic, request), schema), 1);
    EXPECT_EQ(times(body_text(gemini, request), schema), 3) << "it takes that already";
    request.params.response_schema = RawJson(R"({"type":"object","not":{}})");
    for (const std::string_view protocol : all_protocols) {
        const LLMError error = failure(protocol, request);
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_EQ(error.message().find("parameters.response_schema: the schema has"), 0U)
            << error.message();
    }
}

TEST(RequestRulesTest, Trap30_TheServersWordsAboutAParameterReachTheUser) {
    for (const std::string_view protocol : all_protocols) {
        HttpResponse response(400);
        response.body = R"({"type":"error","error":{"type":"invalid_request_error","status":)"
                        R"("INVALID_ARGUMENT","message":"top_p: not for this model"}})";
        const LLMError error = find_codec(protocol)->decode_error(response);
        EXPECT_NE(error.message().find("top_p: not for this model"), std::string::npos) << protocol;
    }
}

TEST(RequestRulesTest, ExtraBodyIsMergedByOneRule) {
    for (const std::string_view protocol : all_protocols) {
        ChatRequest request("hi");
        request.tools.emplace_back("f", "", RawJson());
        request.params.response_schema = RawJson(R"({"type":"object"})");
        const Json before = body_of(protocol, request);
        const std::string object = protocol == gemini      ? "generationConfig"
                                   : protocol == chat      ? "response_format"
                                   : protocol == responses ? "text"
                                                           : "output_config";
        request.params.extra_body = RawJson(
            R"({")" + object +
            R"(":{"added":{"n":1e400}},"tools":[{"type":"own"}],"model":"other","list":[1]})"
        );
        const std::string text = body_text(protocol, request);
        EXPECT_NE(text.find(R"("added":{"n":1e400})"), std::string::npos) << protocol << text;
        EXPECT_NE(text.find(R"("model":"other")"), std::string::npos) << protocol;
        EXPECT_EQ(text.find(R"("model":"m")"), std::string::npos) << protocol;
        EXPECT_NE(text.find(R"({"type":"own"}])"), std::string::npos) << "tools are appended";
        for (const auto& [name, value] : before.at(object).items()) {
            EXPECT_NE(text.find("\"" + name + "\":"), std::string::npos) << protocol << text;
        }
        // Arrays are replaced.
        request.params.extra_body = RawJson(R"({"list":[2],"messages":[],"input":[],"contents":[]})"
        );
        EXPECT_EQ(body_text(protocol, request).find("hi\""), std::string::npos) << protocol;
    }
}

TEST(RequestRulesTest, ToolsOfExtraBodyCanBeChosenAndKeptApart) {
    for (const std::string_view protocol : all_protocols) {
        ChatRequest request("hi");
        request.tool_choice = ToolChoice(ToolChoice::Mode::required);
        if (protocol != gemini) {  // which cannot be kept from calling in parallel
            request.parallel_tool_calls = false;
        }
        EXPECT_EQ(failure(protocol, request).errc(), Errc::invalid_argument) << protocol;
        request.params.extra_body = RawJson(R"({"tools":[{"type":"own"}]})");
        const Json body = body_of(protocol, request);
        EXPECT_EQ(body.at("tools"), parse_json(R"([{"type":"own"}])")) << protocol;
        if (protocol == anthropic) {
            EXPECT_EQ(
                body.at("tool_choice"),
                parse_json(R"({"type":"any","disable_parallel_tool_use":true})")
            );
        } else if (protocol == gemini) {
            EXPECT_EQ(
                body.at("toolConfig"),
                parse_json(R"({"functionCallingConfig":{"mode":"ANY"}})")
            );
        } else {
            EXPECT_EQ(body.at("tool_choice"), "required") << protocol;
            EXPECT_EQ(body.at("parallel_tool_calls"), false) << protocol;
        }
    }
}

TEST(RequestRulesTest, ErrorsOfMisplacedBlocksSayWhereTheyBelong) {
    for (const std::string_view protocol : all_protocols) {
        const auto message_of = [protocol](Role role, ContentBlock block) {
            return failure(
                       protocol,
                       request_of(
                           {Message::user("x"),
                            Message(role, std::vector<ContentBlock>{std::move(block)})}
                       )
            )
                .message();
        };
        EXPECT_EQ(
            message_of(Role::tool, TextBlock("t")),
            "a message of role tool can hold nothing but tool results; move its other blocks to a "
            "message of the user"
        ) << protocol;
        EXPECT_EQ(
            message_of(Role::user, ToolCallBlock("i", "f", "{}")),
            "a message of role user cannot hold a tool call block; it belongs into a message of "
            "the assistant"
        ) << protocol;
    }
    for (const Role role : {Role::user, Role::assistant}) {
        const UnknownBlock text("openai_responses", RawJson("\"text\""));
        const LLMError error =
            failure(responses, request_of({Message(role, std::vector<ContentBlock>{text})}));
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
        EXPECT_NE(error.message().find("an UnknownBlock of openai_responses"), std::string::npos);
    }
}

TEST(RequestRulesTest, KnownRefusalsAreErrorsBeforeSending) {
    ChatRequest request("hi");
    request.params.top_p = 0.5;
    const std::vector<std::pair<std::string_view, std::string_view>> cases{
        {chat, "o3-mini"},
        {responses, "gpt-5-nano"},
        {anthropic, "claude-opus-4-8"}};
    for (const auto& [protocol, model] : cases) {
        const LLMError error = failure(protocol, request, endpoint_of(model));
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_EQ(
            error.message(),
            "parameters.top_p is refused by the model " + std::string(model) +
                "; remove it, or set model.rules.sampling = true if the model takes it after all"
        );
        Endpoint insisting = endpoint_of(model);
        insisting.rules.sampling = true;
        EXPECT_EQ(body_of(protocol, request, insisting).at("top_p"), 0.5) << protocol;
        // The request's own model decides.
        ChatRequest other = request;
        other.model = model;
        EXPECT_EQ(failure(protocol, other).errc(), Errc::not_supported);
    }
}

TEST(RequestRulesTest, TheNameOfTheLimitAndTheRoleOfThePromptFollowTheRules) {
    ChatRequest request("hi");
    request.system = "s";
    request.params.max_tokens = 5;
    const auto limit = [&](const Endpoint& endpoint) {
        const Json body = body_of(chat, request, endpoint);
        return std::string(body.contains("max_tokens") ? "max_tokens" : "max_completion_tokens");
    };
    Endpoint endpoint = endpoint_of("m");
    EXPECT_EQ(limit(endpoint), "max_tokens");
    endpoint.model = "gpt-5-mini";
    EXPECT_EQ(limit(endpoint), "max_completion_tokens") << "whatever the profile says";
    endpoint.rules.max_completion_tokens = false;
    EXPECT_EQ(limit(endpoint), "max_tokens") << "whatever the table says";
    EXPECT_EQ(body_of(chat, request, endpoint)["messages"][0]["role"], "system");
    endpoint.rules.developer_role = true;
    EXPECT_EQ(body_of(chat, request, endpoint)["messages"][0]["role"], "developer");
    endpoint.quirks.developer_role = true;
    endpoint.rules.developer_role = false;
    EXPECT_EQ(body_of(chat, request, endpoint)["messages"][0]["role"], "system");
}

}  // namespace
}  // namespace llmproc
