// Bearer tokens of a callback, through whole processes.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/openai_responses.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/system_support.hpp"
#include "support/test_program.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace llmproc::testing {
namespace {

namespace asio = boost::asio;

std::string bearer(const RecordedRequest& request) {
    return request.header("authorization");
}

/// Tokens t1, t2, ... and how many there were.
struct Counter {
    std::atomic<int> asked{0};

    AccessToken next() { return AccessToken(Secret("t" + std::to_string(++asked))); }
};

Reply refused(const std::string& quoted) {
    return Reply::json(R"({"error":{"message":"bad token )" + quoted + R"("}})").with_status(401);
}

/// Every endpoint of Responses.
Reply endpoint(const RecordedRequest& request) {
    const std::string path = request.target.substr(0, request.target.find('?'));
    if (path.ends_with("/embeddings")) {
        return Reply::json(R"({"data":[{"embedding":[1]}]})");
    }
    if (path.ends_with("/models")) {
        return Reply::json(R"({"data":[{"id":"a-model"}]})");
    }
    if (path.ends_with("/input_tokens")) {
        return Reply::json(R"({"object":"response.input_tokens","input_tokens":7})");
    }
    return openai_responses_echo(request);
}

TEST(TokenProviderTest, EveryKindOfCallCarriesTheTokenAndNoKey) {
    for (const std::string provider : {"openai_responses", "azure_openai_responses"}) {
        SCOPED_TRACE(provider);
        ScriptedServer server;
        server.handle(endpoint);
        const LLMProgram program = LLMProgram::from_toml_string(
            "[model]\nname = \"m\"\nembedding_model = \"e\"\nprovider = \"" + provider +
            "\"\nbase_url = \"" + server.url() + "/openai/v1\"\n[connection]\nca_file = \"" +
            server.ca_file() + "\"\n"
        );
        const auto counter = std::make_shared<Counter>();
        SyncLLMProcess process = program.with_token_provider([counter] { return counter->next(); }
        ).start_sync();
        EXPECT_EQ(process.run("a").text(), "You said: a");
        EXPECT_EQ(process.stream("b").result().text(), "You said: b");
        EXPECT_EQ(process.complete(ChatRequest("c")).text(), "You said: c");
        EXPECT_EQ(process.count_tokens().input_tokens, 7);
        EXPECT_EQ(process.embed({"d"}).vectors.size(), 1U);
        EXPECT_EQ(process.list_models().size(), 1U);
        const auto requests = server.requests();
        ASSERT_EQ(requests.size(), 6U);
        for (const RecordedRequest& request : requests) {
            EXPECT_EQ(bearer(request), "Bearer t1") << request.target;
            EXPECT_FALSE(request.has_header("api-key")) << request.target;
            EXPECT_EQ(request.target.find("key="), std::string::npos) << request.target;
        }
        EXPECT_EQ(counter->asked, 1);
    }
}

TEST(TokenProviderTest, ALargeRequestIsSentWholeAgainAfterARefusal) {
    ScriptedServer server;
    server.push(refused("t1"));
    server.push(openai_chat_reply("read"));
    const auto counter = std::make_shared<Counter>();
    SyncLLMProcess process =
        program_for(server).with_token_provider([counter] { return counter->next(); }).start_sync();
    const std::string large(3UL * 1024 * 1024, 'x');
    EXPECT_EQ(process.run(large).text(), "read");
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_NE(requests[0].body.find(large), std::string::npos);
    EXPECT_EQ(requests[0].body, requests[1].body);
}

TEST(TokenProviderTest, NoKeyIsReadOrSentInItsPlace) {
    ScriptedServer server(ServerOptions().https(false));
    server.default_reply(openai_chat_reply("hi"));
    const LLMProgram program = LLMProgram::from_toml_string(
        "[model]\nname = \"m\"\nprovider = \"azure_openai\"\napi_key_env = \"NOT_SET_ANYWHERE\"\n"
        "base_url = \"" +
        server.url() + "\"\n"
    );
    EXPECT_THROW(static_cast<void>(program.start_sync()), ConfigError);
    SyncLLMProcess process =
        program.with_token_provider([] { return AccessToken(Secret("entra")); }).start_sync();
    EXPECT_EQ(process.run("a").text(), "hi");
    EXPECT_EQ(bearer(server.requests().at(0)), "Bearer entra");
    EXPECT_FALSE(server.requests().at(0).has_header("api-key"));
}

TEST(TokenProviderTest, AHundredCallsOfSeveralProcessesAskOnce) {
    ScriptedServer server;
    server.handle([](const RecordedRequest&) { return openai_chat_reply("hi"); });
    const auto counter = std::make_shared<Counter>();
    const LLMProgram program = program_for(server).with_token_provider([counter] {
        return counter->next();
    });
    std::vector<std::jthread> threads;
    threads.reserve(4);
    std::atomic<int> answered{0};
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&program, &answered] {
            asio::io_context io;
            std::vector<AsyncLLMProcess> processes;
            for (int call = 0; call < 25; ++call) {
                processes.push_back(program.start(io.get_executor()));
                processes.back().async_run(
                    "x",
                    RunOptions(),
                    [&answered](const std::exception_ptr& error, const RunResult&) {
                        answered += error ? 0 : 1;
                    }
                );
            }
            io.run();
        });
    }
    threads.clear();
    EXPECT_EQ(answered, 100);
    EXPECT_EQ(counter->asked, 1);
}

