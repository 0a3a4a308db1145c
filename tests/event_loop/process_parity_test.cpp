#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/parity_support.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <regex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using testing::describe;
using testing::openai_chat_reply;
using testing::openai_chat_stream;
using testing::openai_error_reply;
using testing::Reply;
using testing::ScriptedServer;
using testing::Subject;
using testing::watchdog;
using Options = std::optional<RunOptions>;

/// A call that gives a text of its value.
struct Method {
    const char* name;
    bool sends;
    bool streams;
    bool takes_options;
    std::function<std::string(Subject&, const Options&)> call;
};

using Call = std::function<std::string(Subject&, const Options&)>;

/// Each call by its overload with options and by the one without.
std::vector<Method> with_and_without_options(const std::vector<std::pair<const char*, Call>>& calls
) {
    std::vector<Method> methods;
    for (const auto& [name, call] : calls) {
        methods.push_back({name, true, false, true, call});
        methods.push_back({name, true, false, false, [call = call](Subject& s, const Options&) {
                               return call(s, std::nullopt);
                           }});
    }
    return methods;
}

std::vector<Method> methods_that_send() {
    const auto prompt = [] { return std::string("a question"); };
    const auto message = [] { return Message::user("a message"); };
    std::vector<Method> methods = with_and_without_options({
        {"run(string)", [=](Subject& s, const Options& o) { return describe(s.run(prompt(), o)); }},
        {"run(Message)",
         [=](Subject& s, const Options& o) { return describe(s.run(message(), o)); }},
        {"run_as", [=](Subject& s, const Options& o) { return s.run_as(prompt(), o); }},
        {"run_typed",
         [=](Subject& s, const Options& o) { return describe(s.run_typed(message(), o)); }},
        {"complete",
         [](Subject& s, const Options& o) {
             return describe(s.complete(ChatRequest("alone"), o));
         }},
    });
    methods.push_back({"stream + result", true, true, true, [=](Subject& s, const Options& o) {
                           return describe(s.stream_result(message(), o));
                       }});
    return methods;
}

std::vector<Method> methods_that_ask_other_endpoints() {
    return with_and_without_options({
        {"embed(texts)",
         [](Subject& s, const Options& o) {
             return describe(s.embed(std::vector<std::string>{"a text"}, o));
         }},
        {"embed(request)",
         [](Subject& s, const Options& o) {
             return describe(s.embed(EmbedRequest({"a text"}, "another-model"), o));
         }},
        {"list_models", [](Subject& s, const Options& o) { return describe(s.list_models(o)); }},
    });
}

std::vector<Method> methods_that_do_not_send() {
    return {
        {"count_tokens",
         false,
         false,
         false,
         [](Subject& s, const Options&) { return describe(s.count_tokens(std::nullopt)); }},
        {"count_tokens(options)",
         false,
         false,
         true,
         [](Subject& s, const Options& o) { return describe(s.count_tokens(o)); }},
        {"messages",
         false,
         false,
         false,
         [](Subject& s, const Options&) { return to_json(s.messages()); }},
        {"reset",
         false,
         false,
         false,
         [](Subject& s, const Options&) {
             s.reset();
             return to_json(s.messages());
         }},
        {"stats",
         false,
         false,
         false,
         [](Subject& s, const Options&) { return describe(s.stats()); }},
        {"close twice",
         false,
         false,
         false,
         [](Subject& s, const Options&) {
             s.close();
             s.close();
             return std::string("closed");
         }},
    };
}

/// What meets the call.
struct Answer {
    const char* name;
    Reply whole;
    Reply streamed;
    enum class Kind { plain, timeout, stopped, stop_before, closed } kind = Kind::plain;
};

std::ostream& operator<<(std::ostream& out, const Answer& answer) {
    return out << answer.name;
}

Reply with_id(Reply reply) {
    return reply.header("x-request-id", "req_42");
}

