#include <llmproc/testing/openai.hpp>
#include "support/fault_bed.hpp"
#include "support/local_server.hpp"
#include "support/resources.hpp"
#include "support/test_program.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <ostream>
#include <stop_token>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace llmproc::testing {
namespace {

using std::chrono::milliseconds;

/// How a call ends when nobody intervenes.
enum class Course {
    succeeds,  ///< The fault is mended without the caller's noticing.
    fails,     ///< With `code`, which is final.
    waits,     ///< It would be tried again: the call waits in Stage::retry.
    stalls,    ///< For ever, in `stage`.
};

struct Fault {
    Fault(std::string own_name, Course own_course, std::function<void(FaultBed&)> how)
        : name(std::move(own_name)),
          course(own_course),
          arrange(std::move(how)) {}

    std::string name;
    Course course;
    std::function<void(FaultBed&)> arrange;
    Errc code = Errc::internal;  ///< If it fails.
    Stage stage = Stage::retry;  ///< Where it waits.
    /// What the observer has seen when the call waits there; none = the resolver was asked.
    std::optional<CallStep> reached = CallStep::retry;
    bool plain_http = false;

    friend std::ostream& operator<<(std::ostream& out, const Fault& fault) {
        return out << fault.name;
    }
};

Fault failing(std::string name, Errc code, std::function<void(FaultBed&)> arrange) {
    Fault fault(std::move(name), Course::fails, std::move(arrange));
    fault.code = code;
    return fault;
}

Fault retried(std::string name, std::function<void(FaultBed&)> arrange) {
    return Fault(std::move(name), Course::waits, std::move(arrange));
}

Fault stalling(
    std::string name,
    Stage stage,
    std::optional<CallStep> reached,
    std::function<void(FaultBed&)> arrange
) {
    Fault fault(std::move(name), Course::stalls, std::move(arrange));
    fault.stage = stage;
    fault.reached = reached;
    return fault;
}

CertificateOptions for_server_test() {
    return CertificateOptions().dns_name("server.test");
}

ServerOptions good_server() {
    return ServerOptions().certificate(for_server_test());
}

/// A server that answers the first request so, and then well.
std::function<void(FaultBed&)> answers(const std::function<Reply()>& reply) {
    return [reply](FaultBed& bed) {
        ScriptedServer& server = bed.add_server(good_server());
        server.handle(openai_chat_echo);
        server.push(reply());
    };
}

/// An answer whose bytes come one at a time.
Reply trickle() {
    Reply reply;
    reply.header("Content-Type", "application/json");
    for (int i = 0; i < 400; ++i) {
        reply.piece(" ", std::chrono::seconds(1));
    }
    return reply;
}

/// A connection that the server closes while it is idle, after a first good call.
void close_while_idle(FaultBed& bed) {
    ScriptedServer& server = bed.add_server(good_server().keep_alive_requests(0));
    server.handle(openai_chat_echo);
}

std::vector<Fault> connection_faults() {
    return {
        retried(
            "refused",
            [](FaultBed& bed) { bed.resolver->point_to(refusing_address().port()); }
        ),
        stalling(
            "black_hole",
            Stage::connect,
            CallStep::dns,
            [](FaultBed& bed) { bed.add_silent(true); }
        ),
        stalling(
            "slow_dns",
            Stage::resolve,
            std::nullopt,
            [](FaultBed& bed) { bed.resolver->set(TargetResolver::Mode::never_answers); }
        ),
        retried(
            "failing_dns",
            [](FaultBed& bed) { bed.resolver->set(TargetResolver::Mode::fails); }
        ),
        failing(
            "tls_alert",
            Errc::tls_handshake_failed,
            [](FaultBed& bed) {
                bed.add_server(good_server().min_tls(TlsVersion::tls1_0).max_tls(TlsVersion::tls1_1)
                );
            }
        ),
        failing(
            "wrong_host",
            Errc::certificate_host,
            [](FaultBed& bed) {
                bed.add_server(
                    ServerOptions().certificate(CertificateOptions().dns_name("other.test"))
                );
            }
        ),
        failing(
            "expired",
            Errc::certificate_invalid,
            [](FaultBed& bed) {
                bed.add_server(ServerOptions().certificate(for_server_test().expired()));
            }
        ),
        failing(
            "self_signed",
            Errc::certificate_invalid,
            [](FaultBed& bed) {
                bed.add_server(ServerOptions().certificate(for_server_test().self_signed()));
            }
        ),
        stalling(
            "silent_handshake",
            Stage::handshake,
            CallStep::connect,
            [](FaultBed& bed) { bed.add_server(good_server().handshake_hang()); }
        ),
    };
}

std::vector<Fault> answer_faults() {
    std::vector<Fault> faults{
        retried("closed_without_answer", answers([] { return Reply().close_without_answer(); })),
        retried("reset_without_answer", answers([] { return Reply().reset_after(0); })),
        retried("truncated_header", answers([] {
                    return openai_chat_reply("x").truncate_after(20);
                })),
        retried("reset_in_header", answers([] { return openai_chat_reply("x").reset_after(20); })),
        retried("truncated_body", answers([] {
                    return openai_chat_reply("x").truncate_after(250);
                })),
        retried("reset_in_body", answers([] { return openai_chat_reply("x").reset_after(250); })),
        retried("status_429", answers([] { return openai_error_reply(429, "slow"); })),
        retried("status_500", answers([] { return openai_error_reply(500, "broken"); })),
        retried("status_503", answers([] { return openai_error_reply(503, "busy"); })),
        retried("status_529", answers([] { return openai_error_reply(529, "busy"); })),
        failing("status_401", Errc::authentication_failed, answers([] {
                    return openai_error_reply(401, "who");
                })),
        failing("garbage", Errc::malformed_http, answers([] {
                    return Reply().raw("\x01\x02 this is not HTTP\r\n\r\n");
                })),
        failing("header_flood", Errc::header_too_large, answers([] {
                    return openai_chat_reply("x").header("X-Flood", std::string(100'000, 'a'));
                })),
        failing("body_is_no_json", Errc::malformed_response, answers([] {
                    return Reply::json("<html>");
                })),
        stalling("stall_before_answer", Stage::first_byte, CallStep::request, answers([] {
                     return Reply().hold();
                 })),
        stalling("stall_in_header", Stage::first_byte, CallStep::request, answers([] {
                     return openai_chat_reply("x").hold_after(20);
                 })),
        stalling("stall_in_body", Stage::body, CallStep::first_byte, answers([] {
                     return openai_chat_reply("x").hold_after(250);
                 })),
        stalling("trickle", Stage::body, CallStep::first_byte, answers(trickle)),
    };
    Fault unread =
        stalling("stall_while_sending", Stage::write, CallStep::connect, [](FaultBed& bed) {
            bed.prompt = std::string(32UL * 1024 * 1024, 'x');
            bed.add_silent(false);
        });
    unread.plain_http = true;
    faults.push_back(std::move(unread));
    faults.emplace_back("idle_close_race", Course::succeeds, close_while_idle);
    return faults;
}

std::vector<Fault> all_faults() {
    std::vector<Fault> faults = connection_faults();
    for (Fault& fault : answer_faults()) {
        faults.push_back(std::move(fault));
    }
    return faults;
}

enum class Control { deadline, cancel, close };

/// A fault, a kind of call; the three ways to end it are in each test.
class FaultMatrixTest : public ::testing::TestWithParam<std::tuple<Fault, std::string>> {
protected:
    static const Fault& fault() { return std::get<0>(GetParam()); }
    static const std::string& kind() { return std::get<1>(GetParam()); }

    static bool has_to_be_ended() {
        return fault().course == Course::waits || fault().course == Course::stalls;
    }

    /// Waits until the call is where only `control` ends it.
    static void wait_until_stuck(FaultBed& bed) {
        if (!fault().reached) {
            EXPECT_TRUE(bed.resolver->wait_for_lookups(1));
            return;
        }
        EXPECT_TRUE(bed.observer->wait_for(*fault().reached, 1, watchdog)) << bed.observer->steps();
    }

    static Errc expected(Control control) {
        if (!has_to_be_ended()) {
            return fault().code;
        }
        switch (control) {
            case Control::deadline: return Errc::timeout;
            case Control::cancel: return Errc::cancelled;
            case Control::close: return Errc::process_closed;
        }
        return Errc::internal;
    }

    static void expect_outcome(FaultBed& bed, Driver& driver, Control control) {
        std::stop_source stop;
        RunOptions options = RunOptions().stop_token(stop.get_token());
        std::thread controller;
        if (has_to_be_ended() && control == Control::deadline) {
            options.timeouts(Timeouts().set(fault().stage, milliseconds(30)));
            if (fault().course == Course::stalls) {
                options.max_attempts(1);
            }
        } else if (has_to_be_ended()) {
            controller = std::thread([&bed, &driver, &stop, control] {
                wait_until_stuck(bed);
                if (control == Control::cancel) {
                    stop.request_stop();
                } else {
                    driver.close();
                }
            });
        }
        try {
            const std::string text = driver.call(bed.prompt, options);
            EXPECT_EQ(fault().course, Course::succeeds) << text;
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), expected(control)) << error.what();
            EXPECT_EQ(error.diagnostics().attempts, 1) << error.what();
            if (const auto* const timeout = dynamic_cast<const Timeout*>(&error)) {
                EXPECT_EQ(timeout->stage(), fault().stage) << error.what();
            }
        }
        if (controller.joinable()) {
            controller.join();
        }
    }

    /// One cell; returns what was held when the process was idle again.
    static void check(Control control) {
        FaultBed bed(fault().plain_http);
        fault().arrange(bed);
        const auto settings = bed.settings();
        const std::unique_ptr<Driver> driver = make_driver(kind(), settings);
        std::size_t before = 0;
        if (fault().course == Course::succeeds) {
            driver->call("warm up", RunOptions());
            before = driver->messages().size();
            bed.close_idle();
        }
        expect_outcome(bed, *driver, control);
        const bool succeeded = fault().course == Course::succeeds;
        EXPECT_EQ(driver->messages().size(), before + (succeeded ? 2 : 0));
        bed.heal();
        if (has_to_be_ended() && control == Control::close) {
            EXPECT_THROW(driver->call("after close", RunOptions()), ProcessClosed);
            return;
        }
        EXPECT_NO_THROW(driver->call("next", RunOptions()));
        EXPECT_EQ(driver->messages().size(), before + (succeeded ? 4 : 2));
        driver->close();
    }
};

TEST_P(FaultMatrixTest, EndsInTimeTypedAndWithoutLoss) {
    check(Control::deadline);
    const Resources held = Resources::now();
    check(Control::cancel);
    check(Control::close);
    const Resources after = at_most(held, watchdog);
    EXPECT_LE(after.descriptors, held.descriptors);
    EXPECT_LE(after.threads, held.threads);
}

INSTANTIATE_TEST_SUITE_P(
    Faults,
    FaultMatrixTest,
    ::testing::Combine(
        ::testing::ValuesIn(all_faults()),
        ::testing::Values("sync_run", "sync_stream", "async_run", "async_stream")
    ),
    [](const auto& cell) { return std::get<0>(cell.param).name + "_" + std::get<1>(cell.param); }
);

}  // namespace
}  // namespace llmproc::testing
