// Answers that are meant to exhaust or confuse a client, through a whole process, for each protocol:
// a typed error within the limits of the program file, and the process goes on.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <vector>

namespace llmproc {
namespace {

using testing::Reply;
using testing::ScriptedServer;

constexpr std::size_t limit = std::size_t{256} << 10U;

struct HostileProtocol {
    std::string provider;
    std::string path;    ///< Of the base URL.
    std::string begin;   ///< Events before the text.
    std::string before;  ///< An event with text: what stands before it,
    std::string behind;  ///< and behind it.
    std::string reply;   ///< A whole answer that says "fine".
};

void PrintTo(const HostileProtocol& protocol, std::ostream* out) {
    *out << protocol.provider;
}

const std::vector<HostileProtocol>& hostile_protocols() {
    static const std::vector<HostileProtocol> all{
        {"openai_compatible",
         "/v1",
         "",
         R"(data: {"choices":[{"index":0,"delta":{"content":")",
         R"("}}]})",
         R"({"choices":[{"index":0,"message":{"role":"assistant","content":"fine"},)"
         R"("finish_reason":"stop"}]})"},
        {"openai_responses",
         "/v1",
         "",
         R"(data: {"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":")",
         R"("})",
         R"({"id":"r","status":"completed","output":[{"type":"message","id":"m","role":"assistant",)"
         R"("status":"completed","content":[{"type":"output_text","text":"fine","annotations":[]}]}]})"},
        {"anthropic",
         "",
         "data: {\"type\":\"message_start\",\"message\":{\"id\":\"m\"}}\n\n"
         "data: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":"
         "{\"type\":\"text\",\"text\":\"\"}}\n\n",
         R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":")",
         R"("}})",
         R"({"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"fine"}],)"
         R"("stop_reason":"end_turn"})"},
        {"gemini",
         "/v1beta",
         "",
         R"(data: {"candidates":[{"content":{"role":"model","parts":[{"text":")",
         R"("}]}}]})",
         R"({"candidates":[{"content":{"role":"model","parts":[{"text":"fine"}]},)"
         R"("finishReason":"STOP"}]})"}};
    return all;
}

class HostileServerTest : public ::testing::TestWithParam<HostileProtocol> {
protected:
    SyncLLMProcess start() const {
        const std::string text = "[model]\nname = \"test-model\"\nprovider = \"" +
                                 GetParam().provider + "\"\nbase_url = \"" + server_.url() +
                                 GetParam().path +
                                 "\"\napi_key_env = \"\"\n[parameters]\nmax_tokens = 100\n"
                                 "[retry]\nmax_attempts = 1\n[connection]\nca_file = \"" +
                                 server_.ca_file() +
                                 "\"\nmax_body_bytes = " + std::to_string(limit) +
                                 "\nmax_header_bytes = 4096\n";
        return LLMProgram::from_toml_string(text, "hostile.toml").start_sync();
    }

    Reply stream_of(std::string events) const {
        return Reply()
            .header("content-type", "text/event-stream")
            .body(GetParam().begin + std::move(events));
    }

    std::string event(const std::string& text) const {
        return GetParam().before + text + GetParam().behind + "\n\n";
    }

    /// What the stream ends in. Whatever it is, the conversation stays empty and the next call works.
    LLMError failure_of_stream(Reply reply) {
        server_.push(std::move(reply));
        return failure([](SyncLLMProcess& process) {
            for (const StreamEvent& event : process.stream("hi")) {
                EXPECT_LE(event.data.size(), limit);
            }
        });
    }

    LLMError failure_of_run(Reply reply) {
        server_.push(std::move(reply));
        return failure([](SyncLLMProcess& process) { static_cast<void>(process.run("hi")); });
    }

private:
    template <class Call>
    LLMError failure(Call call) {
        SyncLLMProcess process = start();
        try {
            call(process);
        } catch (const LLMError& error) {
            EXPECT_TRUE(process.messages().empty());
            EXPECT_LT(error.message().size(), 8192U);
            server_.push(Reply::json(GetParam().reply));
            EXPECT_EQ(process.run("again").text(), "fine");
            return error;
        }
        ADD_FAILURE() << "no error";
        return LLMError(Errc::internal, "no error");
    }

