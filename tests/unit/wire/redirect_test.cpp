#include "wire/redirect.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace llmproc::wire {
namespace {

RedirectDecision decide(
    std::optional<std::string_view> location,
    int status = 307,
    std::string_view base = "https://api.example.com/v1",
    std::string_view target = "/v1/chat?a=b"
) {
    return decide_redirect(Url::parse(base), target, status, location);
}

void expect_refused(const RedirectDecision& decision, const std::string& shown) {
    EXPECT_FALSE(decision.follow);
    EXPECT_TRUE(decision.target.empty());
    EXPECT_NE(decision.problem.find(shown), std::string::npos) << decision.problem;
    EXPECT_NE(decision.problem.find("set model.base_url"), std::string::npos) << decision.problem;
    EXPECT_EQ(decision.problem.find("secret"), std::string::npos) << decision.problem;
}

TEST(RedirectTest, KnowsWhichStatusPointsElsewhere) {
    for (const int status : {301, 302, 303, 307, 308}) {
        EXPECT_TRUE(is_redirect(status)) << status;
    }
    for (const int status : {200, 204, 300, 304, 305, 306, 309, 400, 500}) {
        EXPECT_FALSE(is_redirect(status)) << status;
    }
}

TEST(RedirectTest, FollowsWithinTheSameOrigin) {
    for (const int status : {307, 308}) {
        for (const std::string_view location : {
                 "https://api.example.com/v2/chat?x=1",
                 "https://api.example.com:443/v2/chat?x=1",
                 "HTTPS://API.Example.COM/v2/chat?x=1#part",
                 "//api.example.com/v2/chat?x=1",
                 "/v2/chat?x=1",
                 "../v2/chat?x=1",
                 "/v1/./.././v2/chat?x=1",
             }) {
            const RedirectDecision decision = decide(location, status);
            EXPECT_TRUE(decision.follow) << location << ": " << decision.problem;
            EXPECT_EQ(decision.target, "/v2/chat?x=1") << location;
            EXPECT_TRUE(decision.problem.empty());
        }
    }
}

TEST(RedirectTest, ResolvesAsRfc3986Says) {
    // The examples of 5.4 that stay within http, against http://a/b/c/d;p?q.
    const std::pair<const char*, const char*> cases[] = {
        {"g", "/b/c/g"},
        {"./g", "/b/c/g"},
        {"g/", "/b/c/g/"},
        {"/g", "/g"},
        {"?y", "/b/c/d;p?y"},
        {"g?y", "/b/c/g?y"},
        {"#s", "/b/c/d;p?q"},
        {"g#s", "/b/c/g"},
        {"g?y#s", "/b/c/g?y"},
        {";x", "/b/c/;x"},
        {"g;x", "/b/c/g;x"},
        {"g;x?y#s", "/b/c/g;x?y"},
        {".", "/b/c/"},
        {"./", "/b/c/"},
        {"..", "/b/"},
        {"../", "/b/"},
        {"../g", "/b/g"},
        {"../..", "/"},
        {"../../", "/"},
        {"../../g", "/g"},
        {"../../../g", "/g"},
        {"../../../../g", "/g"},
        {"/./g", "/g"},
        {"/../g", "/g"},
        {"g.", "/b/c/g."},
        {".g", "/b/c/.g"},
        {"g..", "/b/c/g.."},
        {"..g", "/b/c/..g"},
        {"./../g", "/b/g"},
        {"./g/.", "/b/c/g/"},
        {"g/./h", "/b/c/g/h"},
        {"g/../h", "/b/c/h"},
        {"g;x=1/./y", "/b/c/g;x=1/y"},
        {"g;x=1/../y", "/b/c/y"},
        {"g?y/./x", "/b/c/g?y/./x"},
        {"g?y/../x", "/b/c/g?y/../x"},
        {"g#s/../x", "/b/c/g"},
        {"http://a", "/"},
        {"http://a?z", "/?z"},
        {"/a%2Fb%20c?d%26e", "/a%2Fb%20c?d%26e"},
        {"/x?", "/x?"},
        {"/n:1/x", "/n:1/x"},
    };
    for (const auto& [location, target] : cases) {
        const RedirectDecision decision = decide(location, 308, "http://a/b", "/b/c/d;p?q");
        EXPECT_TRUE(decision.follow) << location << ": " << decision.problem;
        EXPECT_EQ(decision.target, target) << location;
    }
}

TEST(RedirectTest, Trap21_NeverLeavesTheOrigin) {
    const std::pair<const char*, const char*> cases[] = {
        {"http://api.example.com/v1/chat?secret", "http://api.example.com:80"},
        {"https://api.example.com:8443/v1/chat", "https://api.example.com:8443"},
        {"https://evil.example/v1/chat?key=secret", "https://evil.example:443"},
        {"//evil.example/v1/chat", "https://evil.example:443"},
        {"https://api.example.com.evil.example/", "https://api.example.com.evil.example:443"},
        {"https://[::1]/", "https://[::1]:443"},
    };
    for (const auto& [location, place] : cases) {
        for (const int status : {301, 302, 303, 307, 308}) {
            expect_refused(decide(location, status), place);
            expect_refused(decide(location, status), std::to_string(status));
        }
    }
}

TEST(RedirectTest, NeverMakesAGetOfACall) {
    for (const int status : {301, 302, 303}) {
        const RedirectDecision decision = decide("/v1/chat/?secret=1", status);
        expect_refused(decision, "https://api.example.com:443/v1/chat/");
        expect_refused(decision, std::to_string(status));
    }
    const RedirectDecision decision = decide("/" + std::string(10'000, 'x'), 301);
    EXPECT_LT(decision.problem.size(), 600U);
}

TEST(RedirectTest, RefusesCredentials) {
    for (const std::string_view location : {
             "https://user:secret@api.example.com/v1/chat",
             "https://secret@api.example.com/",
             "//secret@api.example.com/",
             "https://@api.example.com/",
             "https://api.example.com@secret.example/",
         }) {
        expect_refused(decide(location), "307");
    }
}

TEST(RedirectTest, RefusesWhatIsNoUrl) {
    expect_refused(decide(std::nullopt), "no Location");
    expect_refused(decide(""), "no Location");
    for (const std::string_view location : {
             "ftp://api.example.com/",
             "javascript:secret",
             "https:secret",
             "https:/v1/secret",
             "https://",
             "https:///v1",
             "//",
             "https://api.example.com:0/",
             "https://api.example.com:99999/",
             "https://api.example.com:44x3/",
             "/with space/secret",
             "/tab\tsecret",
             "/line\r\nX-Header: secret",
             "\\\\evil.example\\secret",
             "/umlaut-\xc3\xa4",
             "/%zz",
             "/a{b}",
             ":secret",
             "1https://api.example.com/",
         }) {
        expect_refused(decide(location), "not a valid");
    }
}

}  // namespace
}  // namespace llmproc::wire
