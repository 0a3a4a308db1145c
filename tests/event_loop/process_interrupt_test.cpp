#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "event_loop/process_support.hpp"
#include "support/drive.hpp"
#include "support/fault_bed.hpp"
#include "support/stage_of_timeout.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <future>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace llmproc::testing {
namespace {

using std::chrono::milliseconds;

/// A place where a call waits until something ends it.
struct Place {
    Place(Stage own_stage, std::function<void(FaultBed&)> how)
        : stage(own_stage),
          arrange(std::move(how)) {}

    std::string name() const {
        std::string text(to_string(stage));
        std::replace(text.begin(), text.end(), ' ', '_');
        return text + (streams ? "_of_a_stream" : "");
    }
    friend std::ostream& operator<<(std::ostream& out, const Place& place) {
        return out << place.name();
    }

    Stage stage;
    std::function<void(FaultBed&)> arrange;
    std::optional<CallStep> reached;  ///< What has happened when it waits; none = a lookup began.
    bool streams = false;
    bool plain_http = false;
};

std::function<void(FaultBed&)> server_with(const Reply& reply) {
    return [reply](FaultBed& bed) {
        ScriptedServer& server = bed.add_server(
            ServerOptions().certificate(CertificateOptions().dns_name("server.test"))
        );
        server.push(reply);
        server.default_reply(reply);
    };
}

Place after(CallStep reached, Stage stage, std::function<void(FaultBed&)> arrange) {
    Place place(stage, std::move(arrange));
    place.reached = reached;
    return place;
}

Place sending() {
    Place place = after(CallStep::connect, Stage::write, [](FaultBed& bed) {
        bed.prompt = std::string(32UL * 1024 * 1024, 'x');
        bed.add_silent(false);
    });
    place.plain_http = true;
    return place;
}

Place in_an_event() {
    // The cut lies in the middle of the event that has the second piece.
    Place place = after(
        CallStep::first_byte,
        Stage::body,
        server_with(openai_chat_stream({"one", "two", "three"}).hold_after(700))
    );
    place.streams = true;
    return place;
}

std::vector<Place> all_places() {
    return {
        Place(
            Stage::resolve,
            [](FaultBed& bed) { bed.resolver->set(TargetResolver::Mode::never_answers); }
        ),
        after(CallStep::dns, Stage::connect, [](FaultBed& bed) { bed.add_silent(true); }),
        after(
            CallStep::connect,
            Stage::handshake,
            [](FaultBed& bed) { bed.add_server(ServerOptions().handshake_hang()); }
        ),
        sending(),
        after(CallStep::request, Stage::first_byte, server_with(Reply().hold())),
        after(
            CallStep::first_byte,
            Stage::body,
            server_with(openai_chat_reply("x").hold_after(250))
        ),
        in_an_event(),
        after(
            CallStep::retry,
            Stage::retry,
            // Closed, as a connection whose answer is complete may be taken again.
            server_with(openai_error_reply(503, "busy").close_after())
        ),
    };
}

class ProcessInterruptTest : public ::testing::TestWithParam<std::tuple<Place, std::string>> {
public:
    ProcessInterruptTest() : bed(place().plain_http) {
        place().arrange(bed);
        driver = make_driver(kind() + (place().streams ? "_stream" : "_run"), bed.settings());
    }
    static const Place& place() { return std::get<0>(GetParam()); }
    static const std::string& kind() { return std::get<1>(GetParam()); }

    void wait_until_there() {
        const bool there = place().reached ? bed.observer->wait_for(*place().reached, 1, watchdog)
                                           : bed.resolver->wait_for_lookups(1);
        EXPECT_TRUE(there) << bed.observer->steps();
    }

    /// All servers have the same name: a connection that was kept would be taken again.
    void expect_as_before() {
        EXPECT_TRUE(driver->messages().empty());
        bed.heal();
        EXPECT_EQ(driver->call("next", RunOptions()), "You said: next");
        EXPECT_EQ(bed.healthy().stats().accepts, 1U);
        EXPECT_EQ(bed.healthy().stats().requests, 1U);
        EXPECT_EQ(driver->messages().size(), 2U);
    }

