#include "providers/tool_names.hpp"

#include "model/reply_builder.hpp"
#include "providers/stream_driver.hpp"
#include "unit/providers/request_support.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {
namespace {

using namespace testing_requests;  // NOLINT(google-build-using-namespace)

bool is_safe(std::string_view name) {
    const auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    bool safe = !name.empty() && name.size() <= 64 && letter(name.front());
    for (const char c : name) {
        safe = safe && (letter(c) || (c >= '0' && c <= '9') || c == '-');
    }
    return safe;
}

TEST(ToolNamesTest, ANameThatIsTakenStays) {
    for (const std::string_view name : {"a", "get_weather", "A-1", "_"}) {
        EXPECT_EQ(wire_tool_name(name, strict_tool_names), name);
        EXPECT_EQ(wire_tool_name(name, gemini_tool_names), name);
    }
    EXPECT_EQ(wire_tool_name(std::string(64, 'n'), strict_tool_names), std::string(64, 'n'));
    EXPECT_EQ(wire_tool_name("1st", strict_tool_names), "1st");
    EXPECT_EQ(wire_tool_name("mcp.server:tool", gemini_tool_names), "mcp.server:tool");
    EXPECT_EQ(wire_tool_name(std::string(128, 'n'), gemini_tool_names), std::string(128, 'n'));
}

TEST(ToolNamesTest, OthersBecomeSafeAndStayApart) {
    const std::vector<std::string> names{
        "",
        "a.b",
        "a:b",
        "a b",
        "a/b",
        "a..b",
        "1.b",
        "-.b",
        "\xc3\xa9t\xc3\xa9",
        "\xe5\xa4\xa9\xe6\xb0\x97",
        "\xff",
        std::string(1, '\0'),
        std::string(65, 'n'),
        std::string(66, 'n'),
        std::string(64, 'n') + ".x",
        std::string(64, 'n') + ".y",
        std::string(100'000, '.')};
    std::set<std::string> safe;
    for (const std::string& name : names) {
        const std::string wire = wire_tool_name(name, strict_tool_names);
        EXPECT_TRUE(is_safe(wire)) << wire;
        EXPECT_EQ(wire, wire_tool_name(name, strict_tool_names)) << "always the same";
        safe.insert(wire);
    }
    EXPECT_EQ(safe.size(), names.size());
    EXPECT_EQ(wire_tool_name("a.b", strict_tool_names).substr(0, 4), "a_b_");
    EXPECT_TRUE(is_safe(wire_tool_name("1st", gemini_tool_names)));
    EXPECT_TRUE(is_safe(wire_tool_name(std::string(129, 'n'), gemini_tool_names)));
}

TEST(ToolNamesTest, TheMappingIsUndone) {
    std::vector<ToolSpec> tools;
    tools.emplace_back("get_weather", "", RawJson());
    EXPECT_TRUE(ToolNames(tools).empty());
    tools.emplace_back("a.b", "", RawJson());
    tools.emplace_back("a:b", "", RawJson());
    const ToolNames names(tools);
    EXPECT_FALSE(names.empty());
    for (const ToolSpec& tool : tools) {
        std::string name = wire_tool_name(tool.name, strict_tool_names);
        names.restore(name);
        EXPECT_EQ(name, tool.name);
        names.restore(name);
        EXPECT_EQ(name, tool.name) << "a second time changes nothing";
    }
    std::string unknown = "made_up_by_the_model";
    names.restore(unknown);
    EXPECT_EQ(unknown, "made_up_by_the_model");
    Message message(
        Role::assistant,
        {TextBlock("a.b"), ToolCallBlock("1", safe_tool_name("a:b"), "")}
    );
    names.restore(message);
    EXPECT_EQ(message.tool_calls().at(0).name, "a:b");
}

TEST(ToolNamesTest, AToolThatHasSuchANameItselfIsMeantByIt) {
    std::vector<ToolSpec> tools;
    tools.emplace_back("a.b", "", RawJson());
    tools.emplace_back(safe_tool_name("a.b"), "", RawJson());
    std::string name = safe_tool_name("a.b");
    ToolNames(tools).restore(name);
    EXPECT_EQ(name, tools[1].name);
    ChatRequest request("hi");
    request.tools = tools;
    for (const std::string_view protocol : {chat, responses, anthropic}) {
        const LLMError error = failure(protocol, request);
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
        EXPECT_NE(error.message().find("\"a.b\""), std::string::npos) << error.message();
        EXPECT_NE(error.message().find("rename one"), std::string::npos) << error.message();
    }
    EXPECT_NO_THROW(body_of(gemini, request)) << "Gemini takes both";
}

TEST(ToolNamesTest, Trap28_EveryPlaceOfARequestHasTheSameName) {
    const std::string name = "files/read file";
    const std::string wire = safe_tool_name(name);
    ChatRequest request = request_of(
        {Message::user("x"),
         Message(Role::assistant, {ToolCallBlock("c1", name, "{}")}),
         Message::tool_results({ToolResultBlock("c1", "done")})}
    );
    request.tools.emplace_back(name, "d", RawJson());
    request.tool_choice = ToolChoice::tool(name);

    Json body = body_of(chat, request);
    EXPECT_EQ(body["tools"][0]["function"]["name"], wire);
    EXPECT_EQ(body["tool_choice"]["function"]["name"], wire);
    EXPECT_EQ(body["messages"][1]["tool_calls"][0]["function"]["name"], wire);

    body = body_of(responses, request);
    EXPECT_EQ(body["tools"][0]["name"], wire);
    EXPECT_EQ(body["tool_choice"]["name"], wire);
    EXPECT_EQ(body["input"][1]["name"], wire);

    body = body_of(anthropic, request);
    EXPECT_EQ(body["tools"][0]["name"], wire);
    EXPECT_EQ(body["tool_choice"]["name"], wire);
    EXPECT_EQ(body["messages"][1]["content"][0]["name"], wire);

    body = body_of(gemini, request);
    EXPECT_EQ(body["tools"][0]["functionDeclarations"][0]["name"], wire);
    EXPECT_EQ(body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"][0], wire);
    EXPECT_EQ(body["contents"][1]["parts"][0]["functionCall"]["name"], wire);
    EXPECT_EQ(body["contents"][2]["parts"][0]["functionResponse"]["name"], wire);

    for (const std::string_view protocol : all_protocols) {
        EXPECT_EQ(body_text(protocol, request).find(name), std::string::npos) << protocol;
    }
}

struct StreamCase {
    std::string_view protocol;
    std::string text;  ///< Events with a call of the tool NAME.
};

std::vector<StreamCase> streams() {
    return {
        {chat,
         R"(data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"role":"assistant",)"
         R"("tool_calls":[{"index":0,"id":"c1","type":"function","function":{"name":"NAME",)"
         R"("arguments":"{}"}}]},"finish_reason":null}]})"
         "\n\n"
         R"(data: {"id":"c","model":"m","choices":[{"index":0,"delta":{},)"
         R"("finish_reason":"tool_calls"}]})"
         "\n\ndata: [DONE]\n\n"},
        {responses,
         "event: response.output_item.added\n"
         R"(data: {"type":"response.output_item.added","sequence_number":0,"output_index":0,)"
         R"("item":{"type":"function_call","id":"fc1","call_id":"c1","name":"NAME","arguments":""}})"
         "\n\nevent: response.output_item.done\n"
         R"(data: {"type":"response.output_item.done","sequence_number":1,"output_index":0,"item":)"
         R"({"type":"function_call","id":"fc1","call_id":"c1","name":"NAME","arguments":"{}"}})"
         "\n\nevent: response.completed\n"
         R"(data: {"type":"response.completed","sequence_number":2,"response":{"id":"r","status":)"
         R"("completed","model":"m","output":[{"type":"function_call","id":"fc1","call_id":"c1",)"
         R"("name":"NAME","arguments":"{}"}]}})"
         "\n\n"},
        {anthropic,
         "event: message_start\n"
         R"(data: {"type":"message_start","message":{"id":"m1","type":"message","role":"assistant",)"
         R"("model":"m","content":[],"usage":{"input_tokens":1,"output_tokens":1}}})"
         "\n\nevent: content_block_start\n"
         R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"tool_use",)"
         R"("id":"c1","name":"NAME","input":{}}})"
         "\n\nevent: content_block_stop\n"
         R"(data: {"type":"content_block_stop","index":0})"
         "\n\nevent: message_delta\n"
         R"(data: {"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{}})"
         "\n\nevent: message_stop\n"
         R"(data: {"type":"message_stop"})"
         "\n\n"},
        {gemini,
         R"(data: {"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":"NAME",)"
         R"("args":{}}}]},"finishReason":"STOP"}]})"
         "\n\n"},
    };
}

TEST(ToolNamesTest, Trap28_CallsInStreamsGetTheToolsOwnName) {
    std::vector<ToolSpec> tools;
    tools.emplace_back("files/read file", "", RawJson());
    const ToolNames names(tools);
    for (StreamCase& one : streams()) {
        const std::string wire = safe_tool_name(tools[0].name);
        for (std::size_t at = one.text.find("NAME"); at != one.text.npos;
             at = one.text.find("NAME", at)) {
            one.text.replace(at, 4, wire);
        }
        StreamDriver driver(find_codec(one.protocol)->stream_decoder(), wire::SseLimits());
        StreamEvents events;
        driver.feed(one.text, events);
        driver.finish(events);
        ReplyBuilder builder;
        int calls = 0;
        for (StreamEvent& event : events) {
            calls += event.tool_name == wire ? 1 : 0;
            names.restore(event);
            EXPECT_NE(event.tool_name, wire);
            builder.add(event);
        }
        EXPECT_EQ(calls, 1) << one.protocol;
        ChatReply reply = builder.finish();
        driver.decoder().complete(reply);
        names.restore(reply.message);
        ASSERT_EQ(reply.message.tool_calls().size(), 1U) << one.protocol;
        EXPECT_EQ(reply.message.tool_calls()[0].name, tools[0].name) << one.protocol;
        EXPECT_EQ(reply.message.to_json().find(wire), std::string::npos) << one.protocol;
    }
}

}  // namespace
}  // namespace llmproc::providers
