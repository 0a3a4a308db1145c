#include "net/http_exchange.hpp"

#include "net/origin.hpp"
#include "wire/url.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::net {
namespace {

Origin origin_of(std::string_view url, std::shared_ptr<const ProxyServer> proxy = nullptr) {
    return Origin(wire::Url::parse(url), nullptr, 1, std::move(proxy));
}

std::shared_ptr<const ProxyServer> proxy_with(std::string authorization) {
    auto proxy = std::make_shared<ProxyServer>();
    proxy->host = "proxy.example";
    proxy->port = 3128;
    proxy->host_port = "proxy.example:3128";
    proxy->authorization = Secret(std::move(authorization));
    return proxy;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

TEST(ComposeRequestTest, WritesTheWholeRequest) {
    const HttpRequest request("POST", "/v1/chat?a=b", Headers{{"X-One", "1"}}, "body");
    EXPECT_EQ(
        compose_request(request, origin_of("http://127.0.0.1:8080")),
        "POST /v1/chat?a=b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nX-One: 1\r\n"
        "Accept-Encoding: identity\r\nContent-Length: 4\r\n\r\nbody"
    );
    EXPECT_EQ(
        compose_request(HttpRequest("GET", "/"), origin_of("http://localhost")),
        "GET / HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: identity\r\n\r\n"
    );
}

TEST(ComposeRequestTest, CutsALargeBodyOff) {
    const HttpRequest request("POST", "/", Headers(), std::string(1000, 'x'));
    const Origin origin = origin_of("http://localhost");
    const std::string whole = compose_request(request, origin);
    EXPECT_TRUE(has(whole, "Content-Length: 1000\r\n"));
    EXPECT_EQ(compose_request(request, origin, 300), whole.substr(0, 300));
    EXPECT_EQ(compose_request(request, origin, whole.size()), whole);
    EXPECT_EQ(compose_request(request, origin, 10), whole.substr(0, whole.size() - 1000));
}

TEST(ComposeRequestTest, CountsTheBodyItself) {
    const HttpRequest lying("POST", "/", Headers{{"content-length", "99"}}, "body");
    const std::string text = compose_request(lying, origin_of("http://localhost"));
    EXPECT_FALSE(has(text, "99"));
    EXPECT_TRUE(has(text, "Content-Length: 4\r\n"));
    const std::string empty =
        compose_request(HttpRequest("POST", "/"), origin_of("http://localhost"));
    EXPECT_TRUE(has(empty, "Content-Length: 0\r\n"));
}

TEST(ComposeRequestTest, LeavesHostAndEncodingToACallerWhoNamesThem) {
    const Headers headers{{"host", "other.example"}, {"accept-encoding", "br"}};
    const std::string text =
        compose_request(HttpRequest("POST", "/", headers, "x"), origin_of("http://localhost"));
    EXPECT_FALSE(has(text, "localhost"));
    EXPECT_FALSE(has(text, "identity"));
    EXPECT_TRUE(has(text, "accept-encoding: br\r\n"));
}

TEST(ComposeRequestTest, AsksAProxyInAbsoluteForm) {
    const HttpRequest request("POST", "/v1/chat?a=b", Headers(), "x");
    const std::string text = compose_request(
        request,
        origin_of("http://api.example:8080", proxy_with("Basic dXNlcg=="))
    );
    EXPECT_TRUE(text.starts_with(
        "POST http://api.example:8080/v1/chat?a=b HTTP/1.1\r\nHost: api.example:8080\r\n"
        "Proxy-Authorization: Basic dXNlcg==\r\n"
    )) << text;
    const std::string open = compose_request(request, origin_of("http://[::1]", proxy_with("")));
    EXPECT_TRUE(open.starts_with("POST http://[::1]/v1/chat?a=b HTTP/1.1\r\nHost: [::1]\r\n"));
    EXPECT_FALSE(has(open, "Proxy-Authorization"));
}

TEST(ComposeRequestTest, SpeaksToTheServerItselfInATunnel) {
    Origin origin = origin_of("https://api.example", proxy_with("Basic dXNlcg=="));
    // The exchange never looks into it.
    origin.tls = std::shared_ptr<TlsContext>(
        std::make_shared<int>(),
        static_cast<TlsContext*>(static_cast<void*>(&origin))
    );
    ASSERT_TRUE(origin.tunnelled());
    const std::string text = compose_request(HttpRequest("POST", "/v1"), origin);
    EXPECT_TRUE(text.starts_with("POST /v1 HTTP/1.1\r\nHost: api.example\r\n")) << text;
    EXPECT_FALSE(has(text, "Proxy-Authorization"));
    EXPECT_FALSE(has(text, "dXNlcg"));
}

TEST(ComposeRequestTest, RefusesWhatOnlyTheTransportMaySet) {
    const std::pair<const char*, const char*> fields[] = {
        {"Transfer-Encoding", "chunked"},
        {"proxy-authorization", "Basic c2VjcmV0"},
        {"Proxy-Connection", "keep-alive"},
    };
    for (const auto& [name, value] : fields) {
        for (const auto& proxy : {std::shared_ptr<const ProxyServer>(), proxy_with("Basic eA==")}) {
            const HttpRequest request("POST", "/", Headers{{name, value}}, "x");
            try {
                compose_request(request, origin_of("http://localhost", proxy));
                ADD_FAILURE() << name;
            } catch (const LLMError& error) {
                EXPECT_EQ(error.errc(), Errc::invalid_argument);
                EXPECT_TRUE(has(error.message(), "remove it")) << error.message();
                EXPECT_FALSE(has(error.message(), "c2VjcmV0")) << error.message();
            }
        }
    }
}

TEST(ComposeRequestTest, RefusesWhatCannotStandInARequestLine) {
    const auto errc = [](const HttpRequest& request) {
        try {
            compose_request(request, origin_of("http://localhost"));
        } catch (const LLMError& error) {
            return error.errc();
        }
        return Errc::internal;
    };
    for (const char* const method : {"", "post", "PO ST", "POST\r\n"}) {
        EXPECT_EQ(errc(HttpRequest(method, "/")), Errc::invalid_argument) << method;
    }
    for (const char* const target : {"", "v1", "/a b", "/a\r\nX: y", "http://h/", "/\xc3\xa4"}) {
        EXPECT_EQ(errc(HttpRequest("POST", target)), Errc::invalid_argument) << target;
    }
}

}  // namespace
}  // namespace llmproc::net
