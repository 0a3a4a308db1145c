/// @file
/// nginx on free ports of this machine.
#pragma once

#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/peer_support.hpp"
#include "support/test_program.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::testing {

/// One request as nginx saw it.
struct NginxRequest {
    std::string connection;  ///< Counts connections.
    std::size_t number = 0;  ///< Counts the requests of that connection from 1.
    int status = 0;
    std::string protocol;  ///< "TLSv1.3"; "-" without TLS.
    bool resumed = false;  ///< The connection resumed a TLS session.
};

/// A running nginx. One process: it needs no user of its own, so its folder may be private.
/// Throws std::runtime_error with nginx's own words when it does not start.
class NginxServer {
public:
    /// `http` goes into the http block: there FOLDER is the folder's path, which must hold the
    /// files that are named, and PORT{NAME} a free port.
    NginxServer(const Folder& folder, std::string http)
        : folder_(folder.path()),
          http_(std::move(http)) {
        for (int attempt = 1;; ++attempt) {
            try {
                start();
                return;
            } catch (const std::runtime_error&) {
                if (attempt == 3) {
                    throw;
                }
            }
        }
    }

    std::uint16_t port(const std::string& name) const { return ports_.at(name); }
    std::string base_url(const std::string& name, const std::string& scheme = "https") const {
        return scheme + "://localhost:" + std::to_string(port(name)) + "/v1";
    }

    /// The requests to a port. They are logged after the client has its answer, so this waits for
    /// `count` of them.
    std::vector<NginxRequest> requests(const std::string& name, std::size_t count) const {
        const auto end = std::chrono::steady_clock::now() + watchdog;
        for (;;) {
            std::vector<NginxRequest> found = logged(port(name));
            if (found.size() >= count || std::chrono::steady_clock::now() > end) {
                return found;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }

private:
    static constexpr const char* frame = R"(daemon off;
master_process off;
pid FOLDER/nginx.pid;
error_log stderr warn;
events { worker_connections 128; }
http {
    log_format peer '$server_port $connection $connection_requests $status $ssl_protocol '
                    '$ssl_session_reused';
    access_log FOLDER/access.log peer;
    client_body_temp_path FOLDER/body;
    proxy_temp_path FOLDER/proxy;
    fastcgi_temp_path FOLDER/fastcgi;
    uwsgi_temp_path FOLDER/uwsgi;
    scgi_temp_path FOLDER/scgi;
    default_type application/json;
    keepalive_timeout 75s;
)";

    static void replace(std::string& text, const std::string& word, const std::string& value) {
        for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at)) {
            text.replace(at, word.size(), value);
            at += value.size();
        }
    }

    void choose_ports(std::string& text) {
        const std::string mark = "PORT{";
        std::set<std::uint16_t> taken;
        ports_.clear();
        for (std::size_t at = text.find(mark); at != std::string::npos; at = text.find(mark)) {
            const std::size_t begin = at + mark.size();
            const std::string name = text.substr(begin, text.find('}', begin) - begin);
            std::uint16_t port = free_port();
            while (!taken.insert(port).second) {
                port = free_port();
            }
            ports_[name] = port;
            replace(text, mark + name + "}", std::to_string(port));
        }
    }

    void start() {
        std::string text = frame + http_ + "}\n";
        replace(text, "FOLDER", folder_.string());
        choose_ports(text);
        const std::filesystem::path config = folder_ / "nginx.conf";
        write_file(config, text);
        std::filesystem::remove(pid_file());
        child_ = std::make_unique<ChildProcess>(
            std::vector<std::string>{
                find_program("nginx"),
                "-p",
                folder_.string(),
                "-c",
                config.string(),
                "-e",
                "stderr"},
            output().string()
        );
        wait_until_it_listens();
    }

    /// It writes its id once it listens on all ports.
    void wait_until_it_listens() {
        const auto end = std::chrono::steady_clock::now() + watchdog;
        while (read_file(pid_file()).empty()) {
            const bool ended = !child_->running();
            if (ended || std::chrono::steady_clock::now() > end) {
                throw std::runtime_error(
                    (ended ? "nginx ended: " : "nginx does not listen: ") + read_file(output())
                );
            }
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
    }

    std::vector<NginxRequest> logged(std::uint16_t port) const {
        std::vector<NginxRequest> found;
        std::istringstream text(read_file(folder_ / "access.log"));
        for (std::string line; std::getline(text, line) && !text.eof();) {
            std::istringstream words(line);
            std::uint16_t to = 0;
            std::string reused;
            NginxRequest request;
            words >> to >> request.connection >> request.number >> request.status >>
                request.protocol >> reused;
            request.resumed = reused == "r";
            if (to == port) {
                found.push_back(request);
            }
        }
        return found;
    }

    std::filesystem::path pid_file() const { return folder_ / "nginx.pid"; }
    std::filesystem::path output() const { return folder_ / "nginx.out"; }

    std::filesystem::path folder_;
    std::string http_;
    std::map<std::string, std::uint16_t> ports_;
    std::unique_ptr<ChildProcess> child_;
};

}  // namespace llmproc::testing
