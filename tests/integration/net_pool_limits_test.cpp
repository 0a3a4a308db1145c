#include <llmproc/observer.hpp>
#include <llmproc/testing/reply.hpp>
#include "net_support.hpp"

#include <algorithm>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::net::test {
namespace {

using Calls = std::vector<std::shared_ptr<Exchange>>;

/// What arrived at several servers, in order.
class Arrivals {
public:
    void watch(ScriptedServer& server) {
        server.handle([this](const auto& request) {
            const std::lock_guard lock(mutex_);
            bodies_.push_back(request.body);
            return Reply::json("{}");
        });
    }
    std::vector<std::string> bodies() const {
        const std::lock_guard lock(mutex_);
        return bodies_;
    }

private:
    mutable std::mutex mutex_;
    std::vector<std::string> bodies_;
};

class NetPoolLimitsTest : public NetTest {
protected:
    std::shared_ptr<HttpClient> client(
        const ScriptedServer& server,
        std::size_t per_host,
        std::size_t total
    ) {
        const auto settings = settings_of(server);
        settings->max_connections_per_host = per_host;
        settings->max_connections = total;
        return client_of(server, settings);
    }
    void run_until(const std::function<bool()>& reached) {
        io.restart();
        const auto limit = std::chrono::steady_clock::now() + 60s;
        while (!reached() && std::chrono::steady_clock::now() < limit) {
            io.run_one_for(10ms);
            io.restart();
        }
        ASSERT_TRUE(reached());
    }
    std::shared_ptr<Exchange> begin(
        const std::shared_ptr<HttpClient>& client,
        std::string body = "question",
        const Timeouts& limits = Timeouts().total(60s)
    ) {
        return start(io.get_executor(), client, post(std::move(body)), limits);
    }
    /// A call that holds a connection of `server` until hold_until_open_requests(0).
    std::shared_ptr<Exchange> occupy(
        ScriptedServer& server,
        const std::shared_ptr<HttpClient>& client
    ) {
        server.hold_until_open_requests(100);
        const std::size_t before = server.stats().open_requests;
        auto call = begin(client, "held");
        run_until([&] { return server.stats().open_requests == before + 1; });
        return call;
    }
};

TEST_F(NetPoolLimitsTest, TheOldestIdleConnectionOfAnotherOriginGivesWay) {
    ScriptedServer a(plain());
    ScriptedServer b(plain());
    ScriptedServer c(plain());
    const auto to_a = client(a, 1, 2);
    const auto to_b = client(b, 1, 2);
    const auto to_c = client(c, 1, 2);
    for (ScriptedServer* const server : {&a, &b, &c}) {
        server->default_reply(Reply::json("{}"));
    }
    fetch(to_a);
    fetch(to_b);
    EXPECT_EQ(stats().idle, 2U);
    fetch(to_c);
    EXPECT_TRUE(a.wait_for_connections_at_most(0, 60s));
    EXPECT_EQ(stats().idle, 2U);
    EXPECT_EQ(stats().discarded, 1U);
    fetch(to_b);
    fetch(to_c);
    EXPECT_EQ(b.stats().accepts, 1U);
    EXPECT_EQ(c.stats().accepts, 1U);
    fetch(to_a);
    EXPECT_EQ(a.stats().accepts, 2U);
    EXPECT_TRUE(b.wait_for_connections_at_most(0, 60s));
}

TEST_F(NetPoolLimitsTest, AWaiterIsServedWhenAnotherOriginFreesItsSlot) {
    ScriptedServer a;
    ScriptedServer b;
    a.default_reply(Reply::json("{}"));
    b.default_reply(Reply::json("{}"));
    const auto to_a = client(a, 1, 1);
    const auto to_b = client(b, 1, 1);
    const auto first = occupy(a, to_a);
    const auto second = begin(to_b);
    run_until([&] { return stats().waiting == 1; });
    EXPECT_EQ(b.stats().accepts, 0U);
    a.hold_until_open_requests(0);
    run();
    EXPECT_TRUE(first->reply);
    EXPECT_TRUE(second->reply);
    EXPECT_TRUE(a.wait_for_connections_at_most(0, 60s));
    EXPECT_EQ(stats().idle, 1U);
    EXPECT_EQ(stats().opened, 2U);
}

TEST_F(NetPoolLimitsTest, AWaiterIsServedWhenAnotherOriginsCallIsCancelled) {
    ScriptedServer a(plain());
    ScriptedServer b(plain());
    b.default_reply(Reply::json("{}"));
    const auto to_a = client(a, 1, 1);
    const auto first = occupy(a, to_a);
    const auto second = begin(client(b, 1, 1));
    run_until([&] { return stats().waiting == 1; });
    first->call->cancel_from_anywhere(CancelReason::user);
    run();
    EXPECT_EQ(errc_of(first->error), Errc::cancelled);
    EXPECT_TRUE(second->reply);
}

TEST_F(NetPoolLimitsTest, TheEarliestWaiterOfAllOriginsIsServed) {
    Arrivals arrivals;
    ScriptedServer a(plain());
    ScriptedServer b(plain());
    arrivals.watch(a);
    arrivals.watch(b);
    const auto to_a = client(a, 1, 1);
    const auto to_b = client(b, 1, 1);
    const auto held = occupy(a, to_a);
    std::vector<std::string> order = {"held"};
    Calls calls;
    for (int i = 0; i < 12; ++i) {
        order.push_back(std::to_string(i));
        calls.push_back(begin(i % 3 == 0 ? to_a : to_b, order.back()));
    }
    run_until([&] { return stats().waiting == 12; });
    a.hold_until_open_requests(0);
    run();
    EXPECT_EQ(arrivals.bodies(), order);
    EXPECT_EQ(stats().waiting, 0U);
    EXPECT_EQ(stats().idle, 1U);
}

TEST_F(NetPoolLimitsTest, AFullOriginDoesNotHoldUpAnother) {
    ScriptedServer a(plain());
    ScriptedServer b(plain());
    a.default_reply(Reply::json("{}"));
    b.default_reply(Reply::json("{}"));
    const auto to_a = client(a, 1, 2);
    const auto to_b = client(b, 1, 2);
    const auto first = occupy(a, to_a);
    const auto second = begin(to_a);
    run_until([&] { return stats().waiting == 1; });
    const auto third = begin(to_b);
    run_until([&] { return third->ended; });
    EXPECT_TRUE(third->reply);
    EXPECT_FALSE(second->ended);
    a.hold_until_open_requests(0);
    run();
    EXPECT_TRUE(second->reply);
    EXPECT_EQ(a.stats().accepts, 1U);
    EXPECT_EQ(b.stats().accepts, 1U);
}

TEST_F(NetPoolLimitsTest, TheTotalIsNeverExceeded) {
    ScriptedServer a(plain());
    ScriptedServer b(plain());
    a.default_reply(Reply::json("{}"));
    b.default_reply(Reply::json("{}"));
    const auto to_a = client(a, 3, 4);
    const auto to_b = client(b, 3, 4);
    Calls calls;
    for (int i = 0; i < 60; ++i) {
        calls.push_back(begin(i % 2 == 0 ? to_a : to_b));
    }
    bool exceeded = false;
    run_until([&] {
        exceeded = exceeded || stats().in_use + stats().idle > 4;
        return std::all_of(calls.begin(), calls.end(), [](const auto& call) {
            return call->ended;
        });
    });
    EXPECT_FALSE(exceeded);
    for (const auto& call : calls) {
        EXPECT_TRUE(call->reply) << text_of(call->error);
    }
}

TEST_F(NetPoolLimitsTest, WaitersForTheTotalCanBeCancelledAndEndAtTheirDeadline) {
    ScriptedServer a(plain());
    ScriptedServer b(plain());
    a.default_reply(Reply::json("{}"));
    b.default_reply(Reply::json("{}"));
    const auto first = occupy(a, client(a, 1, 1));
    const auto to_b = client(b, 1, 1);
    const auto cancelled = begin(to_b);
    const auto late = begin(to_b, "late", Timeouts().pool(20ms));
    const auto served = begin(to_b, "served");
    run_until([&] { return stats().waiting == 3 || late->ended; });
    cancelled->call->cancel_from_anywhere(CancelReason::user);
    run_until([&] { return cancelled->ended && late->ended; });
    EXPECT_EQ(errc_of(cancelled->error), Errc::cancelled);
    try {
        std::rethrow_exception(late->error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::pool);
    }
    EXPECT_EQ(stats().waiting, 1U);
    a.hold_until_open_requests(0);
    run();
    EXPECT_TRUE(served->reply);
    EXPECT_EQ(b.stats().requests, 1U);
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_F(NetPoolLimitsTest, ALowTotalWaitsForItsOwnLimitOnly) {
    ScriptedServer a(plain());
    a.default_reply(Reply::json("{}"));
    const auto wide = settings_of(a);
    wide->max_connections_per_host = 2;
    wide->max_connections = 9;
    const auto narrow = std::make_shared<NetSettings>(*wide);
    narrow->max_connections = 2;
    ScriptedServer b(plain());
    b.default_reply(Reply::json("{}"));
    const auto first = occupy(a, client_of(a, wide));
    const auto second = occupy(a, client_of(a, wide));
    const auto modest = begin(client_of(b, narrow));
    run_until([&] { return stats().waiting == 1; });
    const auto other = begin(client_of(b, wide));
    run_until([&] { return other->ended; });
    EXPECT_TRUE(other->reply);
    EXPECT_FALSE(modest->ended);
    a.hold_until_open_requests(0);
    run();
    EXPECT_TRUE(modest->reply);
}

/// Keeps what it is told of waits.
class WaitObserver final : public Observer {
public:
    void on_event(const CallEvent& event) noexcept override {
        if (event.step == CallStep::wait && event.stage == Stage::pool) {
            waits.push_back(event.error);
        }
    }
    std::vector<std::optional<Errc>> waits;
};

TEST_F(NetPoolLimitsTest, WaitsAreObserved) {
    ScriptedServer server(plain());
    server.default_reply(Reply::json("{}"));
    const auto to = client(server, 1, 1);
    const auto observer = std::make_shared<WaitObserver>();
    const auto first = occupy(server, to);
    const auto second = begin(to);
    const auto third = begin(to);
    second->call->trace().attach(observer);
    third->call->trace().attach(observer);
    run_until([&] { return stats().waiting == 2; });
    EXPECT_TRUE(observer->waits.empty());
    second->call->cancel_from_anywhere(CancelReason::user);
    run_until([&] { return second->ended; });
    server.hold_until_open_requests(0);
    run();
    EXPECT_TRUE(third->reply);
    using Waits = std::vector<std::optional<Errc>>;
    EXPECT_EQ(observer->waits, (Waits{Errc::cancelled, std::nullopt}));
}

TEST(NetPoolThreadsTest, FourThreadsShareTheTotalOfThreeOrigins) {
    std::vector<std::unique_ptr<ScriptedServer>> servers;
    asio::io_context io;
    std::vector<std::shared_ptr<HttpClient>> clients;
    for (int i = 0; i < 3; ++i) {
        servers.push_back(std::make_unique<ScriptedServer>(plain()));
        servers.back()->handle([](const auto& request) { return Reply::json(request.body); });
        const auto settings = std::make_shared<NetSettings>();
        settings->max_connections_per_host = 3;
        settings->max_connections = 4;
        clients.push_back(
            std::make_shared<HttpClient>(wire::Url::parse(servers.back()->url()), settings)
        );
    }
    Calls calls;
    for (std::size_t i = 0; i < 300; ++i) {
        calls.push_back(start(io.get_executor(), clients[i % 3], post(std::to_string(i))));
    }
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&io] { io.run(); });
    }
    for (std::size_t i = 0; i < calls.size(); i += 7) {
        calls[i]->call->cancel_from_anywhere(CancelReason::user);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (std::size_t i = 0; i < calls.size(); ++i) {
        ASSERT_TRUE(calls[i]->ended);
        if (calls[i]->error) {
            EXPECT_EQ(i % 7, 0U) << text_of(calls[i]->error);
        } else {
            EXPECT_EQ(calls[i]->reply->body, std::to_string(i));
        }
    }
    const ConnectionStats stats = connection_stats(io.get_executor());
    EXPECT_EQ(stats.in_use, 0U);
    EXPECT_EQ(stats.waiting, 0U);
    EXPECT_LE(stats.idle, 4U);
}

}  // namespace
}  // namespace llmproc::net::test
