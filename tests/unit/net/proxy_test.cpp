#include "net/proxy.hpp"

#include "core/base64.hpp"
#include "net/tls_context.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

namespace llmproc::net {
namespace {

using Variables = std::map<std::string, std::string>;

EnvironmentLookup lookup_in(Variables variables) {
    return [variables = std::move(variables)](const std::string& name) {
        const auto found = variables.find(name);
        return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
}

struct ChoiceRow {
    std::string url;
    std::optional<std::string> proxy;
    std::optional<std::vector<std::string>> no_proxy;
    Variables variables;
    std::string expected;  ///< host:port; "" = direct.
};

using List = std::vector<std::string>;

TEST(ChooseProxyTest, SettingsComeBeforeTheEnvironment) {
    const std::string api = "https://api.example";
    const std::string local = "https://localhost:8443";
    const Variables environment{
        {"HTTPS_PROXY", "http://env:3128"},
        {"NO_PROXY", "direct.example"},
    };
    const std::vector<ChoiceRow> rows{
        {api, std::nullopt, std::nullopt, {}, ""},
        {api, std::nullopt, std::nullopt, environment, "env:3128"},
        {api, "http://own:8080", std::nullopt, environment, "own:8080"},
        {api, "own", std::nullopt, {}, "own:80"},
        {api, "http://[fd00::1]:8080", std::nullopt, {}, "[fd00::1]:8080"},
        {api, "", std::nullopt, environment, ""},
        {api, "http://own:8080", List{"example"}, environment, ""},
        {api, std::nullopt, List{"example"}, environment, ""},
        {api, std::nullopt, List{"other.test", "*"}, environment, ""},
        {"https://direct.example", std::nullopt, std::nullopt, environment, ""},
        {"https://direct.example", "http://own:8080", std::nullopt, environment, ""},
        {"https://direct.example", "http://own:8080", List{}, environment, "own:8080"},
        {"https://direct.example", std::nullopt, List{"a.test"}, environment, "env:3128"},
        {local, std::nullopt, std::nullopt, environment, ""},
        {local, std::nullopt, List{}, environment, ""},
        {local, "http://own:8080", std::nullopt, environment, "own:8080"},
        {local, "http://own:8080", List{"localhost"}, environment, ""},
        {"http://api.example", std::nullopt, std::nullopt, environment, ""},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.url + " expects " + row.expected);
        NetSettings settings;
        settings.proxy.url = row.proxy;
        settings.proxy.no_proxy = row.no_proxy;
        const auto proxy =
            choose_proxy(wire::Url::parse(row.url), settings, lookup_in(row.variables));
        EXPECT_EQ(proxy ? proxy->host_port : "", row.expected);
    }
}

TEST(ChooseProxyTest, FillsTheServer) {
    const auto api = wire::Url::parse("https://api.example");
    NetSettings settings;
    settings.proxy.url = "http://user:pass%20word@proxy.example:3128";
    const auto plain = choose_proxy(api, settings, lookup_in({}));
    ASSERT_TRUE(plain);
    EXPECT_EQ(plain->host, "proxy.example");
    EXPECT_EQ(plain->port, 3128);
    EXPECT_EQ(plain->host_port, "proxy.example:3128");
    EXPECT_EQ(plain->tls, nullptr);
    EXPECT_EQ(plain->authorization.reveal(), "Basic " + base64_encode("user:pass word"));
    settings.proxy.url = "https://proxy.example";
    const auto secure = choose_proxy(api, settings, lookup_in({}));
    ASSERT_TRUE(secure);
    EXPECT_EQ(secure->tls, TlsContext::shared(settings.tls));
    EXPECT_TRUE(secure->authorization.empty());
}

TEST(ChooseProxyTest, NamesTheSettingThatIsWrong) {
    const auto api = wire::Url::parse("https://api.example");
    NetSettings settings;
    settings.proxy.url = "socks5://user:hunter2@proxy";
    try {
        (void)choose_proxy(api, settings, lookup_in({}));
        FAIL() << "a SOCKS proxy was accepted";
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.key(), "connection.proxy");
        EXPECT_EQ(std::string(error.what()).find("hunter2"), std::string::npos);
    }
    settings.proxy.url = "http://proxy";
    settings.proxy.no_proxy = List{"good.test", "bad/99"};
    try {
        (void)choose_proxy(api, settings, lookup_in({}));
        FAIL() << "a wrong range was accepted";
    } catch (const ConfigError& error) {
        EXPECT_EQ(error.key(), "connection.no_proxy");
        EXPECT_NE(std::string(error.what()).find("bad/99"), std::string::npos);
    }
}

TEST(ChooseProxyTest, NamesTheVariableThatIsWrong) {
    const Variables wrong{{"ALL_PROXY", "socks5h://user:hunter2@proxy:1080"}};
    try {
        (void
        )choose_proxy(wire::Url::parse("https://api.example"), NetSettings(), lookup_in(wrong));
        FAIL() << "a SOCKS proxy was accepted";
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_config);
        const std::string text = error.what();
        EXPECT_NE(text.find("ALL_PROXY"), std::string::npos) << text;
        EXPECT_NE(text.find("connection.proxy"), std::string::npos) << text;
        EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
    }
    // Nobody needs it, nobody complains.
    EXPECT_EQ(
        choose_proxy(wire::Url::parse("https://localhost"), NetSettings(), lookup_in(wrong)),
        nullptr
    );
}

}  // namespace
}  // namespace llmproc::net