    FaultBed bed;
    std::unique_ptr<Driver> driver;
};

TEST_P(ProcessInterruptTest, F20_AStopTokenEndsTheCallThere) {
    std::stop_source stop;
    std::thread stopper([&] {
        wait_until_there();
        stop.request_stop();
    });
    try {
        driver->call(bed.prompt, RunOptions().stop_token(stop.get_token()));
        ADD_FAILURE() << "no error";
    } catch (const Cancelled& error) {
        EXPECT_EQ(error.reason(), CancelReason::user);
    }
    stopper.join();
    expect_as_before();
}

TEST_P(ProcessInterruptTest, F21_TheTotalDeadlineEndsTheCallThere) {
    const milliseconds limit(400);
    try {
        driver->call(bed.prompt, RunOptions().timeout(limit));
        ADD_FAILURE() << "no error";
    } catch (const Timeout& error) {
        EXPECT_EQ(error.limit(), limit);
        // A machine may be too slow to get there.
        if (place().reached && bed.observer->count(*place().reached) > 0) {
            EXPECT_EQ(error.stage(), place().stage) << error.what();
        }
    }
    expect_as_before();
}

INSTANTIATE_TEST_SUITE_P(
    Places,
    ProcessInterruptTest,
    ::testing::Combine(::testing::ValuesIn(all_places()), ::testing::Values("sync", "async")),
    [](const auto& cell) { return std::get<0>(cell.param).name() + "_" + std::get<1>(cell.param); }
);

class ProcessDeadlineTest : public ProcessFixture {};

TEST_F(ProcessDeadlineTest, F20_BeforeTheCall) {
    for (const char* kind : {"sync_run", "sync_stream", "async_run", "async_stream"}) {
        FaultBed bed(false);
        const auto driver = make_driver(kind, bed.settings());
        std::stop_source stop;
        stop.request_stop();
        const RunOptions options = RunOptions().stop_token(stop.get_token());
        EXPECT_EQ(errc_from([&] { return driver->call("x", options); }), Errc::cancelled) << kind;
        EXPECT_EQ(bed.observer->count(CallStep::dns), 0U) << kind;
        EXPECT_EQ(bed.healthy().stats().accepts, 0U) << kind;
        EXPECT_TRUE(driver->messages().empty()) << kind;
    }
}

TEST_F(ProcessDeadlineTest, F20_WhileQueued) {
    SyncLLMProcess process = program().start_sync();
    server.push(Reply().hold());
    std::stop_source first_stop;
    std::stop_source stop;
    auto first = std::async(std::launch::async, [&] {
        return process.run("first", RunOptions().stop_token(first_stop.get_token()));
    });
    ASSERT_TRUE(server.wait_for_requests(1, watchdog));
    auto second = std::async(std::launch::async, [&] {
        return process.run("second", RunOptions().stop_token(stop.get_token()));
    });
    wait_for_pending(process, 2);
    stop.request_stop();
    EXPECT_EQ(errc_from([&] { return second.get(); }), Errc::cancelled);
    EXPECT_EQ(process.loop().stats().pending_calls, 1U) << "the first call goes on";
    EXPECT_EQ(server.stats().requests, 1U);
    first_stop.request_stop();
    EXPECT_EQ(errc_from([&] { return first.get(); }), Errc::cancelled);
    EXPECT_EQ(process.run("third").text(), "You said: third");
    EXPECT_EQ(process.messages().size(), 2U);
}

TEST_F(ProcessDeadlineTest, F20_AtTheLastByteItIsEitherAnAnswerOrNothing) {
    SyncLLMProcess process = program().start_sync();
    std::size_t known = 0;
    int answers = 0;
    int cancelled = 0;
    for (std::size_t round = 0; round < 100; ++round) {
        std::stop_source stop;
        server.push(openai_chat_reply("answer"));
        const std::size_t answered = server.stats().responses + 1;
        std::thread stopper([&] {
            while (server.stats().responses < answered && server.stats().aborted == 0) {
                std::this_thread::yield();
            }
            stop.request_stop();
        });
        try {
            process.run("hi", RunOptions().stop_token(stop.get_token()));
            known += 2;
            ++answers;
        } catch (const Cancelled& error) {
            EXPECT_EQ(error.reason(), CancelReason::user);
            ++cancelled;
        }
        stopper.join();
        ASSERT_EQ(process.messages().size(), known);
    }
    EXPECT_EQ(answers + cancelled, 100);
}

TEST_F(ProcessDeadlineTest, F20_BetweenTheLastByteAndTheEndOfAStream) {
    SyncLLMProcess process = program().start_sync();
    std::stop_source stop;
    SyncStream stream = process.stream("hi", RunOptions().stop_token(stop.get_token()));
    EXPECT_TRUE(stream.next());
    const auto end = std::chrono::steady_clock::now() + watchdog;
    while (server.stats().responses == 0) {
        ASSERT_LT(std::chrono::steady_clock::now(), end);
        std::this_thread::yield();
    }
    stop.request_stop();
    // The end was not read before the stop: it does not count.
    EXPECT_EQ(errc_from([&] { return stream.result(); }), Errc::cancelled);
    EXPECT_TRUE(process.messages().empty());
    EXPECT_EQ(process.run("next").text(), "You said: next");
}

TEST_F(ProcessDeadlineTest, F21_TheTotalDeadlineEndsATricklingAnswer) {
    Reply trickle;
    trickle.header("Content-Type", "application/json");
    for (int i = 0; i < 10'000; ++i) {
        trickle.piece(" ", milliseconds(5));
    }
    SyncLLMProcess process = program().start_sync();
    process.run("connects");
    // No piece is ever late, and still the call ends.
    const Timeouts never_idle = Timeouts().idle(std::chrono::hours(1));
    const Stage stage = testing::stage_of_the_timeout(Stage::body, [&](milliseconds limit) {
        server.push(trickle);
        process.run("hi", RunOptions().timeouts(never_idle).timeout(limit));
    });
    EXPECT_EQ(stage, Stage::body);
    EXPECT_TRUE(server.wait_for_aborted(1, watchdog));
}

TEST_F(ProcessDeadlineTest, F21_TheDeadlineCountsTheQueue) {
    SyncLLMProcess process = program().start_sync();
    server.push(Reply().hold());
    std::stop_source stop;
    auto first = std::async(std::launch::async, [&] {
        return process.run("first", RunOptions().stop_token(stop.get_token()));
    });
    ASSERT_TRUE(server.wait_for_requests(1, watchdog));
    try {
        process.run("second", RunOptions().timeout(milliseconds(30)));
        ADD_FAILURE() << "no error";
    } catch (const Timeout& error) {
        EXPECT_EQ(error.stage(), Stage::queue);
    }
    stop.request_stop();
    EXPECT_EQ(errc_from([&] { return first.get(); }), Errc::cancelled);
}

TEST_F(ProcessDeadlineTest, F21_ZeroAndNegativeFailAtOnceAndHugeIsNone) {
    SyncLLMProcess process = program().start_sync();
    for (const milliseconds limit : {milliseconds(0), milliseconds(-1), milliseconds::min()}) {
        const RunOptions options = RunOptions().timeout(limit);
        EXPECT_EQ(errc_from([&] { return process.run("x", options); }), Errc::timeout);
        EXPECT_EQ(errc_from([&] { return process.stream("x", options); }), Errc::timeout);
        EXPECT_EQ(errc_from([&] { return process.count_tokens(options); }), Errc::timeout);
        EXPECT_EQ(
            errc_from([&] { return process.complete(ChatRequest("x"), options); }),
            Errc::timeout
        );
    }
    EXPECT_EQ(server.stats().accepts, 0U);
    Timeouts huge;
    for (int stage = static_cast<int>(Stage::queue); stage <= static_cast<int>(Stage::total);
         ++stage) {
        huge.set(static_cast<Stage>(stage), milliseconds::max());
    }
    const RunOptions endless = RunOptions().timeouts(huge.attempt(milliseconds::max()));
    EXPECT_EQ(process.run("a", endless).text(), "You said: a");
    EXPECT_EQ(process.stream("b", endless).result().text(), "You said: b");
    EXPECT_EQ(process.complete(ChatRequest("c"), endless).text(), "You said: c");
    EXPECT_GT(process.count_tokens(endless).input_tokens, 0);
}

}  // namespace
}  // namespace llmproc::testing