TEST(TokenProviderTest, ARefusedTokenIsReplacedOnceOnTheSameConnection) {
    ScriptedServer server;
    server.push(refused("t1"));
    server.push(openai_chat_reply("welcome"));
    const auto counter = std::make_shared<Counter>();
    SyncLLMProcess process =
        program_for(server).with_token_provider([counter] { return counter->next(); }).start_sync();
    const RunResult result = process.run("a");
    EXPECT_EQ(result.text(), "welcome");
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 2U);
    EXPECT_EQ(bearer(requests[0]), "Bearer t1");
    EXPECT_EQ(bearer(requests[1]), "Bearer t2");
    EXPECT_EQ(requests[0].body, requests[1].body);
    EXPECT_EQ(server.stats().accepts, 1U);
}

TEST(TokenProviderTest, ASecondRefusalIsTheErrorAndShowsNoToken) {
    ScriptedServer server;
    server.handle([](const RecordedRequest& request) { return refused(bearer(request)); });
    const auto counter = std::make_shared<Counter>();
    SyncLLMProcess process = program_for(server, "", prompt_retry)
                                 .with_token_provider([counter] {
                                     return AccessToken(
                                         Secret("secret-" + std::to_string(++counter->asked))
                                     );
                                 })
                                 .start_sync();
    try {
        static_cast<void>(process.run("a"));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::authentication_failed);
        EXPECT_EQ(error.diagnostics().status, 401);
        EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos);
        EXPECT_EQ(error.diagnostics().provider_message.find("secret"), std::string::npos);
        EXPECT_NE(error.diagnostics().provider_message.find("[redacted]"), std::string::npos);
    }
    EXPECT_EQ(server.requests().size(), 2U);
    EXPECT_EQ(counter->asked, 2);
    EXPECT_TRUE(process.messages().empty());
}

TEST(TokenProviderTest, AnErrorInsideASuccessShowsNoTokenEither) {
    ScriptedServer server;
    const std::string body =
        R"({"error":{"message":"wrong secret-1","type":"t secret-1","code":"c secret-1"}})";
    server.push(Reply::json(body));
    server.push(Reply::sse({body}));
    SyncLLMProcess process =
        program_for(server).with_token_provider([] { return AccessToken(Secret("secret-1")); }
        ).start_sync();
    const auto check = [](const LLMError& error) {
        const Diagnostics& said = error.diagnostics();
        EXPECT_EQ(said.status, 200);
        EXPECT_EQ(said.provider_message, "wrong [redacted]");
        EXPECT_EQ(said.provider_type, "t [redacted]");
        EXPECT_EQ(said.provider_code, "c [redacted]");
        EXPECT_EQ(std::string(error.what()).find("secret"), std::string::npos) << error.what();
        EXPECT_EQ(error.message().find("secret"), std::string::npos) << error.message();
    };
    try {
        static_cast<void>(process.run("a"));
        ADD_FAILURE();
    } catch (const LLMError& error) {
        check(error);
    }
    try {
        static_cast<void>(process.stream("a").result());
        ADD_FAILURE();
    } catch (const LLMError& error) {
        check(error);
    }
}

TEST(TokenProviderTest, AFailingProviderFailsTheCallAndSendsNothing) {
    ScriptedServer server;
    server.default_reply(openai_chat_reply("hi"));
    const auto counter = std::make_shared<Counter>();
    SyncLLMProcess process = program_for(server, "", prompt_retry)
                                 .with_token_provider([counter]() -> AccessToken {
                                     if (++counter->asked == 1) {
                                         throw std::runtime_error("metadata server is down");
                                     }
                                     return AccessToken(Secret("t"));
                                 })
                                 .start_sync();
    try {
        static_cast<void>(process.run("a"));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::authentication_failed);
        EXPECT_NE(std::string(error.what()).find("metadata server is down"), std::string::npos);
        EXPECT_EQ(error.diagnostics().attempts, 1);
    }
    EXPECT_EQ(server.requests().size(), 0U);
    EXPECT_EQ(process.run("b").text(), "hi");
    EXPECT_EQ(counter->asked, 2);
}

