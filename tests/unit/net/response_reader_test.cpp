#include "net/response_reader.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>

namespace llmproc::net {
namespace {

struct Outcome {
    bool fed = true;
    bool ended = true;
    bool complete = false;
    bool reusable = false;
    int status = 0;
    Errc problem = Errc::internal;
    std::string text;
    std::string body;
};

struct Options {
    std::size_t piece = 1'000'000;
    std::size_t limit = 4096;
    bool head_request = false;
    bool orderly = true;
};

Outcome read(std::string_view wire, const Options& options = Options()) {
    ResponseReader reader(options.limit, options.head_request);
    Outcome outcome;
    while (!wire.empty() && outcome.fed && !reader.complete()) {
        const std::string piece(wire.substr(0, options.piece));
        wire.remove_prefix(piece.size());
        outcome.fed = reader.feed(piece, outcome.body);
    }
    if (outcome.fed && !wire.empty()) {
        outcome.fed = reader.feed(wire, outcome.body);
    }
    if (outcome.fed) {
        outcome.ended = reader.end(options.orderly);
    }
    outcome.complete = reader.complete();
    outcome.reusable = reader.reusable();
    outcome.status = reader.head().status;
    outcome.problem = reader.problem();
    outcome.text = reader.problem_text();
    return outcome;
}

/// The answer must read the same at every size of the pieces and every split in two.
void expect_body(const std::string& wire, const std::string& body, bool reusable) {
    for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
        Options options;
        options.piece = piece;
        const Outcome outcome = read(wire, options);
        ASSERT_TRUE(outcome.complete) << "pieces of " << piece << ": " << outcome.text;
        ASSERT_EQ(outcome.body, body) << "pieces of " << piece;
        ASSERT_EQ(outcome.reusable, reusable) << "pieces of " << piece;
    }
}

void expect_problem(const std::string& wire, Errc problem, const Options& options = Options()) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, wire.size()}) {
        Options split = options;
        split.piece = std::max<std::size_t>(piece, 1);
        const Outcome outcome = read(wire, split);
        EXPECT_FALSE(outcome.complete) << wire;
        EXPECT_FALSE(outcome.fed && outcome.ended) << wire;
        EXPECT_EQ(outcome.problem, problem) << wire << "\n" << outcome.text;
        EXPECT_FALSE(outcome.text.empty());
    }
}

