// Trap 28: a tool's name that the provider refuses is another one on the wire, and nowhere else.
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing::Reply;
using testing::ScriptedServer;

constexpr const char* own_name = "files/read file";

LLMProgram provider_program(const ScriptedServer& server, const std::string& provider) {
    return LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"" + provider + "\"\nbase_url = \"" + server.url() +
            "\"\napi_key = \"k\"\nallow_inline_key = true\n[connection]\nca_file = \"" +
            server.ca_file() + "\"\n",
        "test.toml"
    );
}

struct Vendor {
    std::string provider;
    std::string name_at;  ///< Where the tool's name is in a request.
    std::string before;   ///< An answer with a call of the tool, up to its name.
    std::string after;
};

std::vector<Vendor> vendors() {
    return {
        {"openai_chat",
         "/tools/0/function/name",
         R"({"id":"c","model":"m","choices":[{"index":0,"finish_reason":"tool_calls","message":{)"
         R"("role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",)"
         R"("function":{"name":")",
         R"(","arguments":"{}"}}]}}]})"},
        {"openai_responses",
         "/tools/0/name",
         R"({"id":"r","status":"completed","model":"m","output":[{"type":"function_call",)"
         R"("id":"fc1","call_id":"c1","name":")",
         R"(","arguments":"{}","status":"completed"}]})"},
        {"anthropic",
         "/tools/0/name",
         R"({"id":"m1","type":"message","role":"assistant","model":"m","content":[{"type":)"
         R"("tool_use","id":"c1","name":")",
         R"(","input":{}}],"stop_reason":"tool_use","usage":{"input_tokens":1,"output_tokens":1}})"},
        {"gemini",
         "/tools/0/functionDeclarations/0/name",
         R"({"candidates":[{"content":{"role":"model","parts":[{"functionCall":{"name":")",
         R"(","args":{}}}]},"finishReason":"STOP"}]})"},
    };
}

ChatRequest asking() {
    ChatRequest request("read it");
    request.tools.emplace_back(own_name, "", RawJson(R"({"type":"object"})"));
    return request;
}

class ToolNamesProcessTest : public ::testing::TestWithParam<Vendor> {};

TEST_P(ToolNamesProcessTest, Trap28_TheModelsCallHasTheToolsOwnName) {
    const Vendor& vendor = GetParam();
    ScriptedServer server;
    server.handle([&](const testing::RecordedRequest& request) {
        const Json body = parse_json(request.body);
        const auto& name =
            body.at(Json::json_pointer(vendor.name_at)).get_ref<const std::string&>();
        return Reply::json(vendor.before + name + vendor.after);
    });
    SyncLLMProcess process = provider_program(server, vendor.provider).start_sync();
    ChatRequest request = asking();
    for (int round = 0; round < 2; ++round) {
        const ChatReply reply = process.complete(request);
        const std::vector<ToolCallBlock> calls = reply.message.tool_calls();
        ASSERT_EQ(calls.size(), 1U);
        EXPECT_EQ(calls[0].name, own_name);
        request.add(reply.message);
        request.add(Message::tool_results({ToolResultBlock(calls[0].id, "text")}));
    }
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    for (const auto& sent : requests) {
        EXPECT_EQ(sent.body.find(own_name), std::string::npos) << sent.body;
    }
}

INSTANTIATE_TEST_SUITE_P(
    Vendors,
    ToolNamesProcessTest,
    ::testing::ValuesIn(vendors()),
    [](const ::testing::TestParamInfo<Vendor>& vendor) { return vendor.param.provider; }
);

}  // namespace
}  // namespace llmproc