TEST(TokenProviderTest, ACoroutineRunsOnTheLoopOfTheCall) {
    ScriptedServer server;
    server.default_reply(openai_chat_reply("hi"));
    asio::io_context io;
    std::thread::id where;
    AsyncLLMProcess process = program_for(server)
                                  .with_token_provider([&where]() -> asio::awaitable<AccessToken> {
                                      where = std::this_thread::get_id();
                                      co_return AccessToken(Secret("from-a-coroutine"));
                                  })
                                  .start(io.get_executor());
    std::string text;
    process.async_run(
        "x",
        RunOptions(),
        [&text](const std::exception_ptr& error, const RunResult& result) {
            text = error ? "failed" : result.text();
        }
    );
    io.run();
    EXPECT_EQ(text, "hi");
    EXPECT_EQ(where, std::this_thread::get_id());
    EXPECT_EQ(bearer(server.requests().at(0)), "Bearer from-a-coroutine");
}

TEST(TokenProviderTest, ProcessesOfOneProgramShareTheTokenAndOtherProgramsDoNot) {
    ScriptedServer server;
    server.default_reply(openai_chat_reply("hi"));
    const auto counter = std::make_shared<Counter>();
    const auto next = [counter] { return counter->next(); };
    const LLMProgram program = program_for(server).with_token_provider(next);
    for (int i = 0; i < 2; ++i) {
        SyncLLMProcess process = program.start_sync();
        static_cast<void>(process.run("x"));
    }
    EXPECT_EQ(counter->asked, 1);
    SyncLLMProcess other = program_for(server).with_token_provider(next).start_sync();
    static_cast<void>(other.run("x"));
    EXPECT_EQ(counter->asked, 2);
}

TEST(TokenProviderTest, AChildOfForkFetchesItsOwnWhileTheParentsFetchHangs) {
    if (!can_fork) {
        GTEST_SKIP() << "no child under ThreadSanitizer";
    }
    ScriptedServer server;
    server.handle([](const RecordedRequest& request) { return openai_chat_reply(bearer(request)); }
    );
    std::promise<void> entered;
    std::promise<void> gate;
    const std::shared_future<void> open = gate.get_future().share();
    const pid_t parent = ::getpid();
    const LLMProgram program = program_for(server).with_token_provider([&entered, open, parent] {
        if (::getpid() != parent) {
            return AccessToken(Secret("child"));
        }
        entered.set_value();
        open.wait();
        return AccessToken(Secret("parent"));
    });
    SyncLLMProcess process = program.start_sync();
    std::future<std::string> answer = std::async(std::launch::async, [&process] {
        return process.run("x").text();
    });
    entered.get_future().wait();
    const int code = run_in_fork([&program](Checks& checks) {
        for (int i = 0; i < 2; ++i) {
            SyncLLMProcess own = program.start_sync();
            checks.require(own.run("x").text() == "Bearer child", "the child has its own token");
        }
    });
    EXPECT_EQ(code, 0);
    gate.set_value();
    EXPECT_EQ(answer.get(), "Bearer parent");
}

TEST(TokenProviderTest, AMarginBeyondADayOrBelowZeroIsRefused) {
    ScriptedServer server;
    for (const std::chrono::seconds margin :
         {std::chrono::seconds(-1), std::chrono::seconds(86'401), std::chrono::seconds::max()}) {
        TokenProvider provider([] { return AccessToken(Secret("t")); });
        provider.margin(margin);
        try {
            static_cast<void>(program_for(server).with_token_provider(provider));
            ADD_FAILURE() << "taken: " << margin.count();
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::invalid_argument);
        }
    }
    TokenProvider longest([] { return AccessToken(Secret("t")); });
    longest.margin(std::chrono::hours(24));
    EXPECT_NO_THROW(static_cast<void>(program_for(server).with_token_provider(longest)));
}

TEST(TokenProviderTest, AnEmptyFunctionIsRefused) {
    ScriptedServer server;
    try {
        static_cast<void>(program_for(server).with_token_provider(TokenProvider::Function()));
        FAIL();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
    }
}

}  // namespace
}  // namespace llmproc::testing
