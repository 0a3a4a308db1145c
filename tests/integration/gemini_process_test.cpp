#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing::Reply;
using testing::ScriptedServer;

/// A backoff of an hour: only the server's hint makes a retry come soon.
SyncLLMProcess start(const ScriptedServer& server) {
    const std::string ca = server.ca_file();
    return LLMProgram::from_toml_string(
               "[model]\nname = \"gemini-3.8-flash\"\nprovider = \"google\"\napi_key_env = \"\"\n"
               "base_url = \"" +
                   server.url() + "/v1beta\"\n[retry]\ninitial_delay = 3600\n[connection]\n" +
                   (ca.empty() ? std::string() : "ca_file = \"" + ca + "\"\n"),
               "test.toml"
    )
        .start_sync();
}

TEST(GeminiProcessTest, AStreamIsReadAndItsSignatureGoesBack) {
    ScriptedServer server;
    server.push(Reply::sse(
        {R"({"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"}}]})",
         R"({"candidates":[{"content":{"parts":[{"text":"lo"},)"
         R"({"text":"","thoughtSignature":"c2ln"}]},"finishReason":"STOP"}]})"}
    ));
    server.push(Reply::json(
        R"({"candidates":[{"content":{"parts":[{"text":"bye"}]},"finishReason":"STOP"}]})"
    ));
    SyncLLMProcess process = start(server);
    std::string text;
    for (const StreamEvent& event : process.stream("hi")) {
        text += event.text();
    }
    EXPECT_EQ(text, "Hello");
    EXPECT_EQ(process.run("more").text(), "bye");
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(requests[0].target, "/v1beta/models/gemini-3.8-flash:streamGenerateContent?alt=sse");
    EXPECT_EQ(requests[1].target, "/v1beta/models/gemini-3.8-flash:generateContent");
    EXPECT_EQ(
        requests[1].body,
        R"({"contents":[{"role":"user","parts":[{"text":"hi"}]},)"
        R"({"role":"model","parts":[{"text":"Hello"},{"text":"","thoughtSignature":"c2ln"}]},)"
        R"({"role":"user","parts":[{"text":"more"}]}]})"
    );
}

TEST(GeminiProcessTest, TheHintInTheBodyOfARefusalIsObeyed) {
    ScriptedServer server;
    server.push(
        Reply::json(R"({"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"slow",)"
                    R"("details":[{"retryDelay":"0.003s"}]}})")
            .with_status(429)
    );
    server.push(Reply::json(
        R"({"candidates":[{"content":{"parts":[{"text":"ok"}]},"finishReason":"STOP"}]})"
    ));
    EXPECT_EQ(start(server).run("hi").attempts(), 2);
}

}  // namespace
}  // namespace llmproc
