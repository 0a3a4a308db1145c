// aimock answers in the protocols of four vendors: one test body for all of them.
#include <llmproc/llmproc.hpp>
#include "peers/aimock_server.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing::ChildProcess;

constexpr const char* fixtures = R"({"fixtures":[
{"match":{"userMessage":"plain"},"response":{"content":"A plain answer, longer than one piece of it."}},
{"match":{"userMessage":"think"},"response":{"content":"Done.","reasoning":"Let me think first."}},
{"match":{"userMessage":"weather","hasToolResult":false},"response":{"toolCalls":[
  {"id":"call_a1","name":"get_weather","arguments":{"city":"Lisbon"}},
  {"id":"call_b2","name":"list_cities","arguments":{}}]}},
{"match":{"userMessage":"weather","hasToolResult":true},"response":{"content":"Sunny, 24 degrees."}},
{"match":{"userMessage":"too many"},
  "response":{"error":{"message":"Slow down, please","type":"rate_limit_error"},"status":429}},
{"match":{"userMessage":"broken"},
  "response":{"error":{"message":"Something broke","type":"server_error"},"status":500}},
{"match":{"userMessage":"cut"},"truncateAfterChunks":4,
  "response":{"content":"An answer that is cut before its end comes, so it is no answer at all."}},
{"match":{"userMessage":"garbled"},"response":{"content":"x"},"chaos":{"malformedRate":1}},
{"match":{"userMessage":"gone"},"response":{"content":"x"},"chaos":{"disconnectRate":1}}
]})";

struct Protocol {
    std::string provider;
    std::string path;  ///< Of the base URL.
    /// With calls; aimock says FUNCTION_CALL where Google says STOP.
    StopReason calls_stop = StopReason::tool_use;
};

void PrintTo(const Protocol& protocol, std::ostream* out) {
    *out << protocol.provider;
}

class AimockProtocolsTest : public ::testing::TestWithParam<Protocol> {
protected:
    static void SetUpTestSuite() {
        if (testing::lack_of_aimock().empty()) {
            folder_ = std::make_unique<testing::Folder>();
            port_ = testing::start_aimock(aimock_, *folder_, fixtures);
        }
    }
    static void TearDownTestSuite() {
        aimock_.reset();
        folder_.reset();
    }
    void SetUp() override { testing::require_peers("aimock", testing::lack_of_aimock()); }

    static SyncLLMProcess start() {
        return LLMProgram::from_toml_string(
                   "[model]\nname = \"some-model\"\nprovider = \"" + GetParam().provider +
                       "\"\nbase_url = \"http://127.0.0.1:" + std::to_string(port_) +
                       GetParam().path +
                       "\"\napi_key_env = \"\"\n[parameters]\nmax_tokens = 512\n"
                       "[retry]\nmax_attempts = 1\n",
                   "aimock.toml"
        )
            .start_sync();
    }

    struct Streamed {
        std::string text;
        std::string thinking;
        int pieces = 0;
        std::vector<ToolCallBlock> calls;
        StopReason stop = StopReason::unknown;
    };

    static Streamed stream(const std::string& prompt) {
        SyncLLMProcess process = start();
        Streamed all;
        for (const StreamEvent& event : process.stream(prompt)) {
            all.text += event.text();
            all.thinking += event.thinking();
            all.pieces += event.text().empty() ? 0 : 1;
            if (event.type == StreamEvent::Type::tool_call_begin) {
                all.calls.emplace_back(event.tool_call_id, event.tool_name, "");
            } else if (event.type == StreamEvent::Type::tool_call_arguments) {
                all.calls.at(event.index).arguments += event.data;
            } else if (event.type == StreamEvent::Type::stop) {
                all.stop = event.stop_reason;
            }
        }
        return all;
    }

    static LLMError failure(const std::string& prompt, bool streamed) {
        SyncLLMProcess process = start();
        try {
            if (streamed) {
                for (const StreamEvent& event : process.stream(prompt)) {
                    EXPECT_NE(event.type, StreamEvent::Type::stop);
                }
            } else {
                EXPECT_EQ(process.run(prompt).text(), "") << "not an error";
            }
        } catch (const LLMError& error) {
            EXPECT_TRUE(process.messages().empty());
            return error;
        }
        return LLMError(Errc::internal, "the call did not fail");
    }

