// No line of a log shows a key or a token.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/log_lines.hpp"

#include <boost/asio/awaitable.hpp>
#include <gtest/gtest.h>

#include <exception>
#include <string>

namespace llmproc::testing {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> fail(std::exception_ptr error) {
    std::rethrow_exception(error);
    co_return;
}

/// A run, a stream, and a run that is refused with a text that quotes `secret`; the log has all that
/// the library says about them, and the failure once more as one of background work.
void expect_no_line_with(const std::string& secret, const LLMProgram& program) {
    const LogLines log;
    SyncLLMProcess process = program.start_sync();
    EXPECT_EQ(process.run("whole").text(), "one");
    EXPECT_EQ(process.stream("streamed").result().text(), "two");
    std::exception_ptr failure;
    try {
        process.run("refused");
    } catch (const LLMError&) {
        failure = std::current_exception();
    }
    ASSERT_TRUE(failure);
    process.spawn(fail(failure));
    process.run("whole");
    process.close();
    EXPECT_EQ(log.count(LogLevel::error, "background work: "), 1U);
    EXPECT_EQ(log.count(LogLevel::error, "bad token [redacted]"), 1U);
    for (const LogLevel level :
         {LogLevel::debug, LogLevel::info, LogLevel::warning, LogLevel::error}) {
        EXPECT_EQ(log.count(level, secret), 0U) << to_string(level);
    }
}

TEST(LogSecretsTest, Trap21_NoLineHasAKeyOrAToken) {
    const std::string secret = "sk-not-for-anybody";
    ScriptedServer server;
    server.handle([&secret](const RecordedRequest& request) {
        if (request.body.find("refused") != std::string::npos) {
            return Reply::json(R"({"error":{"message":"bad token )" + secret + R"("}})")
                .with_status(401);
        }
        const bool streamed = request.body.find("\"stream\":true") != std::string::npos;
        return streamed ? openai_chat_stream({"two"}) : openai_chat_reply("one");
    });
    const std::string text =
        "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\nbase_url = \"" +
        server.base_url() + "\"\n";
    const std::string connection = "[connection]\nca_file = \"" + server.ca_file() + "\"\n";
    expect_no_line_with(
        secret,
        LLMProgram::from_toml_string(
            text + "api_key = \"" + secret + "\"\nallow_inline_key = true\n" + connection
        )
    );
    expect_no_line_with(
        secret,
        LLMProgram::from_toml_string(text + connection).with_token_provider([&secret] {
            return AccessToken(Secret(secret));
        })
    );
    for (const RecordedRequest& request : server.requests()) {
        EXPECT_EQ(request.header("authorization"), "Bearer " + secret);
    }
}

}  // namespace
}  // namespace llmproc::testing