    ScriptedServer server_;
};

TEST_P(HostileServerTest, AStreamWithoutEnd) {
    const std::string piece = event(std::string(1000, 'x'));
    std::string events;
    while (events.size() < 8 * limit) {
        events += piece;
    }
    const LLMError error = failure_of_stream(stream_of(std::move(events)));
    EXPECT_EQ(error.errc(), Errc::body_too_large) << error.what();
    EXPECT_NE(error.message().find("connection.max_body_bytes"), std::string::npos);
    EXPECT_GT(error.diagnostics().partial_text.size(), limit / 2);
    EXPECT_LE(error.diagnostics().partial_text.size(), limit);
}

TEST_P(HostileServerTest, AStreamOfOneLine) {
    const LLMError error = failure_of_stream(stream_of("data: " + std::string(8 * limit, '[')));
    EXPECT_EQ(error.errc(), Errc::body_too_large) << error.what();
}

TEST_P(HostileServerTest, AStreamOfNothing) {
    std::string events;
    while (events.size() < 2 * limit) {
        events += ": wait\n\n" + event("");
    }
    const LLMError error = failure_of_stream(stream_of(std::move(events)));
    EXPECT_EQ(error.errc(), Errc::body_too_large) << error.what();
    EXPECT_TRUE(error.diagnostics().partial_text.empty());
}

TEST_P(HostileServerTest, AStreamedEventOfGreatDepth) {
    const std::string deep(10000, '[');
    const LLMError error = failure_of_stream(
        stream_of(event("so far") + R"(data: {"type":"message_start","choices":)" + deep + "\n\n")
    );
    EXPECT_TRUE(error.errc() == Errc::malformed_response || error.errc() == Errc::truncated_stream)
        << error.what();
    EXPECT_EQ(error.diagnostics().partial_text, "so far");
}

TEST_P(HostileServerTest, AReplyThatIsTooLong) {
    const LLMError error = failure_of_run(Reply::json("\"" + std::string(2 * limit, 'x') + "\""));
    EXPECT_EQ(error.errc(), Errc::body_too_large) << error.what();
}

TEST_P(HostileServerTest, AReplyOfGreatDepth) {
    for (const char* start : {"", R"({"choices":)", R"({"output":)", R"({"content":)"}) {
        const LLMError error = failure_of_run(Reply::json(start + std::string(10000, '[')));
        EXPECT_EQ(error.errc(), Errc::malformed_response) << error.what();
    }
}

TEST_P(HostileServerTest, AReplyThatIsNoUtf8) {
    std::string reply = GetParam().reply;
    reply.replace(reply.find("fine"), 4, "\xff\xfe\xc0\x80");
    const LLMError error = failure_of_run(Reply::json(std::move(reply)));
    EXPECT_EQ(error.errc(), Errc::malformed_response) << error.what();
}

TEST_P(HostileServerTest, AHugeHeader) {
    const LLMError error = failure_of_run(
        Reply::json(GetParam().reply).header("x-big", std::string(100000, 'x'))
    );
    EXPECT_EQ(error.errc(), Errc::header_too_large) << error.what();
}

TEST_P(HostileServerTest, AnErrorWithoutEnd) {
    const LLMError error = failure_of_run(
        Reply::json(R"({"error":{"message":")" + std::string(8 * limit, 'x')).with_status(500)
    );
    EXPECT_EQ(error.errc(), Errc::server_error) << error.what();
}

INSTANTIATE_TEST_SUITE_P(
    All,
    HostileServerTest,
    ::testing::ValuesIn(hostile_protocols()),
    [](const ::testing::TestParamInfo<HostileProtocol>& protocol) {
        return protocol.param.provider;
    }
);

}  // namespace
}  // namespace llmproc
