// aimock (node) answers, nginx speaks TLS before it: neither knows anything of this library.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include "peers/aimock_server.hpp"
#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/nginx_server.hpp"
#include "support/peer_support.hpp"
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using testing::ChildProcess;
using testing::find_program;
using testing::NginxRequest;
using testing::read_file;
using testing::watchdog;
using testing::write_file;

constexpr int questions = 20;

std::string question(int number) {
    return "What is the capital of country " + std::to_string(number) + "?";
}

std::string answer(int number) {
    return "Its capital is city " + std::to_string(number) + ".";
}

std::string fixture(const std::string& asked, const std::string& answered) {
    return R"({"match":{"userMessage":")" + asked + R"("},"response":{"content":")" + answered +
           "\"}}";
}

std::string fixtures(const std::string& first_question) {
    std::string text = "{\"fixtures\":[" + fixture(first_question, answer(0));
    for (int i = 1; i < questions; ++i) {
        text += ",\n" + fixture(question(i), answer(i));
    }
    return text + "]}\n";
}

/// `UPSTREAM` is aimock's port.
constexpr const char* nginx_sites = R"(
    upstream aimock { server 127.0.0.1:UPSTREAM; keepalive 4; }
    server {
        listen 127.0.0.1:PORT{aimock} ssl;
        server_name localhost;
        ssl_protocols TLSv1.3;
        ssl_certificate FOLDER/chain.pem;
        ssl_certificate_key FOLDER/key.pem;
        location / {
            proxy_pass http://aimock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }
    }
)";

std::string sites_before(std::uint16_t upstream) {
    std::string text = nginx_sites;
    const std::string word = "UPSTREAM";
    return text.replace(text.find(word), word.size(), std::to_string(upstream));
}

/// aimock behind nginx, ready for connections.
class Peers {
public:
    explicit Peers(const std::string& first_question) {
        const testing::Certificate certificate = authority_.issue();
        write_file(folder_.path() / "chain.pem", certificate.chain_pem);
        write_file(folder_.path() / "key.pem", certificate.key_pem);
        const std::uint16_t aimock_port =
            testing::start_aimock(aimock_, folder_, fixtures(first_question));
        nginx_.emplace(folder_, sites_before(aimock_port));
    }

    std::string base_url() const { return nginx_->base_url("aimock"); }
    const std::string& ca_file() const { return authority_.ca_file(); }
    /// nginx's log of `count` requests.
    std::vector<NginxRequest> log(std::size_t count) const {
        return nginx_->requests("aimock", count);
    }

private:
    testing::Folder folder_;
    testing::CertificateAuthority authority_;
    std::unique_ptr<ChildProcess> aimock_;
    std::optional<testing::NginxServer> nginx_;
};

class AimockTest : public ::testing::Test {
protected:
    void SetUp() override {
        ::setenv("OPENAI_API_KEY", "not-a-key", 1);
        testing::require_peers(
            "aimock behind nginx",
            testing::lack_of_aimock() + testing::lack_of("nginx", "nginx-light")
        );
    }
};

fs::path example_file() {
    return fs::path(LLMPROC_PEERS_DIR).parent_path().parent_path() / "examples" /
           "01_hello_sync.toml";
}

/// The first example's program file with another address and another trusted authority.
LLMProgram hello_program(const std::string& base_url, const std::string& ca_file) {
    const fs::path file = example_file();
    std::string text = read_file(file);
    const std::string table = "[model]\n";
    const std::size_t model = text.find(table);
    if (model == std::string::npos || text.find("[connection]") != std::string::npos) {
        throw std::runtime_error(file.string() + " is not what this test changes");
    }
    text.insert(model + table.size(), "base_url = \"" + base_url + "\"\n");
    text += "\n[connection]\nca_file = \"" + ca_file + "\"\n";
    return LLMProgram::from_toml_string(text, file.filename().string());
}

/// The question that the example asks.
std::string example_question() {
    return LLMProgram::from_toml(example_file()).user_prompt();
}

void expect_one_connection(const std::vector<NginxRequest>& log, std::size_t requests) {
    ASSERT_EQ(log.size(), requests);
    std::set<std::string> connections;
    for (std::size_t i = 0; i < log.size(); ++i) {
        connections.insert(log[i].connection);
        EXPECT_EQ(log[i].number, i + 1);
        EXPECT_EQ(log[i].status, 200) << i;
        EXPECT_EQ(log[i].protocol, "TLSv1.3") << i;
    }
    EXPECT_EQ(connections.size(), 1U);
}

void expect_one_connection(const ProcessStats& stats, std::uint64_t requests) {
    EXPECT_EQ(stats.requests, requests);
    EXPECT_EQ(stats.connections_opened, 1U);
    EXPECT_EQ(stats.tls_handshakes, 1U);
    EXPECT_EQ(stats.connections_reused, requests - 1);
    EXPECT_EQ(stats.connections_replaced, 0U);
    EXPECT_EQ(stats.failed_runs, 0U);
}

TEST_F(AimockTest, TwentyBlockingRunsAndAStreamAreOneConnection) {
    const Peers peers(example_question());
    const LLMProgram program = hello_program(peers.base_url(), peers.ca_file());
    SyncLLMProcess process = program.start_sync();
    for (int i = 0; i < questions; ++i) {
        const RunResult result = process.run(i == 0 ? program.user_prompt() : question(i));
        EXPECT_EQ(result.text(), answer(i));
        EXPECT_EQ(result.stop_reason(), StopReason::end_turn);
    }
    expect_one_connection(process.stats(), questions);
    expect_one_connection(peers.log(questions), questions);

    std::string text;
    int pieces = 0;
    for (const StreamEvent& event : process.stream(question(7))) {
        text += event.text();
        pieces += event.text().empty() ? 0 : 1;
    }
    EXPECT_EQ(text, answer(7));
    EXPECT_GT(pieces, 1) << "aimock streams pieces of 20 bytes";
    EXPECT_EQ(process.messages().size(), 2U * (questions + 1));
    expect_one_connection(process.stats(), questions + 1);
    expect_one_connection(peers.log(questions + 1), questions + 1);
}

asio::awaitable<void> ask_all(LLMProgram program) {
    AsyncLLMProcess process = co_await program.start();
    for (int i = 0; i < questions; ++i) {
        const std::string prompt = i == 0 ? program.user_prompt() : question(i);
        const RunResult result = co_await process.run(prompt);
        EXPECT_EQ(result.text(), answer(i));
    }
    std::string text;
    Stream stream = co_await process.stream(question(7));
    while (const auto event = co_await stream.next()) {
        text += event->text();
    }
    EXPECT_EQ(text, answer(7));
    expect_one_connection(process.stats(), questions + 1);
    co_await process.aclose();
}

TEST_F(AimockTest, TwentyAwaitedRunsAndAStreamAreOneConnection) {
    const Peers peers(example_question());
    asio::io_context io;
    bool ended = false;
    asio::co_spawn(
        io,
        ask_all(hello_program(peers.base_url(), peers.ca_file())),
        [&ended](const std::exception_ptr& error) {
            ended = true;
            if (error) {
                std::rethrow_exception(error);
            }
        }
    );
    io.run_for(watchdog);
    EXPECT_TRUE(ended);
    expect_one_connection(peers.log(questions + 1), questions + 1);
}

}  // namespace
}  // namespace llmproc
