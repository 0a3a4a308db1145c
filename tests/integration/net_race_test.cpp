#include <llmproc/error.hpp>
#include <llmproc/observer.hpp>
#include <llmproc/testing/reply.hpp>
#include "net/caching_resolver.hpp"
#include "net_support.hpp"
#include "support/local_server.hpp"
#include "support/recording_observer.hpp"
#include "support/resources.hpp"

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::net::test {
namespace {

using asio::ip::tcp;
using llmproc::testing::RecordingObserver;
using llmproc::testing::refusing_address;
using llmproc::testing::Resources;

/// An address that swallows connection requests: a listener whose queue is full, so that Linux
/// drops every further SYN.
class BlackHole {
public:
    explicit BlackHole(const std::string& host = "127.0.0.2") : listener_(io_) {
        listener_.open(tcp::v4());
        listener_.bind({asio::ip::make_address(host), 0});
        listener_.listen(0);
        constexpr int most = 16;
        bool full = false;
        for (int i = 0; i < most && !full; ++i) {
            full = !answers();
        }
        EXPECT_TRUE(full) << "the listener's queue does not fill up";
    }

    tcp::endpoint address() const { return listener_.local_endpoint(); }

private:
    /// Whether one more connection request, which stays open, was answered.
    bool answers() {
        tcp::socket socket(io_, tcp::v4());
        socket.native_non_blocking(true);
        const tcp::endpoint peer = address();
        ::connect(socket.native_handle(), peer.data(), static_cast<socklen_t>(peer.size()));
        pollfd ready = {socket.native_handle(), POLLOUT, 0};
        constexpr int patience_ms = 100;
        const bool answered = ::poll(&ready, 1, patience_ms) == 1;
        fillers_.push_back(std::move(socket));
        return answered;
    }

    asio::io_context io_;
    tcp::acceptor listener_;
    std::vector<tcp::socket> fillers_;
};

/// Keeps the handlers until the test answers.
class HeldResolver final : public Resolver {
public:
    void resolve(std::string, std::uint16_t, ResolveHandler handler) override {
        held.push_back(std::move(handler));
    }
    std::vector<ResolveHandler> held;
};

class NetRaceTest : public NetTest {
protected:
    NetRaceTest() {
        server.default_reply(Reply::json("{}"));
        stats();  // Opens the descriptors of the context itself.
    }

    tcp::endpoint good() const { return {asio::ip::address_v4::loopback(), server.port()}; }
    std::shared_ptr<HttpClient> client_for(
        const std::shared_ptr<Resolver>& resolver,
        const std::string& url = "http://many.example"
    ) {
        auto settings = std::make_shared<NetSettings>();
        settings->allow_insecure_http = true;
        settings->proxy.url = "";
        return std::make_shared<HttpClient>(wire::Url::parse(url), settings, resolver);
    }
    std::shared_ptr<FixedResolver> resolver_for(Addresses addresses) {
        return std::make_shared<FixedResolver>(std::move(addresses));
    }
    /// An exchange that has come to `stage` and can go no further.
    std::shared_ptr<Exchange> stalled(const std::shared_ptr<HttpClient>& client, Stage stage) {
        auto started = start(io.get_executor(), client, post());
        io.restart();
        while (started->call->stage() != stage && io.run_one() != 0) {}
        io.poll();
        EXPECT_EQ(started->call->stage(), stage);
        EXPECT_FALSE(started->ended);
        return started;
    }
    std::shared_ptr<RecordingObserver> observe(Exchange& exchange) {
        auto observer = std::make_shared<RecordingObserver>();
        exchange.call->trace().attach(observer);
        return observer;
    }

    ScriptedServer server{ServerOptions().https(false).host("127.0.0.1")};
};

TEST_F(NetRaceTest, PassesABlackHole) {
    const BlackHole hole;
    const auto resolver = resolver_for({hole.address(), good()});
    const auto client = client_for(resolver);
    const auto started = start(io.get_executor(), client, post());
    const auto observer = observe(*started);
    run();
    ASSERT_FALSE(started->error) << text_of(started->error);
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(client->counters().opened, 1U);
    EXPECT_TRUE(resolver->forgotten.empty());
    EXPECT_EQ(observer->steps(), "dns connect request first_byte");
    const auto connects = observer->events(CallStep::connect);
    ASSERT_EQ(connects.size(), 1U);
    EXPECT_EQ(connects[0].peer_address, "127.0.0.1");
    EXPECT_FALSE(connects[0].event.error);
}

TEST_F(NetRaceTest, ClosesTheLosers) {
    const BlackHole hole;
    const BlackHole other("127.0.0.3");
    const auto client = client_for(resolver_for({hole.address(), other.address(), good()}));
    const Resources before = Resources::now();
    fetch(client, post());
    // The winner, kept alive, and the server's end of it.
    EXPECT_EQ(Resources::now().descriptors, before.descriptors + 2);
}

TEST_F(NetRaceTest, ARefusalStartsTheNextAttemptAtOnce) {
    // One delay for each refusal would exceed the limit by far.
    constexpr int refusals = 60;
    Addresses addresses;
    for (int i = 1; i <= refusals; ++i) {
        addresses.push_back(refusing_address("127.0.1." + std::to_string(i)));
    }
    addresses.push_back(good());
    const auto client = client_for(resolver_for(addresses));
    const auto done = exchange(client, post(), Timeouts().connect(10s));
    EXPECT_FALSE(done->error) << text_of(done->error);
}

TEST_F(NetRaceTest, AllRefusedNamesTheFirstAndForgetsTheHost) {
    const auto resolver = resolver_for(
        {refusing_address("127.0.0.4"), refusing_address("127.0.0.5")}
    );
    const auto started = start(io.get_executor(), client_for(resolver), post());
    const auto observer = observe(*started);
    run();
    EXPECT_EQ(errc_of(started->error), Errc::connect_failed);
    EXPECT_NE(text_of(started->error).find("cannot connect to 127.0.0.4"), std::string::npos)
        << text_of(started->error);
    EXPECT_EQ(resolver->forgotten, std::vector<std::string>{"many.example"});
    const auto connects = observer->events(CallStep::connect);
    ASSERT_EQ(connects.size(), 1U);
    EXPECT_EQ(connects[0].event.error, Errc::connect_failed);
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_F(NetRaceTest, BlackHolesOnlyEndAtTheConnectTimeout) {
    const BlackHole hole;
    const BlackHole other("127.0.0.3");
    const Resources before = Resources::now();
    const auto resolver = resolver_for({hole.address(), other.address()});
    const auto started =
        start(io.get_executor(), client_for(resolver), post(), Timeouts().connect(300ms));
    const auto observer = observe(*started);
    run();
    ASSERT_EQ(errc_of(started->error), Errc::timeout);
    try {
        std::rethrow_exception(started->error);
    } catch (const Timeout& timeout) {
        EXPECT_EQ(timeout.stage(), Stage::connect);
    }
    EXPECT_EQ(resolver->forgotten.size(), 1U);
    EXPECT_EQ(observer->events(CallStep::connect).at(0).event.error, Errc::timeout);
    EXPECT_EQ(Resources::now().descriptors, before.descriptors);
}

TEST_F(NetRaceTest, CancelAndCloseEndTheRaceAtOnce) {
    const BlackHole hole;
    for (const CancelReason reason : {CancelReason::user, CancelReason::closed}) {
        const auto resolver = resolver_for({hole.address(), hole.address()});
        const Resources before = Resources::now();
        const auto started = stalled(client_for(resolver), Stage::connect);
        EXPECT_EQ(Resources::now().descriptors, before.descriptors + 1);
        started->call->cancel(reason);
        io.poll();
        ASSERT_TRUE(started->ended);
        const Errc expected = reason == CancelReason::user ? Errc::cancelled : Errc::process_closed;
        EXPECT_EQ(errc_of(started->error), expected);
        EXPECT_EQ(Resources::now().descriptors, before.descriptors);
        EXPECT_TRUE(resolver->forgotten.empty());
    }
    EXPECT_EQ(stats().in_use, 0U);
}

TEST_F(NetRaceTest, AContextMayDieDuringTheRace) {
    const BlackHole hole;
    const BlackHole other("127.0.0.3");
    const auto client = client_for(resolver_for({hole.address(), other.address()}));
    const Resources before = Resources::now();
    std::weak_ptr<Exchange> left;
    {
        asio::io_context mortal;
        auto started = start(mortal.get_executor(), client, post());
        while (started->call->stage() != Stage::connect && mortal.run_one() != 0) {}
        mortal.run_one();  // The delay is over: the second attempt runs too.
        EXPECT_FALSE(started->ended);
        // A call that outlives its context must be finished; here the context owns it.
        left = started;
        started.reset();
        EXPECT_FALSE(left.expired());
    }
    EXPECT_TRUE(left.expired());
    EXPECT_EQ(Resources::now().descriptors, before.descriptors);
}

TEST_F(NetRaceTest, LocalhostMayListenOnOneFamilyOnly) {
    for (const char* const host : {"127.0.0.1", "::1"}) {
        if (!can_listen(host)) {
            GTEST_SKIP() << "this machine has no IPv6 on loopback";
        }
        ScriptedServer one(ServerOptions().https(false).host(host));
        one.default_reply(Reply::json("{}"));
        const std::string url = "http://localhost:" + std::to_string(one.port());
        const auto client = client_for(system_resolver(), url);
        EXPECT_EQ(fetch(client), "{}") << host;
        EXPECT_EQ(client->counters().lookups, 0U);
    }
}

TEST_F(NetRaceTest, ReportsThatNoDescriptorIsLeft) {
    if (llmproc::testing::needs_descriptors_itself()) {
        GTEST_SKIP() << llmproc::testing::needs_descriptors_because;
    }
    const auto client = client_for(resolver_for({good()}));
    rlimit before = {};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit none = before;
    none.rlim_cur = 0;
    const auto starved = start(io.get_executor(), client, post());
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    io.poll();
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
    ASSERT_TRUE(starved->ended);
    EXPECT_EQ(errc_of(starved->error), Errc::limit_reached);
    EXPECT_EQ(fetch(client), "{}");
}

TEST_F(NetRaceTest, CallsOfOneHostShareALookUpAndLeaveItFreely) {
    const auto inner = std::make_shared<HeldResolver>();
    const auto resolver = std::make_shared<CachingResolver>(inner);
    const auto client =
        client_for(resolver, "http://many.example:" + std::to_string(server.port()));
    std::vector<std::shared_ptr<Exchange>> calls;
    for (int i = 0; i < 4; ++i) {
        calls.push_back(stalled(client, Stage::resolve));
    }
    ASSERT_EQ(inner->held.size(), 1U);
    // Even the one who asked may leave.
    calls[0]->call->cancel(CancelReason::user);
    io.poll();
    EXPECT_EQ(errc_of(calls[0]->error), Errc::cancelled);
    inner->held[0]({}, {good()});
    run();
    for (std::size_t i = 1; i < calls.size(); ++i) {
        EXPECT_TRUE(calls[i]->ended);
        EXPECT_FALSE(calls[i]->error);
    }
    EXPECT_EQ(inner->held.size(), 1U);
    EXPECT_EQ(client->counters().lookups, 1U);
}

TEST_F(NetRaceTest, TheNextConnectionNeedsNoLookUpUntilOneFails) {
    const auto inner = std::make_shared<HeldResolver>();
    auto now = CachingResolver::Clock::now();
    const auto resolver = std::make_shared<CachingResolver>(inner, [&now] { return now; });
    auto other = std::make_unique<ScriptedServer>(ServerOptions().https(false).host("127.0.0.1"));
    other->default_reply(Reply::json("{}").close_after());
    const auto client =
        client_for(resolver, "http://many.example:" + std::to_string(other->port()));
    const auto first = stalled(client, Stage::resolve);
    inner->held[0]({}, {good()});
    run();
    ASSERT_FALSE(first->error) << text_of(first->error);
    const auto second = start(io.get_executor(), client, post());
    const auto observer = observe(*second);
    run();
    ASSERT_FALSE(second->error) << text_of(second->error);
    EXPECT_EQ(client->counters().opened, 2U);
    EXPECT_EQ(client->counters().lookups, 1U);
    EXPECT_TRUE(observer->events(CallStep::dns).at(0).event.cached);
    other.reset();
    EXPECT_EQ(errc_of(exchange(client)->error), Errc::connect_failed);
    EXPECT_EQ(client->counters().lookups, 1U);
    const auto asking = stalled(client, Stage::resolve);
    EXPECT_EQ(inner->held.size(), 2U);
    inner->held[1](asio::error::host_not_found, {});
    run();
    EXPECT_EQ(errc_of(asking->error), Errc::resolve_failed);
    EXPECT_EQ(client->counters().lookups, 2U);
}

class NoSuchHost final : public Resolver {
public:
    void resolve(std::string host, std::uint16_t, ResolveHandler handler) override {
        hosts.push_back(std::move(host));
        handler(asio::error::host_not_found, Addresses());
    }
    std::vector<std::string> hosts;
};

TEST_F(NetRaceTest, ErrorsOfTheFirstHopNameTheProxy) {
    auto settings = std::make_shared<NetSettings>();
    settings->proxy.url = "http://user:hidden@proxy.example:3128";
    const auto unknown = std::make_shared<NoSuchHost>();
    const auto base = wire::Url::parse("https://api.example");
    const auto lost = exchange(std::make_shared<HttpClient>(base, settings, unknown));
    EXPECT_EQ(errc_of(lost->error), Errc::resolve_failed);
    EXPECT_EQ(unknown->hosts, std::vector<std::string>{"proxy.example"});
    const auto closed = resolver_for({refusing_address("127.0.0.4")});
    const auto refused = exchange(std::make_shared<HttpClient>(base, settings, closed));
    EXPECT_EQ(errc_of(refused->error), Errc::connect_failed);
    EXPECT_EQ(closed->forgotten, std::vector<std::string>{"proxy.example"});
    EXPECT_NE(text_of(refused->error).find("127.0.0.4"), std::string::npos);
    for (const auto& failed : {lost, refused}) {
        const std::string text = text_of(failed->error);
        EXPECT_NE(text.find("the proxy proxy.example:3128"), std::string::npos) << text;
        EXPECT_NE(text.find("connection.proxy"), std::string::npos) << text;
        EXPECT_EQ(text.find("hidden"), std::string::npos) << text;
    }
}

TEST_F(NetRaceTest, CancelsFromOtherThreadsHitTheRaceAnywhere) {
    const BlackHole hole;
    constexpr std::size_t count = 200;
    const auto client = client_for(resolver_for({refusing_address(), hole.address(), good()}));
    const Resources before = Resources::now();
    std::vector<std::shared_ptr<Exchange>> calls;
    for (std::size_t i = 0; i < count; ++i) {
        calls.push_back(start(io.get_executor(), client, post()));
    }
    std::vector<std::thread> threads;
    threads.emplace_back([this] { io.run(); });
    threads.emplace_back([this] { io.run(); });
    for (std::size_t i = 0; i < count; i += 2) {
        calls[i]->call->cancel_from_anywhere(CancelReason::user);
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_TRUE(calls[i]->ended);
        if (calls[i]->error) {
            EXPECT_EQ(i % 2, 0U);
            EXPECT_EQ(errc_of(calls[i]->error), Errc::cancelled);
        }
    }
    EXPECT_EQ(stats().in_use, 0U);
    EXPECT_LE(Resources::now().threads, before.threads);
}

}  // namespace
}  // namespace llmproc::net::test