std::vector<Answer> errors_and_values() {
    const auto same = [](const char* name, const Reply& reply) {
        return Answer{name, with_id(reply), with_id(reply)};
    };
    const Reply tool = testing::openai_tool_call_reply(
        {testing::OpenAIToolCall("call_1", "get_weather", R"({"city":"Paris"})")}
    );
    const Reply tool_stream = testing::openai_tool_call_stream(
        {testing::OpenAIToolCall("call_1", "get_weather", R"({"city":"Paris"})")}
    );
    return {
        {"success", with_id(openai_chat_reply("fine")), with_id(openai_chat_stream({"fi", "ne"}))},
        same("a_value", openai_chat_reply(R"({"value":"fine"})")),
        {"tool_calls", with_id(tool), with_id(tool_stream)},
        same("not_streamed", openai_chat_reply("whole")),
        same(
            "list",  // of models, and of embeddings
            Reply::json(R"({"data":[{"id":"a","embedding":[0.5,-1]}],"model":"m",)"
                        R"("usage":{"prompt_tokens":3,"total_tokens":3}})")
        ),
        same("status_401", openai_error_reply(401, "who are you")),
        same(
            "status_429",
            openai_error_reply(429, "slow", "requests", "rate_limit_exceeded")
                .header("retry-after", "7")
        ),
        same("status_500", openai_error_reply(500, "oops", "server_error")),
        {"malformed_json",
         with_id(Reply::json("{\"id\":")),
         // Closed, as it depends on the moment how much of a bad stream was read.
         with_id(Reply::sse({R"({"choices":[{"index":0,"delta":{"content":"par"}}]})", "{\"id"}))
             .close_after()},
        {"error_in_stream",
         with_id(Reply::json(R"({"error":{"message":"late","type":"server_error"}})")),
         with_id(Reply::sse(
                     {R"({"choices":[{"index":0,"delta":{"content":"par"}}]})",
                      R"({"error":{"message":"late","type":"server_error"}})"}
                 ))
             .close_after()},
    };
}

std::vector<Answer> broken_connections() {
    return {
        {"truncated",
         with_id(openai_chat_reply("cut")).truncate_after(200),
         with_id(openai_chat_stream({"a", "b"})).truncate_after(700)},
        {"no_end_mark",
         Reply().close_without_answer(),
         with_id(Reply::sse({R"({"choices":[{"index":0,"delta":{"content":"par"}}]})"}))},
        {"reset",
         with_id(openai_chat_reply("cut")).reset_after(200),
         with_id(openai_chat_stream({"a", "b"})).reset_after(700)},
        {"timeout", Reply().hold(), Reply().hold(), Answer::Kind::timeout},
        {"timeout_in_body",
         with_id(openai_chat_reply("cut")).hold_after(200),
         with_id(openai_chat_stream({"a", "b"})).hold_after(700),
         Answer::Kind::timeout},
        {"stopped", Reply().hold(), Reply().hold(), Answer::Kind::stopped},
        {"stop_requested_before", Reply(), Reply(), Answer::Kind::stop_before},
        {"closed", Reply(), Reply(), Answer::Kind::closed},
    };
}

/// Everything that a caller or the server can see of one call and of what follows it.
struct Observed {
    std::string outcome;
    std::string history;
    std::string after;
    std::string stats;
    std::string requests;
};

/// The server's own request ids have the number of the connection in them.
std::string without_connection_numbers(const std::string& text) {
    static const std::regex number("req_mock_[0-9]+_");
    return std::regex_replace(text, number, "req_mock_");
}

class ParityTest : public ::testing::TestWithParam<Answer> {
protected:
    static constexpr std::chrono::milliseconds limit{500};

    LLMProgram program() const {
        // Methods without options have the program's limit.
        const bool bounded = GetParam().kind == Answer::Kind::timeout;
        return testing::program_for(server_, bounded ? "timeout = 0.5\n" : "");
    }

    std::string outcome_of(const Method& method, Subject& subject) {
        std::stop_source stop;
        Options options = RunOptions().stop_token(stop.get_token());
        std::thread watcher;
        switch (GetParam().kind) {
            case Answer::Kind::stopped:
                watcher = std::thread([this, &stop, seen = server_.stats().requests] {
                    EXPECT_TRUE(server_.wait_for_requests(seen + 1, watchdog));
                    stop.request_stop();
                });
                break;
            case Answer::Kind::stop_before: stop.request_stop(); break;
            case Answer::Kind::timeout: options->timeout(limit); break;
            case Answer::Kind::closed: subject.close(); break;
            case Answer::Kind::plain: break;
        }
        std::string outcome;
        try {
            outcome = method.call(subject, options);
        } catch (...) {
            outcome = describe(std::current_exception());
        }
        if (watcher.joinable()) {
            watcher.join();
        }
        return outcome;
    }