    static void expect_calls(const std::vector<ToolCallBlock>& calls) {
        ASSERT_EQ(calls.size(), 2U);
        EXPECT_EQ(calls[0].id, "call_a1");
        EXPECT_EQ(calls[0].name, "get_weather");
        EXPECT_EQ(calls[0].arguments, R"({"city":"Lisbon"})");
        EXPECT_EQ(calls[1].id, "call_b2");
        EXPECT_EQ(calls[1].name, "list_cities");
        EXPECT_EQ(calls[1].arguments, "{}");
    }

private:
    static inline std::unique_ptr<testing::Folder> folder_;
    static inline std::unique_ptr<ChildProcess> aimock_;
    static inline std::uint16_t port_ = 0;
};

TEST_P(AimockProtocolsTest, RunsAndStreamsTheSameText) {
    const std::string text = "A plain answer, longer than one piece of it.";
    SyncLLMProcess process = start();
    const RunResult result = process.run("plain");
    EXPECT_EQ(result.text(), text);
    EXPECT_EQ(result.stop_reason(), StopReason::end_turn);
    EXPECT_TRUE(result.usage().reported);
    const Streamed streamed = stream("plain");
    EXPECT_EQ(streamed.text, text);
    EXPECT_GT(streamed.pieces, 1);
    EXPECT_EQ(streamed.stop, StopReason::end_turn);
}

TEST_P(AimockProtocolsTest, ShowsReasoningApartFromTheAnswer) {
    const Streamed streamed = stream("think");
    EXPECT_EQ(streamed.text, "Done.");
    EXPECT_EQ(streamed.thinking, "Let me think first.");
}

TEST_P(AimockProtocolsTest, MakesARoundOfToolCalls) {
    SyncLLMProcess process = start();
    ChatRequest request("weather");
    request.params.max_tokens = 512;
    request.tools.emplace_back(
        "get_weather",
        "Current weather",
        RawJson(R"({"type":"object","properties":{"city":{"type":"string"}}})")
    );
    request.tools.emplace_back("list_cities", "Known cities", RawJson());
    const ChatReply asked = process.complete(request);
    EXPECT_EQ(asked.stop_reason, GetParam().calls_stop);
    expect_calls(asked.message.tool_calls());
    request.add(asked.message);
    request.add(Message::tool_results(
        {ToolResultBlock("call_a1", "24"), ToolResultBlock("call_b2", "no database", true)}
    ));
    const ChatReply told = process.complete(request);
    EXPECT_EQ(told.text(), "Sunny, 24 degrees.");
    EXPECT_EQ(told.stop_reason, StopReason::end_turn);
}

TEST_P(AimockProtocolsTest, StreamsToolCalls) {
    const Streamed streamed = stream("weather");
    expect_calls(streamed.calls);
    EXPECT_EQ(streamed.stop, GetParam().calls_stop);
}

TEST_P(AimockProtocolsTest, ErrorsHaveTheirCodes) {
    for (const bool streamed : {false, true}) {
        const LLMError slow = failure("too many", streamed);
        EXPECT_EQ(slow.errc(), Errc::rate_limited) << slow.what();
        EXPECT_EQ(slow.diagnostics().status, 429);
        EXPECT_EQ(slow.diagnostics().provider_message, "Slow down, please");
        const LLMError broken = failure("broken", streamed);
        EXPECT_EQ(broken.errc(), Errc::server_error) << broken.what();
        EXPECT_EQ(broken.diagnostics().provider_message, "Something broke");
    }
}

TEST_P(AimockProtocolsTest, FaultsAreErrors) {
    const LLMError cut = failure("cut", true);
    EXPECT_TRUE(cut.errc() == Errc::connection_lost || cut.errc() == Errc::truncated_stream)
        << cut.what();
    EXPECT_EQ(failure("garbled", false).errc(), Errc::malformed_response);
    EXPECT_EQ(failure("garbled", true).errc(), Errc::malformed_response);
    EXPECT_EQ(failure("gone", false).errc(), Errc::connection_lost);
    EXPECT_EQ(failure("gone", true).errc(), Errc::connection_lost);
}

INSTANTIATE_TEST_SUITE_P(
    All,
    AimockProtocolsTest,
    ::testing::Values(
        Protocol{"openai_compatible", "/v1"},
        Protocol{"openai_responses", "/v1"},
        Protocol{"anthropic", ""},
        Protocol{"gemini", "/v1beta", StopReason::unknown}
    ),
    [](const ::testing::TestParamInfo<Protocol>& protocol) { return protocol.param.provider; }
);

}  // namespace
}  // namespace llmproc
