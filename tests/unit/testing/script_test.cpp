#include <llmproc/testing/script.hpp>
#include "blocking_client.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::testing {
namespace {

TEST(ScriptTest, ServesTheScriptedAnswersInOrder) {
    const std::string script = R"({
        "https": false, "host": "127.0.0.1", "keep_alive_requests": 100, "idle_timeout_ms": 60000,
        "replies": [
            {"status": 429, "headers": {"Retry-After": "1"}, "json": {"error": "slow"}, "repeat": 2},
            {"openai_stream": ["a", "b"], "piece_delay_ms": 1},
            {"openai_text": "hello"},
            {"openai_tool_calls": [{"id": "c", "name": "f", "arguments": {"x": 1}}]},
            {"pieces": ["x", "y"], "framing": "content_length", "split_every": 3},
            {"body": "cut", "truncate_after": 10}
        ],
        "default": {"status": 418}
    })";
    ScriptedServer server(script_options(script));
    apply_script(script, server);
    BlockingClient client(server);
    for (int i = 0; i < 2; ++i) {
        const auto limited = client.get("/");
        EXPECT_EQ(limited.result_int(), 429U);
        EXPECT_EQ(limited["Retry-After"], "1");
        EXPECT_EQ(limited.body(), R"({"error":"slow"})");
    }
    EXPECT_NE(client.get("/").body().find("[DONE]"), std::string::npos);
    EXPECT_NE(client.get("/").body().find("hello"), std::string::npos);
    EXPECT_NE(client.get("/").body().find("tool_calls"), std::string::npos);
    EXPECT_EQ(client.get("/").body(), "xy");
    client.send_get("/");
    EXPECT_EQ(client.read_to_end(), "HTTP/1.1 2");
    EXPECT_EQ(BlockingClient(server).get("/").result_int(), 418U);
}

TEST(ScriptTest, EchoesByDefault) {
    ScriptedServer server(ServerOptions().https(false));
    apply_script("{}", server);
    BlockingClient client(server);
    client.send_post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"hi"}]})");
    EXPECT_NE(client.read().body().find("You said: hi"), std::string::npos);
}

TEST(ScriptTest, NamesThePlaceOfEachMistake) {
    const std::vector<std::pair<std::string, std::string>> cases = {
        {"{", "$"},
        {"[]", "$: expected an object"},
        {R"({"reply": []})", "$.reply: unknown key"},
        {R"({"replies": {}})", "$.replies: expected an array"},
        {R"({"replies": [{}, {"stauts": 1}]})", "$.replies[1].stauts: unknown key"},
        {R"({"replies": [{"status": -1}]})", "$.replies[0].status: expected a whole number"},
        {R"({"replies": [{"body": "", "raw": ""}]})", "'body' and 'raw' exclude each other"},
        {R"({"replies": [{"hold": 1}]})", "$.replies[0].hold: expected true or false"},
        {R"({"replies": [{"framing": "x"}]})", "$.replies[0].framing: expected content_length"},
        {R"({"replies": [{"openai_tool_calls": [{}]}]})", "openai_tool_calls[0].id: missing"},
        {R"({"default": 1})", "$.default: expected an object"},
    };
    ScriptedServer server(ServerOptions().https(false));
    for (const auto& [script, expected] : cases) {
        try {
            apply_script(script, server);
            ADD_FAILURE() << "accepted: " << script;
        } catch (const std::runtime_error& error) {
            EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
        }
    }
    EXPECT_THROW(script_options(R"({"port": 65536})"), std::runtime_error);
}

}  // namespace
}  // namespace llmproc::testing
