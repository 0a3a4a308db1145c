#include "server.hpp"

#include "limits.hpp"
#include "replies.hpp"
#include "workload.hpp"

#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

namespace llmproc::bench {

namespace {

namespace fs = std::filesystem;

fs::path make_folder() {
    std::string name = (fs::temp_directory_path() / "llmproc-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) {
        throw std::runtime_error(
            "cannot make a folder under " + fs::temp_directory_path().string()
        );
    }
    return name;
}

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

std::uint16_t free_port() {
    const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    void* const generic = &address;
    const bool found = bind(probe, static_cast<sockaddr*>(generic), size) == 0 &&
                       getsockname(probe, static_cast<sockaddr*>(generic), &size) == 0;
    close(probe);
    if (!found) {
        throw std::runtime_error("there is no free port");
    }
    return ntohs(address.sin_port);
}

bool accepts(std::uint16_t port) {
    const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = loopback(port);
    void* const generic = &address;
    const bool open = connect(probe, static_cast<sockaddr*>(generic), sizeof address) == 0;
    close(probe);
    return open;
}

void write_file(const fs::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path.string());
    }
}

std::string server_text(
    const std::string& folder,
    std::uint16_t port,
    const std::string& settings
) {
    std::string text = "server {\nssl_protocols TLSv1.3;\n" + settings +
                       "listen 127.0.0.1:" + std::to_string(port) +
                       " ssl backlog=8192;\nssl_certificate " + folder +
                       "chain.pem;\nssl_certificate_key " + folder + "key.pem;\n";
    for (const Protocol& protocol : protocols) {
        text.append("location = ").append(protocol.call_path).append(" { return 200 '");
        text.append(protocol.reply).append("'; }\n");
    }
    return text + "}\n";
}

std::string config_text(const fs::path& folder, std::uint16_t port, std::uint16_t closing_port) {
    const std::string here = folder.string() + "/";
    const std::string connections = std::to_string(raise_descriptor_limit() - 64);
    std::string text = "daemon off;\nworker_processes 1;\npid " + here +
                       "pid;\nerror_log stderr;\n";
    text += geteuid() == 0 ? "user root;\n" : "";
    text += "events { worker_connections " + connections + "; }\nhttp {\n";
    for (const char* kind : {"client_body", "fastcgi", "proxy", "scgi", "uwsgi"}) {
        text += std::string(kind) + "_temp_path " + here + kind + ";\n";
    }
    text += R"(access_log off;
default_type application/json;
tcp_nodelay on;
keepalive_requests 1000000000;
client_max_body_size 1g;
client_header_timeout 1h;
client_body_timeout 1h;
send_timeout 1h;
)";
    return text + server_text(here, port, "keepalive_timeout 1h;\n") +
           server_text(here, closing_port, "keepalive_timeout 0;\nssl_session_tickets on;\n") +
           "}\n";
}

}  // namespace

Server::Server(const Cores& cores)
    : folder_(make_folder()),
      port_(free_port()),
      closing_port_(free_port()) {
    const std::string nginx = find_program("nginx");
    if (nginx.empty()) {
        throw std::runtime_error("nginx is not installed (Debian: nginx-light)");
    }
    const Command command{nginx, "-e", "stderr", "-c", write_files().string()};
    nginx_ = std::make_unique<Child>(command, cores);
    streams_.emplace(folder_ / "chain.pem", folder_ / "key.pem", cores);
    wait_until_ready();
}

Server::~Server() {
    nginx_.reset();
    streams_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

std::uint16_t Server::port_for(std::string_view kind) const noexcept {
    if (kind.find("stream-") != std::string_view::npos) {
        return streams_->port();
    }
    return kind.find("connect-") == std::string_view::npos ? port_ : closing_port_;
}

fs::path Server::write_files() {
    const testing::CertificateOptions names = testing::CertificateOptions()
                                                  .dns_name(std::string(host_name))
                                                  .dns_name("localhost")
                                                  .ip_address("127.0.0.1");
    const testing::Certificate certificate = authority_.issue(names);
    write_file(folder_ / "chain.pem", certificate.chain_pem);
    write_file(folder_ / "key.pem", certificate.key_pem);
    write_file(folder_ / "nginx.conf", config_text(folder_, port_, closing_port_));
    return folder_ / "nginx.conf";
}

void Server::wait_until_ready() {
    for (int tries = 0; tries < 500; ++tries) {
        if (accepts(port_) && accepts(closing_port_)) {
            return;
        }
        if (!nginx_->running()) {
            break;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    throw std::runtime_error("nginx did not start, see its message above");
}

}  // namespace llmproc::bench
