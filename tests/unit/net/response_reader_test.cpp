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

/// The problem must be the same at every size of the pieces, however large the input.
void expect_problem(const std::string& wire, Errc problem, const Options& options = Options()) {
    const std::size_t step = 1 + wire.size() / 256;
    for (std::size_t piece = 1; piece < wire.size() + step; piece += step) {
        Options split = options;
        split.piece = piece;
        const Outcome outcome = read(wire, split);
        ASSERT_FALSE(outcome.complete) << wire;
        ASSERT_FALSE(outcome.fed && outcome.ended) << wire;
        ASSERT_EQ(outcome.problem, problem) << wire << "\n" << outcome.text;
        ASSERT_FALSE(outcome.text.empty());
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
             ok + "Content-Length: +5\r\n\r\nhello",
             ok + "Content-Length: 0x5\r\n\r\nhello",
             ok + "Content-Length: 5,\r\n\r\nhello",
             ok + "Content-Length: ,5\r\n\r\nhello",
             ok + "Content-Length: 5 5\r\n\r\nhello",
             ok + "Content-Length: 5, 6\r\n\r\nhello!",
             ok + "Content-Length:\r\n\r\n",
             ok + "Content-Length: 18446744073709551616\r\n\r\nhello",
             ok + "Transfer-Encoding: identity\r\n\r\nhello",
             ok + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
             ok + "Transfer-Encoding:\r\n\r\n0\r\n\r\n",
             ok + " X-First: a\r\nContent-Length: 0\r\n\r\n",
             ok + "X: a\rb\r\nContent-Length: 0\r\n\r\n",
             ok + "X: a" + '\0' + "b\r\nContent-Length: 0\r\n\r\n",
             ok + "X: a\x01\r\nContent-Length: 0\r\n\r\n",
             ok + "X: a\nContent-Length: 0\r\n\r\n",
             ok + "X: a\r\nContent-Length: 0\n\n",
             std::string("HTTP/1.1 200 OK\nContent-Length: 0\n\n"),
             std::string("HTTP/1.1 200 O\rK\r\nContent-Length: 0\r\n\r\n"),
             std::string("HTTP/1.1 042 Low\r\nContent-Length: 3\r\n\r\nabc"),
             std::string("HTTP/1.1  200 OK\r\n\r\n"),
             std::string("HTTP/1.1 200OK\r\n\r\n"),
             std::string("HTTP/1.1 -20 OK\r\n\r\n"),
             std::string("HTTP/1.1\r\n\r\n"),
             std::string("HTTP/1.2 200 OK\r\n\r\n"),
             std::string("HTTP/11 200 OK\r\n\r\n"),
             std::string("http/1.1 200 OK\r\n\r\n"),
             std::string("\r\nHTTP/1.1 200 OK\r\n\r\n"),
             std::string("POST / HTTP/1.1\r\n\r\n"),
             std::string("HTTP/1.1 100 Go\r\nContent-Length: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n"),
             ok + "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n88888888888888889\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n5 5\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n5;a\rb\r\nhello\r\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n",
             ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n",
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
    expect_problem(head + "5;" + std::string(100'000, 'x'), Errc::malformed_http, options);
    expect_problem(head + std::string(5'000, '0') + "\r\n\r\n", Errc::malformed_http, options);
    expect_problem(head + "0\r\nX: " + std::string(600, 'x'), Errc::header_too_large, options);
    std::string many = head + "0\r\n";
    for (int i = 0; i < 60; ++i) {
        many += "X: 1234567890\r\n";
    }
    expect_problem(many + "\r\n", Errc::header_too_large, options);
}

TEST(ResponseReaderTest, TakesAHeaderOfExactlyTheLimit) {
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n";
    for (const std::size_t missing : {0U, 1U}) {
        Options options;
        options.limit = head.size() - missing;
        for (options.piece = 1; options.piece < 60; ++options.piece) {
            EXPECT_EQ(read(head + "hi", options).complete, missing == 0) << options.piece;
        }
    }
}

TEST(ResponseReaderTest, TakesWhatIsOddButClear) {
    const std::string ok = "HTTP/1.1 200 OK\r\n";
    expect_body(ok + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", true);
    expect_body(ok + "Transfer-Encoding: CHUNKED\r\n\r\n0002 ;a\r\nhi\r\n00\r\n\r\n", "hi", true);
    expect_body(ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nhi", "hi", true);
    expect_body(ok + "content-length: 2 , 02\t\r\n\r\nhi", "hi", true);
    expect_body("HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", "hi", true);
    expect_body("HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nhi", "hi", true);
    expect_body("HTTP/1.1 999 \xc3\xa4\r\nContent-Length: 2\r\n\r\nhi", "hi", true);
    expect_body("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", "", true);
    expect_body("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "", false);
    expect_body(
        "HTTP/1.1 102 P\r\nContent-Length: 9\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nhi",
        "hi",
        true
    );
    // HTTP/1.0 has no chunks: read, but never used again.
    expect_body(
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2\r\nhi\r\n0\r\n\r\n",
        "hi",
        false
    );
    expect_body(ok + "Connection: x, Close\r\nContent-Length: 2\r\n\r\nhi", "hi", false);
    expect_body(ok + "Connection: x,,\r\nContent-Length: 2\r\n\r\nhi", "hi", true);
}

TEST(ResponseReaderTest, ForgetsTheHeadersOfInterimAnswers) {
    ResponseReader reader(4096, false);
    std::string body;
    ASSERT_TRUE(reader.feed(
        "HTTP/1.1 103 Early\r\nConnection: close\r\nKeep-Alive: max=1\r\nX-Early: 1\r\n"
        "Content-Encoding: gzip\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
        body
    ));
    EXPECT_TRUE(reader.complete() && reader.reusable());
    EXPECT_FALSE(reader.coded_body());
    EXPECT_FALSE(reader.head().headers.contains("X-Early"));
    EXPECT_TRUE(reader.keep_alive().empty());
}

TEST(ResponseReaderTest, SaysWhatTheHeaderSays) {
    std::string body;
    ResponseReader coded(4096, false);
    ASSERT_TRUE(coded.feed(
        "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\nContent-Encoding: gzip\r\n"
        "Keep-Alive: timeout=5\r\n\r\n",
        body
    ));
    EXPECT_TRUE(coded.coded_body());
    EXPECT_EQ(coded.keep_alive(), "timeout=5");
    ResponseReader empty(4096, false);
    ASSERT_TRUE(
        empty.feed("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", body)
    );
    EXPECT_FALSE(empty.coded_body());
}

TEST(ResponseReaderTest, RefusesWhatIsNotHttpAtItsFirstWrongByte) {
    for (const std::string& bytes : {
             std::string("2"),
             std::string("HTTP/2"),
             std::string("\x15"),
             std::string("\0", 1),
             std::string("HTTQ"),
         }) {
        ResponseReader reader(4096, false);
        std::string body;
        const std::string right = bytes.substr(0, bytes.size() - 1);
        EXPECT_TRUE(reader.feed(right, body));
        EXPECT_FALSE(reader.feed(bytes.substr(right.size()), body)) << bytes;
        EXPECT_EQ(reader.problem(), Errc::malformed_http);
        EXPECT_FALSE(reader.feed("HTTP/1.1 200 OK\r\n", body)) << "it stays failed";
        EXPECT_FALSE(reader.end(true));
    }
}

}  // namespace
}  // namespace llmproc::net
