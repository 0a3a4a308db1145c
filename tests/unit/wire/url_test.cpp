#include "wire/url.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace llmproc::wire {
namespace {

TEST(UrlTest, TakesUrlsApart) {
    struct Row {
        std::string text, scheme, host;
        unsigned port;
        std::string path, query, origin, host_header;
    };
    const std::vector<Row> rows = {
        {"https://api.openai.com/v1",
         "https",
         "api.openai.com",
         443,
         "/v1",
         "",
         "https://api.openai.com:443",
         "api.openai.com"},
        {"HTTPS://API.OpenAI.com/V1/",
         "https",
         "api.openai.com",
         443,
         "/V1",
         "",
         "https://api.openai.com:443",
         "api.openai.com"},
        {"http://localhost:8080",
         "http",
         "localhost",
         8080,
         "",
         "",
         "http://localhost:8080",
         "localhost:8080"},
        {"http://h:80/", "http", "h", 80, "", "", "http://h:80", "h"},
        {"http://h:443/", "http", "h", 443, "", "", "http://h:443", "h:443"},
        {"https://h:/a", "https", "h", 443, "/a", "", "https://h:443", "h"},
        {"https://h:0443/a", "https", "h", 443, "/a", "", "https://h:443", "h"},
        {"https://h:65535/a///", "https", "h", 65535, "/a", "", "https://h:65535", "h:65535"},
        {"https://[::1]:8443/p/v1?k=1",
         "https",
         "::1",
         8443,
         "/p/v1",
         "k=1",
         "https://[::1]:8443",
         "[::1]:8443"},
        {"https://[2001:DB8:0:0:0:0:0:1]",
         "https",
         "2001:db8::1",
         443,
         "",
         "",
         "https://[2001:db8::1]:443",
         "[2001:db8::1]"},
        {"http://127.0.0.1:1/a%2Fb?z=%26&y",
         "http",
         "127.0.0.1",
         1,
         "/a%2Fb",
         "z=%26&y",
         "http://127.0.0.1:1",
         "127.0.0.1:1"},
        {"https://10.0.0.1.nip.io/v1",
         "https",
         "10.0.0.1.nip.io",
         443,
         "/v1",
         "",
         "https://10.0.0.1.nip.io:443",
         "10.0.0.1.nip.io"},
        {"http://h:8080?a=b@c:d/e", "http", "h", 8080, "", "a=b@c:d/e", "http://h:8080", "h:8080"},
        {"https://my_host-1.example?",
         "https",
         "my_host-1.example",
         443,
         "",
         "",
         "https://my_host-1.example:443",
         "my_host-1.example"},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.text);
        const auto url = Url::parse(row.text);
        EXPECT_EQ(url.scheme(), row.scheme);
        EXPECT_EQ(url.is_https(), row.scheme == "https");
        EXPECT_EQ(url.host(), row.host);
        EXPECT_EQ(url.port(), row.port);
        EXPECT_EQ(url.path(), row.path);
        EXPECT_EQ(url.query(), row.query);
        EXPECT_EQ(url.origin(), row.origin);
        EXPECT_EQ(url.host_header(), row.host_header);
    }
}

TEST(UrlTest, RefusesBadUrlsWithAClearText) {
    struct Row {
        std::string text, says;
    };
    const std::vector<Row> rows = {
        {"", "empty"},
        {"api.openai.com/v1", "no scheme"},
        {"localhost:8080/v1", "no scheme"},
        {"/v1", "no scheme"},
        {"//host/v1", "no scheme"},
        {"ftp://host/", "scheme that is not supported"},
        {"ws://host/", "scheme that is not supported"},
        {"https://", "no host"},
        {"https:///v1", "no host"},
        {"https://:443/", "no host"},
        {"https://h:0/", "port out of range"},
        {"https://h:65536/", "port out of range"},
        {"https://h:99999/", "port out of range"},
        {"https://h:99999999999999999999999/", "port out of range"},
        {"https://h:80a/", "not a number"},
        {"https://h:-1/", "not a number"},
        {"https://user:hunter2@h/", "user name or password"},
        {"https://hunter2@h/", "user name or password"},
        {"https://@h/", "user name or password"},
        {"https://h/v1#hunter2", "fragment"},
        {"https://h/v1#", "fragment"},
        {" https://h/", "a space at position 0"},
        {"https://h/a b", "a space at position 11"},
        {"https://h /", "a space at position 9"},
        {"https://h/\n", "a control character"},
        {"https://h/\r\nX-Evil: 1", "a control character"},
        {std::string("https://h/\0", 11), "a control character"},
        {"https://h/\x7f", "a character outside ASCII"},
        {"https://h\xC3\xA9/", "outside ASCII"},
        {"https://h/{model}", "the character '{'"},
        {"https://h/\\x", "the character '\\'"},
        {"https://h/a[1]", "path or query"},
        {"https://h/%zz", "path or query"},
        {"https://::1/", "in brackets"},
        {"https://[::1/", "neither a DNS name"},
        {"https://[fe80::1%25eth0]/", "neither a DNS name"},
        {"https://2001:db8::1/", "in brackets"},
        {"https://[::1]x/", "neither a DNS name"},
        {"https://[::1]:x/", "not a number"},
        {"https://h:443:443/", "not a number"},
        {"https://[]/", "neither a DNS name"},
        {"https://[::1x]/", "neither a DNS name"},
        {"https://h?a=%z", "path or query"},
        {"https://[v1.x]/", "neither a DNS name"},
        {"https://ex%41mple/", "neither a DNS name"},
        {"https://a,b/", "neither a DNS name"},
        {"https://h/?key=hunter2 x", "a space"},
    };
    for (const auto& row : rows) {
        SCOPED_TRACE(row.text);
        try {
            const auto url = Url::parse(row.text);
            ADD_FAILURE() << "accepted as " << url.origin() << url.path();
        } catch (const std::invalid_argument& error) {
            const std::string text = error.what();
            EXPECT_NE(text.find("invalid URL"), std::string::npos) << text;
            EXPECT_NE(text.find(row.says), std::string::npos) << text;
            EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
            EXPECT_EQ(text.find('\n'), std::string::npos) << text;
        }
    }
}

