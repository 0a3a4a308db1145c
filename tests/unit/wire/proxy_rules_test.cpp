#include "wire/proxy_rules.hpp"

#include "core/base64.hpp"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace llmproc::wire {
namespace {

using Variables = std::map<std::string, std::string>;

EnvironmentLookup lookup_in(Variables variables) {
    return [variables = std::move(variables)](const std::string& name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
}

std::string refusal_of(const std::string& url) {
    try {
        (void)ProxyUrl::parse(url);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    ADD_FAILURE() << "accepted: " << url;
    return "";
}

struct UrlRow {
    std::string text;
    bool tls;
    std::string host;
    std::uint16_t port;
    std::string credentials;  ///< "" = no authorization.
};

TEST(ProxyUrlTest, TakesApart) {
    const std::vector<UrlRow> rows{
        {"http://proxy.example:3128", false, "proxy.example", 3128, ""},
        {"http://proxy.example", false, "proxy.example", 80, ""},
        {"https://proxy.example", true, "proxy.example", 443, ""},
        {"HTTPS://Proxy.Example:8443/", true, "proxy.example", 8443, ""},
        {"proxy.example:3128", false, "proxy.example", 3128, ""},
        {"proxy", false, "proxy", 80, ""},
        {"  http://proxy:1  ", false, "proxy", 1, ""},
        {"http://[::1]:3128", false, "::1", 3128, ""},
        {"[fd00::1]", false, "fd00::1", 80, ""},
        {"10.0.0.1:8080", false, "10.0.0.1", 8080, ""},
        {"http://user:word@proxy:8080", false, "proxy", 8080, "user:word"},
        {"user:word@proxy", false, "proxy", 80, "user:word"},
        {"http://user@proxy", false, "proxy", 80, "user:"},
        {"http://:word@proxy", false, "proxy", 80, ":word"},
        {"http://@proxy", false, "proxy", 80, ""},
        {"http://:@proxy", false, "proxy", 80, ""},
        {"http://us%40er:p%3a%2F%25%20%C3%A4@proxy", false, "proxy", 80, "us@er:p:/% \xC3\xA4"},
        {"http://user:a@b:c@proxy", false, "proxy", 80, "user:a@b:c"},
        {"http://user:a+b@proxy", false, "proxy", 80, "user:a+b"},
        {"http://user:%0d%0aX-Evil:1@proxy", false, "proxy", 80, "user:\r\nX-Evil:1"},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.text);
        const ProxyUrl proxy = ProxyUrl::parse(row.text);
        EXPECT_EQ(proxy.tls, row.tls);
        EXPECT_EQ(proxy.host, row.host);
        EXPECT_EQ(proxy.port, row.port);
        const std::string expected = row.credentials.empty()
                                         ? ""
                                         : "Basic " + base64_encode(row.credentials);
        EXPECT_EQ(proxy.authorization.reveal(), expected);
    }
}

TEST(ProxyUrlTest, RefusesWithARemedyAndWithoutThePassword) {
    const std::vector<std::pair<std::string, std::string>> rows{
        {"", "HOST:PORT"},
        {"http://", "HOST:PORT"},
        {"socks5://user:hunter2@proxy:1080", "SOCKS"},
        {"SOCKS4a://proxy", "SOCKS"},
        {"socks5h://hunter2@proxy", "SOCKS"},
        {"ftp://user:hunter2@proxy", "scheme"},
        {"http://user:hunter2@", "HOST:PORT"},
        {"http://user:hunter2", "HOST:PORT"},
        {"http://user:hunter2@proxy:99999", "HOST:PORT"},
        {"http://user:hunter2@proxy:0", "HOST:PORT"},
        {"http://user:hunter2@pro xy", "HOST:PORT"},
        {"http://user:hunter2@fd00::1", "HOST:PORT"},
        {"http://user:hunter2@proxy/path", "%2F"},
        {"http://user:12/hunter2@proxy", "%2F"},
        {"http://user:hun#ter2@proxy", "%23"},
        {"http://user:hunter2@proxy?query", "%3F"},
        {"http://user:hunter2%2@proxy", "%25"},
        {"http://user:hunter2%zz@proxy", "%25"},
        {"http://us%3Aer:hunter2@proxy", "colon"},
    };
    for (const auto& [url, part] : rows) {
        SCOPED_TRACE(url);
        const std::string text = refusal_of(url);
        EXPECT_NE(text.find(part), std::string::npos) << text;
        EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
        EXPECT_EQ(text.find("ter2"), std::string::npos) << text;
    }
}

struct ExceptionRow {
    std::string list;
    std::string url;
    bool direct;
};

TEST(NoProxyListTest, Matches) {
    const std::vector<ExceptionRow> rows{
        {"", "https://api.example", false},
        {"*", "https://api.example", true},
        {"a.test,*", "https://[2001:db8::1]", true},
        {"api.example", "https://api.example", true},
        {"example", "https://api.example", true},
        {".example", "https://api.example", true},
        {"*.example", "https://api.example", true},
        {".example", "https://example", true},
        {"API.Example.", "https://api.example", true},
        {"api.example", "https://api.example.", true},
        {"ample", "https://api.example", false},
        {"pi.example", "https://api.example", false},
        {"api.example", "https://example", false},
        {"api.example.evil", "https://api.example", false},
        {"other.test, api.example", "https://api.example", true},
        {"other.test api.example", "https://api.example", true},
        {",, \tother.test\n,api.example ,", "https://api.example", true},
        {"api.example:443", "https://api.example", true},
        {"api.example:443", "https://api.example:8443", false},
        {"example:8443", "https://api.example:8443", true},
        {".example:80", "http://api.example", true},
        {"api.example:0", "https://api.example", false},
        {"api.example:x", "https://api.example", false},
        {"10.1.2.3", "https://10.1.2.3", true},
        {"10.1.2.3", "https://10.1.2.4", false},
        {"1.2.3", "https://10.1.2.3", false},
        {".2.3", "https://10.1.2.3", false},
        {"10.1.2.3:443", "https://10.1.2.3", true},
        {"10.1.2.3:444", "https://10.1.2.3", false},
        {"10.0.0.0/8", "https://10.200.3.4", true},
        {"10.0.0.0/8", "https://11.0.0.1", false},
        {"10.99.99.99/8", "https://10.1.1.1", true},
        {"192.168.4.0/22", "https://192.168.7.255", true},
        {"192.168.4.0/22", "https://192.168.8.0", false},
        {"192.168.1.1/32", "https://192.168.1.1", true},
        {"192.168.1.1/32", "https://192.168.1.2", false},
        {"0.0.0.0/0", "https://8.8.8.8", true},
        {"0.0.0.0/0", "https://[2001:db8::1]", false},
        {"0.0.0.0/0", "https://api.example", false},
        {"::/0", "https://[2001:db8::1]", true},
        {"::/0", "https://8.8.8.8", false},
        {"fd00::/8", "https://[fd12:3456::1]", true},
        {"fd00::/8", "https://[fe80::1]", false},
        {"2001:db8::/33", "https://[2001:db8:7fff::1]", true},
        {"2001:db8::/33", "https://[2001:db8:8000::1]", false},
        {"2001:DB8:0::1", "https://[2001:db8::1]", true},
        {"[2001:db8::1]", "https://[2001:db8::1]", true},
        {"[2001:db8::1]:443", "https://[2001:db8::1]", true},
        {"[2001:db8::1]:80", "https://[2001:db8::1]", false},
        {"10.0.0.0/33", "https://10.0.0.1", false},
        {"10.0.0.0/-1", "https://10.0.0.1", false},
        {"10.0.0.0/", "https://10.0.0.1", false},
        {"fd00::/129", "https://[fd00::1]", false},
        {"api.example/8", "https://api.example", false},
        {"10.1.2.3.nip.io", "https://10.1.2.3", false},
        {"nip.io", "https://10.1.2.3.nip.io", true},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.list + " for " + row.url);
        EXPECT_EQ(NoProxyList::parse(row.list).matches(Url::parse(row.url)), row.direct);
    }
}

TEST(NoProxyListTest, SaysWhatItDoesNotUnderstand) {
    NoProxyList list;
    for (const char* const good : {"*", "a.test", ".a.test:80", "10.0.0.0/8", "::1", "[::1]:80"}) {
        EXPECT_TRUE(list.add(good)) << good;
    }
    for (const char* const bad :
         {"",
          " ",
          ".",
          "a b",
          "https://a.test",
          "a.test:",
          "a.test:70000",
          "10.0.0.0/40",
          "[::1",
          "[::1]x",
          "a,b"}) {
        EXPECT_FALSE(list.add(bad)) << bad;
    }
}

struct VariableRow {
    std::string url;
    Variables variables;
    std::string expected;  ///< Name of the variable that counts; "" = none.
};

TEST(ProxyVariableTest, FollowsTheDocumentedOrder) {
    const std::string https = "https://api.example";
    const std::string http = "http://api.example";
    const std::string p = "http://p:1";
    const std::vector<VariableRow> rows{
        {https, {}, ""},
        {https, {{"https_proxy", p}, {"HTTPS_PROXY", p}, {"ALL_PROXY", p}}, "https_proxy"},
        {https, {{"HTTPS_PROXY", p}, {"all_proxy", p}, {"ALL_PROXY", p}}, "HTTPS_PROXY"},
        {https, {{"all_proxy", p}, {"ALL_PROXY", p}}, "all_proxy"},
        {https, {{"ALL_PROXY", p}}, "ALL_PROXY"},
        {https, {{"http_proxy", p}, {"HTTP_PROXY", p}}, ""},
        {https, {{"https_proxy", ""}, {"HTTPS_PROXY", p}}, "HTTPS_PROXY"},
        {https, {{"https_proxy", "  "}, {"HTTPS_PROXY", "\t"}, {"ALL_PROXY", p}}, "ALL_PROXY"},
        {https, {{"HTTPS_PROXY", p}, {"REQUEST_METHOD", "GET"}}, "HTTPS_PROXY"},
        {http, {{"http_proxy", p}, {"HTTP_PROXY", p}, {"ALL_PROXY", p}}, "http_proxy"},
        {http, {{"HTTP_PROXY", p}, {"ALL_PROXY", p}}, "HTTP_PROXY"},
        {http, {{"HTTP_PROXY", p}, {"REQUEST_METHOD", "GET"}}, ""},
        {http, {{"HTTP_PROXY", p}, {"REQUEST_METHOD", "GET"}, {"ALL_PROXY", p}}, "ALL_PROXY"},
        {http, {{"http_proxy", p}, {"REQUEST_METHOD", "GET"}}, "http_proxy"},
        {http, {{"all_proxy", p}, {"ALL_PROXY", p}}, "all_proxy"},
        {http, {{"https_proxy", p}, {"HTTPS_PROXY", p}}, ""},
        {"https://localhost", {{"HTTPS_PROXY", p}, {"ALL_PROXY", p}}, ""},
        {"https://127.8.8.8", {{"HTTPS_PROXY", p}}, ""},
        {"http://[::1]:8080", {{"http_proxy", p}}, ""},
        {"https://localhost.example", {{"HTTPS_PROXY", p}}, "HTTPS_PROXY"},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.url + " expects " + row.expected);
        const auto found = proxy_variable(Url::parse(row.url), lookup_in(row.variables));
        EXPECT_EQ(found ? found->name : "", row.expected);
        EXPECT_EQ(found ? found->value : p, p);
    }
}

TEST(ProxyVariableTest, LowerCaseExceptionsComeFirst) {
    const Url lower = Url::parse("https://lower.test");
    const Url upper = Url::parse("https://upper.test");
    const auto both = lookup_in({{"no_proxy", "lower.test"}, {"NO_PROXY", "upper.test"}});
    EXPECT_TRUE(no_proxy_variable(both).matches(lower));
    EXPECT_FALSE(no_proxy_variable(both).matches(upper));
    const auto only_upper = lookup_in({{"no_proxy", ""}, {"NO_PROXY", "upper.test"}});
    EXPECT_TRUE(no_proxy_variable(only_upper).matches(upper));
    EXPECT_FALSE(no_proxy_variable(lookup_in({})).matches(upper));
}

}  // namespace
}  // namespace llmproc::wire
