#include "net/resolve.hpp"

#include "async/spawn.hpp"
#include "net/context_service.hpp"
#include "support/sanitizers.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <gtest/gtest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::net {
namespace {

namespace asio = boost::asio;
using namespace std::chrono_literals;

/// Keeps the handlers until the test answers.
class HeldResolver final : public Resolver {
public:
    void resolve(std::string host, std::uint16_t port, ResolveHandler handler) override {
        hosts.push_back(host + ':' + std::to_string(port));
        handlers.push_back(std::move(handler));
    }
    std::vector<std::string> hosts;
    std::vector<ResolveHandler> handlers;
};

struct Outcome {
    bool ended = false;
    std::exception_ptr error;
    Addresses addresses;
    LookupSource source = LookupSource::shared;
};

asio::awaitable<void> body(
    std::shared_ptr<async::CallContext> call,
    std::shared_ptr<Resolver> resolver,
    std::string host,
    std::shared_ptr<Outcome> outcome
) {
    call->enter(Stage::resolve);
    Addresses addresses =
        co_await resolve(*call, std::move(resolver), std::move(host), 443, outcome->source);
    outcome->addresses = std::move(addresses);
}

std::shared_ptr<Outcome> start(
    const std::shared_ptr<async::CallContext>& call,
    const std::shared_ptr<Resolver>& resolver,
    const std::string& host = "host.example"
) {
    auto outcome = std::make_shared<Outcome>();
    async::spawn(call, body(call, resolver, host, outcome), [outcome](std::exception_ptr error) {
        outcome->ended = true;
        outcome->error = std::move(error);
    });
    return outcome;
}

Addresses some_address() {
    return Addresses(1, {asio::ip::address_v4::loopback(), 443});
}

TEST(ResolveTest, ReturnsWhatAnotherThreadFound) {
    asio::io_context io;
    const auto call = std::make_shared<async::CallContext>(asio::make_strand(io), 1h);
    const auto resolver = std::make_shared<HeldResolver>();
    const auto outcome = start(call, resolver);
    io.poll();
    ASSERT_EQ(resolver->hosts, std::vector<std::string>{"host.example:443"});
    std::thread helper([&] { resolver->handlers[0]({}, some_address()); });
    io.run();  // The pending wait must keep it running until the answer.
    helper.join();
    EXPECT_TRUE(outcome->ended);
    EXPECT_EQ(outcome->addresses, some_address());
    EXPECT_EQ(outcome->source, LookupSource::query);
}

TEST(ResolveTest, TakesAnAnswerGivenAtOnce) {
    class Immediate final : public Resolver {
        void resolve(std::string, std::uint16_t, ResolveHandler handler) override {
            handler({}, some_address());
        }
    };
    asio::io_context io;
    const auto call = std::make_shared<async::CallContext>(io.get_executor(), 1h);
    const auto outcome = start(call, std::make_shared<Immediate>());
    io.run();
    EXPECT_EQ(outcome->addresses, some_address());
}

TEST(ResolveTest, ReturnsAtCancellationAndIgnoresTheLateAnswer) {
    asio::io_context io;
    const auto call = std::make_shared<async::CallContext>(io.get_executor(), 1h);
    const auto resolver = std::make_shared<HeldResolver>();
    const auto outcome = start(call, resolver);
    io.poll();
    call->cancel(CancelReason::user);
    io.run();
    ASSERT_TRUE(outcome->error);
    EXPECT_THROW(std::rethrow_exception(outcome->error), Cancelled);
    resolver->handlers[0]({}, some_address());
    resolver->handlers[0]({}, some_address());
    io.restart();
    io.run();
    EXPECT_TRUE(outcome->addresses.empty());
}

TEST(ResolveTest, ReturnsAtItsDeadlineWithAStuckResolver) {
    asio::io_context io;
    const auto call =
        std::make_shared<async::CallContext>(io.get_executor(), Timeouts().resolve(20ms));
    const auto outcome = start(call, std::make_shared<HeldResolver>());
    io.run();
    ASSERT_TRUE(outcome->error);
    try {
        std::rethrow_exception(outcome->error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::resolve);
    }
}

TEST(ResolveTest, NeverTouchesADeadContext) {
    const auto resolver = std::make_shared<HeldResolver>();
    std::shared_ptr<Outcome> outcome;
    {
        asio::io_context io;
        outcome = start(std::make_shared<async::CallContext>(asio::make_strand(io), 1h), resolver);
        io.poll();
        ASSERT_EQ(resolver->handlers.size(), 1U);
    }
    std::thread helper([&] { resolver->handlers[0]({}, some_address()); });
    helper.join();
    EXPECT_FALSE(outcome->ended);
}

TEST(ResolveTest, AnswersThatRaceTheContextsEndAreHarmless) {
    for (int round = 0; round < 200; ++round) {
        const auto resolver = std::make_shared<HeldResolver>();
        auto io = std::make_unique<asio::io_context>();
        const auto outcome =
            start(std::make_shared<async::CallContext>(asio::make_strand(*io), 1h), resolver);
        io->poll();
        std::thread helper([&] { resolver->handlers[0]({}, some_address()); });
        io.reset();
        helper.join();
        EXPECT_FALSE(outcome->ended);
    }
}

TEST(SystemResolverTest, AnswersNumbersAndLocalhostWithoutAThread) {
    for (const char* const host : {"127.0.0.1", "::1", "localhost"}) {
        std::optional<std::thread::id> answered;
        Addresses found;
        system_resolver()->resolve(host, 80, [&](boost::system::error_code, Addresses addresses) {
            answered = std::this_thread::get_id();
            found = std::move(addresses);
        });
        EXPECT_EQ(answered, std::this_thread::get_id()) << host;
        ASSERT_FALSE(found.empty());
        EXPECT_TRUE(found[0].address().is_loopback());
        EXPECT_EQ(found[0].port(), 80);
    }
}

TEST(SystemResolverTest, ReportsNamesThatCannotExist) {
    asio::io_context io;
    const auto call = std::make_shared<async::CallContext>(io.get_executor(), 1h);
    const auto outcome = start(call, system_resolver(), "bad name with spaces");
    io.run();
    ASSERT_TRUE(outcome->error);
    EXPECT_THROW(std::rethrow_exception(outcome->error), boost::system::system_error);
}

TEST(SystemResolverTest, WorksInAForkedChild) {
    if (!llmproc::testing::can_fork) {
        GTEST_SKIP() << "ThreadSanitizer does not follow a program with threads into a child";
    }
    const auto answered = [] {
        auto told = std::make_shared<std::promise<void>>();
        system_resolver()->resolve("bad name with spaces", 1, [told](const auto&, const auto&) {
            told->set_value();
        });
        return told->get_future().wait_for(60s) == std::future_status::ready;
    };
    ASSERT_TRUE(answered());
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        ::_exit(answered() ? 0 : 1);
    }
    int status = -1;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace llmproc::net