    /// What a process of one kind shows: two exchanges with the call between them.
    Observed observe(const Method& method, std::unique_ptr<Subject> subject) {
        const std::size_t seen = server_.requests().size();
        const Answer& answer = GetParam();
        const bool asks = method.sends && answer.kind != Answer::Kind::closed &&
                          answer.kind != Answer::Kind::stop_before;
        // The program's limit is for the method under test alone.
        const RunOptions patient = RunOptions().timeout(watchdog);
        Observed observed;
        subject->run("before", patient);
        if (asks) {
            server_.push(method.streams ? answer.streamed : answer.whole);
        }
        observed.outcome = outcome_of(method, *subject);
        observed.history = to_json(subject->messages());
        try {
            observed.after = describe(subject->run("after", patient));
        } catch (...) {
            observed.after = describe(std::current_exception());
        }
        observed.history += to_json(subject->messages());
        observed.outcome = without_connection_numbers(observed.outcome);
        observed.after = without_connection_numbers(observed.after);
        observed.stats = describe(subject->stats());
        const std::vector<testing::RecordedRequest> requests = server_.requests();
        for (std::size_t i = seen; i < requests.size(); ++i) {
            observed.requests += describe(requests[i]);
        }
        return observed;
    }

    void compare(const Method& method) {
        SCOPED_TRACE(method.name);
        const Observed blocking = observe(method, testing::sync_subject(program()));
        const Observed awaited = observe(method, testing::async_subject(program()));
        EXPECT_EQ(blocking.outcome, awaited.outcome);
        EXPECT_EQ(blocking.history, awaited.history);
        EXPECT_EQ(blocking.after, awaited.after);
        EXPECT_EQ(blocking.stats, awaited.stats);
        EXPECT_EQ(blocking.requests, awaited.requests);
        EXPECT_NE(blocking.outcome.substr(0, 7), "foreign") << blocking.outcome;
    }

    void compare_all(const std::vector<Method>& methods) {
        for (const Method& method : methods) {
            const bool by_stop = GetParam().kind == Answer::Kind::stopped ||
                                 GetParam().kind == Answer::Kind::stop_before;
            if (method.takes_options || !by_stop) {
                compare(method);
            }
        }
    }

    void SetUp() override { server_.handle(testing::openai_chat_echo); }

    ScriptedServer server_;
};

Method stream_and_next(std::string& events) {
    return {"stream + next", true, true, true, [&events](Subject& s, const Options& o) {
                events.clear();
                s.read_stream("a question", o, events);
                return events;
            }};
}

TEST_P(ParityTest, A1_11_MethodsThatSend) {
    compare_all(methods_that_send());
}

TEST_P(ParityTest, A1_11_MethodsThatAskOtherEndpoints) {
    compare_all(methods_that_ask_other_endpoints());
}

TEST_P(ParityTest, A1_11_EventsOfAStream) {
    std::string events;
    const Method method = stream_and_next(events);
    const Observed blocking = observe(method, testing::sync_subject(program()));
    const std::string blocking_events = events;
    const Observed awaited = observe(method, testing::async_subject(program()));
    EXPECT_EQ(blocking_events, events);
    EXPECT_EQ(blocking.outcome, awaited.outcome);
    EXPECT_EQ(blocking.history, awaited.history);
    EXPECT_EQ(blocking.after, awaited.after);
    EXPECT_EQ(blocking.stats, awaited.stats);
    EXPECT_EQ(blocking.requests, awaited.requests);
}

std::string name_of(const ::testing::TestParamInfo<Answer>& info) {
    return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Answers, ParityTest, ::testing::ValuesIn(errors_and_values()), name_of);
INSTANTIATE_TEST_SUITE_P(Breaks, ParityTest, ::testing::ValuesIn(broken_connections()), name_of);

/// The calls that ask the server nothing, on an open and on a closed process.
class LocalParityTest : public ParityTest {};

TEST_P(LocalParityTest, A1_11_MethodsThatDoNotSend) {
    for (const Method& method : methods_that_do_not_send()) {
        compare(method);
    }
}

std::vector<Answer> local_states() {
    return {
        {"open", Reply(), Reply()},
        {"stop_requested", Reply(), Reply(), Answer::Kind::stop_before},
        {"closed", Reply(), Reply(), Answer::Kind::closed}};
}

INSTANTIATE_TEST_SUITE_P(States, LocalParityTest, ::testing::ValuesIn(local_states()), name_of);

}  // namespace
}  // namespace llmproc