TEST(UrlTest, JoinsByConcatenationAndMergesQueries) {
    struct Row {
        std::string base, path, extra, target;
    };
    const std::vector<Row> rows = {
        {"https://h/v1", "/chat/completions", "", "/v1/chat/completions"},
        {"https://h/v1/", "/chat/completions", "", "/v1/chat/completions"},
        {"https://h/v1", "chat/completions", "", "/v1/chat/completions"},
        {"http://h:8080/proxy/v1", "/chat/completions", "", "/proxy/v1/chat/completions"},
        {"https://h", "/models", "", "/models"},
        {"https://h", "models", "", "/models"},
        {"https://h", "", "", "/"},
        {"https://h/v1", "", "", "/v1"},
        {"https://h", "/", "", "/"},
        {"https://h?a=1", "", "", "/?a=1"},
        {"https://h/v1?api-version=1", "/x", "", "/v1/x?api-version=1"},
        {"https://h/v1?a=1&b=2", "/x?b=3&c=4", "", "/v1/x?a=1&b=3&c=4"},
        {"https://h/v1?a=1", "/x?a=2", "a=3", "/v1/x?a=3"},
        {"https://h/v1?a=1&a=2", "/x", "b=1&b=2", "/v1/x?a=1&a=2&b=1&b=2"},
        {"https://h/v1?a=1&a=2", "/x", "a=3&a=4", "/v1/x?a=3&a=4"},
        {"https://h/v1?flag", "/x", "flag=1", "/v1/x?flag=1"},
        {"https://h/v1?z=%26", "/a%2Fb", "alt=sse", "/v1/a%2Fb?z=%26&alt=sse"},
        {"https://h/v1?ab=1", "/x", "a=2", "/v1/x?ab=1&a=2"},
        {"https://h/v1?&a=1&&", "/x?", "&", "/v1/x?a=1"},
        {"https://h/v1", "/m:stream", "", "/v1/m:stream"},
    };
    for (const auto& row : rows) {
        EXPECT_EQ(Url::parse(row.base).join(row.path, row.extra), row.target)
            << row.base << " " << row.path << " " << row.extra;
    }
}

TEST(UrlTest, JoinRefusesWhatCannotStandInATarget) {
    const auto url = Url::parse("https://h/v1");
    for (const std::string path :
         {"/a b", "/a\r\nHost: evil", "/a#b", "/\xC3\xA9", "https://evil.example/x", "/a\x7f"}) {
        EXPECT_THROW(static_cast<void>(url.join(path)), std::invalid_argument) << path;
    }
    for (const std::string query : {"a=b c", "a=\n", "a#b", "a=\xFF"}) {
        EXPECT_THROW(static_cast<void>(url.join("/x", query)), std::invalid_argument) << query;
    }
    EXPECT_EQ(url.join("/x?u=http://y/"), "/v1/x?u=http://y/");
}

TEST(UrlTest, KnowsLoopbackByItsText) {
    for (const std::string text :
         {"http://localhost",
          "http://LOCALHOST:1/x",
          "http://127.0.0.1",
          "http://127.255.0.9:80",
          "http://[::1]:5",
          "http://[0:0:0:0:0:0:0:1]"}) {
        EXPECT_TRUE(Url::parse(text).is_loopback()) << text;
    }
    for (const std::string text :
         {"http://128.0.0.1",
          "http://127.evil.example",
          "http://127.0.0.1.evil.example",
          "http://localhost.evil.example",
          "http://notlocalhost",
          "http://[::2]",
          "http://0.0.0.0",
          "http://127.999.0.1",
          "http://127.1",
          "http://10.0.0.1"}) {
        EXPECT_FALSE(Url::parse(text).is_loopback()) << text;
    }
}

}  // namespace
}  // namespace llmproc::wire
