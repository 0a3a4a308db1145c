// aimock (node) answers, nginx speaks TLS before it: neither knows anything of this library.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/certificate_authority.hpp>
#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/test_program.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace llmproc {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using testing::ChildProcess;
using testing::find_program;
using testing::read_file;
using testing::watchdog;
using testing::write_file;

constexpr int questions = 20;

/// Where `npm ci` was run; a checkout that cannot be written to names another folder.
fs::path peers_folder() {
    const char* const other = std::getenv("LLMPROC_PEERS_DIR");
    return other != nullptr && *other != '\0' ? other : LLMPROC_PEERS_DIR;
}

fs::path aimock_script() {
    return peers_folder() / "node_modules" / ".bin" / "llmock";
}

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

std::string nginx_config(const std::string& folder, std::uint16_t port, std::uint16_t upstream) {
    std::string text = R"(daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log stderr warn;
events { worker_connections 64; }
http {
    log_format connections '$connection $connection_requests $status $ssl_protocol';
    access_log FOLDER/access.log connections;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    keepalive_timeout 75s;
    upstream aimock { server 127.0.0.1:UPSTREAM; keepalive 4; }
    server {
        listen 127.0.0.1:PORT ssl;
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
}
)";
    const auto replace = [&text](const std::string& word, const std::string& value) {
        for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
            text.replace(at, word.size(), value);
            at += value.size();
        }
    };
    replace("FOLDER", folder);
    replace("UPSTREAM", std::to_string(upstream));
    replace("PORT", std::to_string(port));
    return text;
}

/// aimock behind nginx, ready for connections.
class Peers {
public:
    explicit Peers(const std::string& first_question) {
        const testing::Certificate certificate = authority_.issue();
        write_file(folder_.path() / "chain.pem", certificate.chain_pem);
        write_file(folder_.path() / "key.pem", certificate.key_pem);
        write_file(folder_.path() / "fixtures.json", fixtures(first_question));
        aimock_port_ = start(aimock_, "aimock", [this](std::uint16_t port) {
            return std::vector<std::string>{
                find_program("node"),
                aimock_script().string(),
                "-p",
                std::to_string(port),
                "-f",
                (folder_.path() / "fixtures.json").string()};
        });
        nginx_port_ = start(nginx_, "nginx", [this](std::uint16_t port) {
            const std::string folder = folder_.path().string();
            write_file(folder + "/nginx.conf", nginx_config(folder, port, aimock_port_));
            return std::vector<std::string>{
                find_program("nginx"),
                "-p",
                folder,
                "-c",
                folder + "/nginx.conf",
                "-e",
                "stderr"};
        });
    }

    std::string base_url() const {
        return "https://localhost:" + std::to_string(nginx_port_) + "/v1";
    }
    const std::string& ca_file() const { return authority_.ca_file(); }

    /// The lines of nginx's log. It is written after the client has the answer, so this waits for
    /// `count` of them.
    std::vector<std::string> log(std::size_t count) const {
        const auto end = std::chrono::steady_clock::now() + watchdog;
        std::vector<std::string> lines;
        for (;;) {
            lines.clear();
            std::istringstream text(read_file(folder_.path() / "access.log"));
            for (std::string line; std::getline(text, line);) {
                lines.push_back(line);
            }
            if (lines.size() >= count || std::chrono::steady_clock::now() > end) {
                return lines;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }

private:
    /// Somebody else may take the port between its choice and its use, so it is tried again.
    template <typename Command>
    std::uint16_t start(
        std::unique_ptr<ChildProcess>& child,
        const std::string& name,
        Command command
    ) {
        const fs::path output = folder_.path() / (name + ".out");
        for (int attempt = 1;; ++attempt) {
            const std::uint16_t port = testing::free_port();
            child = std::make_unique<ChildProcess>(command(port), output.string());
            try {
                testing::wait_until_ready(*child, port, output);
                return port;
            } catch (const std::runtime_error& error) {
                if (attempt == 3) {
                    throw std::runtime_error(name + ": " + error.what());
                }
            }
        }
    }

    testing::Folder folder_;
    testing::CertificateAuthority authority_;
    std::unique_ptr<ChildProcess> aimock_;
    std::unique_ptr<ChildProcess> nginx_;
    std::uint16_t aimock_port_ = 0;
    std::uint16_t nginx_port_ = 0;
};

/// What the machine lacks for this test, with the remedy; empty if nothing.
std::string missing() {
    std::string text;
    const std::string node = find_program("node");
    if (node.empty()) {
        text += "node (>= 20.15) is not installed. ";
    } else {
        ChildProcess check(
            {node,
             "-e",
             "const [a,b]=process.versions.node.split('.').map(Number);"
             "process.exit(a>20||(a===20&&b>=15)?0:1)"},
            "/dev/null"
        );
        text += check.wait(watchdog) == 0 ? "" : "node is older than 20.15. ";
    }
    if (!fs::exists(aimock_script())) {
        text += "aimock is not installed: npm ci --prefix " + peers_folder().string() +
                " (or set LLMPROC_PEERS_DIR to a copy of that folder). ";
    }
    text += find_program("nginx").empty() ? "nginx is not installed: apt install nginx-light. "
                                          : "";
    return text;
}

class AimockTest : public ::testing::Test {
protected:
    void SetUp() override {
        ::setenv("OPENAI_API_KEY", "not-a-key", 1);
        const std::string lack = missing();
        if (lack.empty()) {
            return;
        }
        const char* const required = std::getenv("LLMPROC_REQUIRE_PEERS");
        if (required != nullptr && std::string(required) == "1") {
            FAIL() << "LLMPROC_REQUIRE_PEERS=1, but " << lack;
        }
        GTEST_SKIP() << "NOT TESTED against aimock behind nginx: " << lack;
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

void expect_one_connection(const std::vector<std::string>& log, std::size_t requests) {
    ASSERT_EQ(log.size(), requests);
    std::set<std::string> connections;
    for (std::size_t i = 0; i < log.size(); ++i) {
        std::istringstream line(log[i]);
        std::string connection;
        std::size_t number = 0;
        int status = 0;
        std::string protocol;
        line >> connection >> number >> status >> protocol;
        connections.insert(connection);
        EXPECT_EQ(number, i + 1) << log[i];
        EXPECT_EQ(status, 200) << log[i];
        EXPECT_EQ(protocol, "TLSv1.3") << log[i];
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
