#include <llmproc/testing/reply.hpp>
#include "net/connection_pool.hpp"
#include "net/context_service.hpp"
#include "net_support.hpp"

#include <boost/asio/post.hpp>

#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace llmproc::net::test {
namespace {

class NetPoolTest : public NetTest {
protected:
    /// Runs handlers until `reached`; no handler ever waits longer than the server needs.
    void run_until(const std::function<bool()>& reached) {
        io.restart();
        const auto limit = std::chrono::steady_clock::now() + 60s;
        while (!reached() && std::chrono::steady_clock::now() < limit) {
            io.run_one_for(10ms);
            io.restart();
        }
        ASSERT_TRUE(reached());
    }
};

TEST_F(NetPoolTest, SixtyFourAtOnceUseSixtyFourConnections) {
    ScriptedServer server;
    server.handle([](const auto& request) { return Reply::json(request.body); });
    server.hold_until_open_requests(64);
    const auto client = client_of(server);
    std::vector<std::shared_ptr<Exchange>> calls;
    for (int i = 0; i < 64; ++i) {
        calls.push_back(start(io.get_executor(), client, post(std::to_string(i))));
    }
    run();
    for (std::size_t i = 0; i < calls.size(); ++i) {
        ASSERT_FALSE(calls[i]->error) << text_of(calls[i]->error);
        EXPECT_EQ(calls[i]->reply->body, std::to_string(i));
    }
    EXPECT_EQ(server.stats().accepts, 64U);
    EXPECT_EQ(stats().idle, 64U);
}

TEST_F(NetPoolTest, ServesItsQueueInOrder) {
    ScriptedServer server;
    server.handle([](const auto& request) { return Reply::json(request.body); });
    const auto settings = settings_of(server);
    settings->max_connections_per_host = 1;
    const auto client = client_of(server, settings);
    std::vector<std::shared_ptr<Exchange>> calls;
    for (int i = 0; i < 20; ++i) {
        calls.push_back(start(io.get_executor(), client, post(std::to_string(i))));
    }
    run();
    const auto requests = server.requests();
    ASSERT_EQ(requests.size(), 20U);
    for (std::size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(requests[i].body, std::to_string(i));
    }
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(stats().waiting, 0U);
    EXPECT_EQ(stats().reused, 19U);
}

TEST_F(NetPoolTest, NeverExceedsItsLimit) {
    ScriptedServer server;
    server.handle([](const auto& request) { return Reply::json(request.body); });
    const auto settings = settings_of(server);
    settings->max_connections_per_host = 3;
    const auto client = client_of(server, settings);
    std::vector<std::shared_ptr<Exchange>> calls;
    for (int i = 0; i < 30; ++i) {
        calls.push_back(start(io.get_executor(), client, post(std::to_string(i))));
    }
    run();
    for (const auto& call : calls) {
        EXPECT_TRUE(call->reply) << text_of(call->error);
    }
    EXPECT_EQ(server.stats().accepts, 3U);
    EXPECT_LE(server.stats().peak_open_requests, 3U);
}

TEST_F(NetPoolTest, CancelledWaitersGiveWayToTheNext) {
    ScriptedServer server;
    server.default_reply(Reply::json("{}"));
    server.hold_until_open_requests(2);
    const auto settings = settings_of(server);
    settings->max_connections_per_host = 1;
    const auto client = client_of(server, settings);
    const auto first = start(io.get_executor(), client, post());
    run_until([&] { return server.stats().open_requests == 1; });
    const auto second = start(io.get_executor(), client, post());
    const auto third = start(io.get_executor(), client, post());
    const auto fourth = start(io.get_executor(), client, post());
    run_until([&] { return stats().waiting == 3; });
    second->call->cancel_from_anywhere(CancelReason::user);
    run_until([&] { return second->ended; });
    EXPECT_EQ(errc_of(second->error), Errc::cancelled);
    EXPECT_EQ(stats().waiting, 2U);
    // Granted and cancelled in one go: the grant must reach the fourth.
    first->call->cancel_from_anywhere(CancelReason::user);
    third->call->cancel_from_anywhere(CancelReason::user);
    server.hold_until_open_requests(0);
    run();
    EXPECT_EQ(errc_of(third->error), Errc::cancelled);
    EXPECT_TRUE(fourth->reply);
    EXPECT_EQ(stats().in_use, 0U);
    EXPECT_EQ(stats().waiting, 0U);
}

TEST_F(NetPoolTest, AWaiterEndsAtItsDeadlineInStagePool) {
    ScriptedServer server;
    server.default_reply(Reply().hold());
    const auto settings = settings_of(server);
    settings->max_connections_per_host = 1;
    const auto client = client_of(server, settings);
    const auto first = start(io.get_executor(), client, post());
    run_until([&] { return server.stats().open_requests == 1; });
    const auto second = start(io.get_executor(), client, post(), Timeouts().total(30ms));
    run_until([&] { return second->ended; });
    try {
        std::rethrow_exception(second->error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::pool);
    }
    first->call->cancel_from_anywhere(CancelReason::closed);
    run();
    EXPECT_EQ(errc_of(first->error), Errc::process_closed);
}

TEST_F(NetPoolTest, CancellationClosesTheConnectionAtEveryStage) {
    ScriptedServer server;
    const auto client = client_of(server);
    const std::vector<Reply> replies = {
        Reply().hold(),
        Reply().body(std::string(500, 'x')).hold_after(10),
        Reply().body(std::string(500, 'x')).hold_after(300),
    };
    std::size_t sent = 0;
    for (const Reply& reply : replies) {
        server.push(Reply::json("{}"));
        fetch(client);
        ++sent;
        server.push(reply);
        const auto call = start(io.get_executor(), client, post());
        ++sent;
        run_until([&] { return server.stats().requests == sent; });
        run_until([&] { return call->call->stage() != Stage::write; });
        call->call->cancel_from_anywhere(CancelReason::user);
        run();
        EXPECT_EQ(errc_of(call->error), Errc::cancelled);
        EXPECT_EQ(stats().idle, 0U);
        EXPECT_EQ(stats().in_use, 0U);
        EXPECT_TRUE(server.wait_for_connections_at_most(0, 60s));
    }
}

TEST_F(NetPoolTest, CancellationWorksWhileALargeRequestIsSent) {
    ScriptedServer server(ServerOptions().https(false).accept_delay(3600s));
    const auto client = client_of(server);
    const auto call = start(io.get_executor(), client, post(std::string(50'000'000, 'x')));
    run_until([&] { return stats().opened == 1; });
    for (int i = 0; i < 5; ++i) {
        io.run_one_for(10ms);
        io.restart();
    }
    EXPECT_EQ(call->call->stage(), Stage::write);
    call->call->cancel_from_anywhere(CancelReason::user);
    run();
    EXPECT_EQ(errc_of(call->error), Errc::cancelled);
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_F(NetPoolTest, CancellationWorksInTheHandshake) {
    ScriptedServer server(ServerOptions().handshake_hang());
    const auto client = client_of(server);
    const auto call = start(io.get_executor(), client, post());
    run_until([&] { return call->call->stage() == Stage::handshake; });
    call->call->cancel_from_anywhere(CancelReason::user);
    run();
    EXPECT_EQ(errc_of(call->error), Errc::cancelled);
}

TEST_F(NetPoolTest, IdleConnectionsAreNotUsedBeyondTheirTimeout) {
    ScriptedServer server;
    server.default_reply(Reply::json("{}"));
    const auto settings = settings_of(server);
    settings->idle_timeout = 0ms;
    const auto client = client_of(server, settings);
    fetch(client);
    fetch(client);
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(stats().discarded, 1U);
}

TEST(NetContextTest, AContextMayDieAtAnyMoment) {
    ScriptedServer server;
    const auto settings = std::make_shared<NetSettings>();
    settings->tls.ca_file = server.ca_file();
    settings->max_connections_per_host = 2;
    server.default_reply(Reply::json("{}").split_every(20));
    const auto client = std::make_shared<HttpClient>(wire::Url::parse(server.url()), settings);
    for (int steps = 0; steps < 60; ++steps) {
        auto io = std::make_unique<asio::io_context>();
        std::vector<std::shared_ptr<Exchange>> calls;
        for (int i = 0; i < 4; ++i) {
            calls.push_back(start(io->get_executor(), client, post()));
        }
        for (int i = 0; i < steps; ++i) {
            io->run_one_for(1s);
        }
        for (const auto& call : calls) {
            // What a process does when its context goes away.
            if (!call->ended) {
                call->call->finish();
            }
        }
        io.reset();
    }
    EXPECT_TRUE(server.wait_for_connections_at_most(0, 60s));
}

TEST(NetContextTest, AnExchangeMayOutliveItsContext) {
    ScriptedServer server;
    server.default_reply(Reply().body(std::string(5000, 'x')).hold_after(2000));
    const auto settings = std::make_shared<NetSettings>();
    settings->tls.ca_file = server.ca_file();
    const auto client = std::make_shared<HttpClient>(wire::Url::parse(server.url()), settings);
    auto kept = std::make_shared<std::optional<HttpExchange>>();
    {
        asio::io_context io;
        auto call = std::make_shared<async::CallContext>(asio::make_strand(io), 60s);
        struct Opener {
            static asio::awaitable<void> run(
                std::shared_ptr<async::CallContext> call,
                std::shared_ptr<HttpClient> client,
                std::shared_ptr<std::optional<HttpExchange>> kept
            ) {
                const HttpRequest request = post();
                HttpExchange answer = co_await client->send(*call, request);
                kept->emplace(std::move(answer));
            }
        };
        async::spawn(call, Opener::run(call, client, kept), [](const std::exception_ptr&) {});
        io.run();
        ASSERT_TRUE(kept->has_value());
    }
    EXPECT_TRUE(server.wait_for_connections_at_most(0, 60s));
    kept->reset();
}

TEST(NetContextTest, MembersAreToldOnceAndBeforeTheirHandlersDie) {
    class Member final : public ContextMember {
    public:
        void context_shutdown() noexcept override { ++told; }
        int told = 0;
    };
    const auto member = std::make_shared<Member>();
    auto forgotten = std::make_shared<Member>();
    {
        asio::io_context io;
        ContextService& service = ContextService::of(asio::make_strand(io));
        EXPECT_EQ(&service, &ContextService::of(io.get_executor()));
        service.enroll(member);
        service.enroll(forgotten);
        forgotten.reset();
        EXPECT_EQ(member->told, 0);
    }
    EXPECT_EQ(member->told, 1);
}

TEST(NetContextTest, IdleConnectionsDoNotKeepTheLoopRunning) {
    ScriptedServer server;
    server.default_reply(Reply::json("{}"));
    const auto settings = std::make_shared<NetSettings>();
    settings->tls.ca_file = server.ca_file();
    asio::io_context io;
    const auto client = std::make_shared<HttpClient>(wire::Url::parse(server.url()), settings);
    const auto call = start(io.get_executor(), client, post());
    io.run();
    EXPECT_TRUE(call->reply);
    EXPECT_EQ(connection_stats(io.get_executor()).idle, 1U);
}

TEST(NetContextTest, FourThreadsShareOnePool) {
    ScriptedServer server;
    server.handle([](const auto& request) { return Reply::json(request.body); });
    const auto settings = std::make_shared<NetSettings>();
    settings->tls.ca_file = server.ca_file();
    settings->max_connections_per_host = 5;
    asio::io_context io;
    const auto client = std::make_shared<HttpClient>(wire::Url::parse(server.url()), settings);
    std::vector<std::shared_ptr<Exchange>> calls;
    for (int i = 0; i < 200; ++i) {
        calls.push_back(start(io.get_executor(), client, post(std::to_string(i))));
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&io] { io.run(); });
    }
    for (std::size_t i = 0; i < calls.size(); i += 10) {
        calls[i]->call->cancel_from_anywhere(CancelReason::user);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (std::size_t i = 0; i < calls.size(); ++i) {
        ASSERT_TRUE(calls[i]->ended);
        if (!calls[i]->error) {
            EXPECT_EQ(calls[i]->reply->body, std::to_string(i));
        } else {
            EXPECT_EQ(i % 10, 0U) << text_of(calls[i]->error);
        }
    }
    const ConnectionStats stats = connection_stats(io.get_executor());
    EXPECT_EQ(stats.in_use, 0U);
    EXPECT_EQ(stats.waiting, 0U);
    EXPECT_LE(stats.idle, 5U);
}

}  // namespace
}  // namespace llmproc::net::test