TEST(ResponseReaderTest, ReadsContentLength) {
    expect_body("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "hello", true);
    expect_body("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", true);
}

TEST(ResponseReaderTest, ReadsChunksExtensionsAndTrailers) {
    expect_body(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5;x=\"y\"\r\nhello\r\nA\r\n, world!!!\r\n0\r\nX-Trailer: 1\r\n\r\n",
        "hello, world!!!",
        true
    );
}

TEST(ResponseReaderTest, KeepsHeadersInOrderAndDropsTrailers) {
    ResponseReader reader(4096, false);
    std::string body;
    ASSERT_TRUE(reader.feed(
        "HTTP/1.1 201 Made\r\nA: 1\r\nB:  two words \r\nA: 3\r\nE:\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\nC: 4\r\n\r\n",
        body
    ));
    ASSERT_TRUE(reader.complete());
    EXPECT_EQ(reader.head().status, 201);
    EXPECT_EQ(reader.head().reason, "Made");
    EXPECT_EQ(reader.head().headers.get_all("a").size(), 2U);
    EXPECT_EQ(reader.head().headers.get("b"), "two words");
    EXPECT_EQ(reader.head().headers.get("e"), "");
    EXPECT_FALSE(reader.head().headers.contains("c"));
}

TEST(ResponseReaderTest, ReadsToTheCloseAndDoesNotReuse) {
    expect_body("HTTP/1.1 200 OK\r\n\r\nhello", "hello", false);
    expect_body("HTTP/1.0 200 OK\r\n\r\nhello", "hello", false);
    Options cut;
    cut.orderly = false;
    expect_problem("HTTP/1.1 200 OK\r\n\r\nhello", Errc::truncated_response, cut);
}

TEST(ResponseReaderTest, HasNoBodyWhereTheStatusSaysSo) {
    expect_body("HTTP/1.1 204 No Content\r\n\r\n", "", true);
    expect_body("HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "", true);
}

TEST(ResponseReaderTest, HasNoBodyAfterHead) {
    Options options;
    options.head_request = true;
    const Outcome outcome = read("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", options);
    EXPECT_TRUE(outcome.complete);
    EXPECT_TRUE(outcome.reusable);
}

TEST(ResponseReaderTest, SkipsInterimAnswers) {
    expect_body(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        "hi",
        true
    );
}

TEST(ResponseReaderTest, RefusesASwitchOfProtocols) {
    expect_problem(
        "HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        Errc::malformed_http
    );
}

TEST(ResponseReaderTest, RefusesEndlessInterimAnswers) {
    std::string wire;
    for (int i = 0; i < 40; ++i) {
        wire += "HTTP/1.1 100 Continue\r\n\r\n";
    }
    expect_problem(wire, Errc::malformed_http);
}

TEST(ResponseReaderTest, ObeysConnectionClose) {
    expect_body("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", "x", false);
    expect_body("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", "x", false);
    expect_body(
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
        "x",
        true
    );
}

TEST(ResponseReaderTest, DoesNotReuseWithBytesBeyondTheEnd) {
    const std::string wire = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200";
    for (std::size_t piece = 1; piece <= wire.size(); ++piece) {
        Options options;
        options.piece = piece;
        const Outcome outcome = read(wire, options);
        EXPECT_TRUE(outcome.complete);
        EXPECT_EQ(outcome.body, "x");
        EXPECT_FALSE(outcome.reusable) << piece;
    }
}

TEST(ResponseReaderTest, ReportsEveryTruncation) {
    const std::string length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    const std::string chunked =
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    for (const std::string& wire : {length, chunked}) {
        for (std::size_t size = 1; size < wire.size(); ++size) {
            expect_problem(wire.substr(0, size), Errc::truncated_response);
        }
    }
}

TEST(ResponseReaderTest, RefusesMalformedAnswers) {
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    for (const std::string& wire : {
             std::string("SSH-2.0-OpenSSH_9.2\r\n\r\n"),
             std::string("HTTP/2 200 OK\r\n\r\n"),
             std::string("HTTP/1.1 20 OK\r\n\r\n"),
             std::string("HTTP/1.1 2000 OK\r\n\r\n"),
             ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
             ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
             ok + "Content-Length: -5\r\n\r\nhello",
             ok + "Content-Length: 5x\r\n\r\nhello",
             ok + "Content-Length: 99999999999999999999999\r\n\r\nhello",
             ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: gzip\r\n\r\nhello",
             ok + "X-Folded: a\r\n b\r\nContent-Length: 0\r\n\r\n",
             ok + "X-Folded: a\r\n\tb\r\nContent-Length: 0\r\n\r\n",
             ok + "X-Folded:\r\n b\r\nContent-Length: 0\r\n\r\n",
             ok + "No colon\r\n\r\n",
             ok + "Space : x\r\n\r\n",
             ok + ": no name\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\nZZ\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
         }) {
        expect_problem(wire, Errc::malformed_http);
    }
}

TEST(ResponseReaderTest, BoundsTheHeader) {
    Options options;
    options.limit = 512;
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    expect_problem(
        ok + "X: " + std::string(600, 'a') + "\r\n\r\n",
        Errc::header_too_large,
        options
    );
    std::string many = ok;
    for (int i = 0; i < 60; ++i) {
        many += "X: 1234567890\r\n";
    }
    expect_problem(many + "\r\n", Errc::header_too_large, options);
    expect_problem("HTTP/1.1 200 " + std::string(9000, 'a'), Errc::header_too_large, options);
}

TEST(ResponseReaderTest, BoundsChunkHeadersAndTrailers) {
    Options options;
    options.limit = 512;
    const std::string head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    options.piece = 1000;
    const Outcome extension = read(head + "5;" + std::string(100'000, 'x'), options);
    EXPECT_FALSE(extension.fed);
    EXPECT_EQ(extension.problem, Errc::malformed_http);
    const Outcome trailer = read(head + "0\r\nX: " + std::string(100'000, 'x'), options);
    EXPECT_FALSE(trailer.fed);
}

}  // namespace
}  // namespace llmproc::net
