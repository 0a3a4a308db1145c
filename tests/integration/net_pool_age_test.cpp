#include <llmproc/testing/reply.hpp>
#include "net_support.hpp"

#include <memory>
#include <vector>

namespace llmproc::net::test {
namespace {

class NetPoolAgeTest : public NetTest {};

TEST_F(NetPoolAgeTest, KeepAliveMaxIsObeyed) {
    ScriptedServer server(plain());
    server.default_reply(Reply::json("{}").header("Keep-Alive", "timeout=60, max=2"));
    const auto to = client_of(server);
    for (int i = 0; i < 7; ++i) {
        fetch(to);
    }
    // One request and two further ones on each connection.
    std::vector<int> ids;
    for (const auto& request : server.requests()) {
        ids.push_back(request.connection_id);
    }
    EXPECT_EQ(ids, (std::vector<int>{1, 1, 1, 2, 2, 2, 3}));
}

TEST_F(NetPoolAgeTest, KeepAliveMaxZeroClosesTheConnection) {
    ScriptedServer server(plain());
    server.default_reply(Reply::json("{}").header("Keep-Alive", "max=0"));
    const auto to = client_of(server);
    fetch(to);
    EXPECT_EQ(stats().idle, 0U);
    EXPECT_TRUE(server.wait_for_connections_at_most(0, 60s));
}

TEST_F(NetPoolAgeTest, KeepAliveTimeoutIsObeyed) {
    ScriptedServer server(plain());
    const auto to = client_of(server);
    server.push(Reply::json("{}").header("keep-alive", "timeout=3600"));
    server.push(Reply::json("{}").header("keep-alive", "timeout=0"));
    server.default_reply(Reply::json("{}").header("keep-alive", "Timeout=nonsense"));
    fetch(to);
    fetch(to);
    EXPECT_EQ(server.stats().accepts, 1U);
    EXPECT_EQ(stats().idle, 0U);
    fetch(to);
    fetch(to);
    EXPECT_EQ(server.stats().accepts, 2U);
}

TEST_F(NetPoolAgeTest, AConnectionBeyondItsAgeIsNotUsedAgain) {
    ScriptedServer server(plain());
    server.default_reply(Reply::json("{}"));
    const auto settings = settings_of(server);
    settings->max_age = 0ms;
    const auto to = client_of(server, settings);
    fetch(to);
    EXPECT_EQ(stats().idle, 0U);
    fetch(to);
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(stats().reused, 0U);
}

TEST_F(NetPoolAgeTest, ACallDoesNotTakeAConnectionTooOldForIt) {
    ScriptedServer server(plain());
    server.default_reply(Reply::json("{}"));
    const auto patient = settings_of(server);
    const auto strict = std::make_shared<NetSettings>(*patient);
    strict->max_age = 0ms;
    fetch(client_of(server, patient));
    EXPECT_EQ(stats().idle, 1U);
    fetch(client_of(server, strict));
    EXPECT_EQ(server.stats().accepts, 2U);
    EXPECT_EQ(stats().discarded, 1U);
}

TEST_F(NetPoolAgeTest, AWaiterGetsANewConnectionForOneThatWasTooOld) {
    ScriptedServer server(plain());
    server.default_reply(Reply::json("{}").header("Keep-Alive", "max=0"));
    const auto settings = settings_of(server);
    settings->max_connections_per_host = 1;
    const auto to = client_of(server, settings);
    std::vector<std::shared_ptr<Exchange>> calls;
    for (int i = 0; i < 5; ++i) {
        calls.push_back(start(io.get_executor(), to, post()));
    }
    run();
    for (const auto& call : calls) {
        EXPECT_TRUE(call->reply) << text_of(call->error);
    }
    EXPECT_EQ(server.stats().accepts, 5U);
}

}  // namespace
}  // namespace llmproc::net::test
