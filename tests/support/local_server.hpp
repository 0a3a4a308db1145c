/// @file
/// What a test needs to run somebody else's server on this machine.
#pragma once

#include "support/child_process.hpp"
#include "support/test_program.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace llmproc::testing {

inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

inline void write_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path);
    file << text;
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path.string());
    }
}

/// A private folder, removed with this object.
class Folder {
public:
    Folder() {
        std::string name =
            (std::filesystem::temp_directory_path() / "llmproc-peers-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) {
            throw std::runtime_error("cannot make a folder like " + name);
        }
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::filesystem::path& path() const { return path_; }

private:
    std::filesystem::path path_;
};

/// A TCP socket on 127.0.0.1.
class LoopbackSocket {
public:
    LoopbackSocket() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
    LoopbackSocket(const LoopbackSocket&) = delete;
    LoopbackSocket& operator=(const LoopbackSocket&) = delete;
    ~LoopbackSocket() { ::close(fd_); }

    /// The port that the system chose.
    std::uint16_t bind() {
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof(address);
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(fd_, generic, size) != 0 || ::getsockname(fd_, generic, &size) != 0) {
            throw std::runtime_error("no free port on 127.0.0.1");
        }
        return ntohs(address.sin_port);
    }
    /// Whether the port was free; it is this socket's then.
    bool bind(std::uint16_t port) {
        sockaddr_in address = loopback(port);
        return ::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    }
    bool connect(std::uint16_t port) {
        sockaddr_in address = loopback(port);
        return ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    }
    /// Takes connections, up to a few, and says nothing; returns the port.
    std::uint16_t listen() {
        const std::uint16_t port = bind();
        if (::listen(fd_, SOMAXCONN) != 0) {
            throw std::runtime_error("cannot listen on 127.0.0.1");
        }
        return port;
    }
    bool send(const std::string& text) {
        return ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL) ==
               static_cast<ssize_t>(text.size());
    }
    /// What comes until the other side closes. Throws when it does not.
    std::string receive_all() {
        const timeval limit{std::chrono::seconds(watchdog).count(), 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        std::string text;
        std::array<char, 4096> buffer{};
        for (;;) {
            const ssize_t count = ::recv(fd_, buffer.data(), buffer.size(), 0);
            if (count < 0) {
                throw std::runtime_error("the other side does not close");
            }
            if (count == 0) {
                return text;
            }
            text.append(buffer.data(), static_cast<std::size_t>(count));
        }
    }

private:
    static sockaddr_in loopback(std::uint16_t port) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return address;
    }

    int fd_;
};

/// A port for a program that is started next. Not one of those that the system hands out: another
/// test that runs beside this one, a server or a client, would get it before that program does.
inline std::uint16_t free_port() {
    std::random_device random;
    std::uniform_int_distribution<int> below_ephemeral(12'000, 32'000);
    for (int attempt = 0; attempt < 1000; ++attempt) {
        const auto port = static_cast<std::uint16_t>(below_ephemeral(random));
        if (LoopbackSocket().bind(port)) {
            return port;
        }
    }
    throw std::runtime_error("no free port on 127.0.0.1");
}

/// An address where nobody listens: bound, so that no other test's server gets it, and never given
/// back while the program runs.
inline boost::asio::ip::tcp::endpoint refusing_address(const std::string& host = "127.0.0.1") {
    using boost::asio::ip::tcp;
    static std::mutex mutex;
    static boost::asio::io_context context;
    static std::map<std::string, tcp::socket> held;
    const std::lock_guard lock(mutex);
    const auto found = held.find(host);
    if (found != held.end()) {
        return found->second.local_endpoint();
    }
    tcp::socket socket(context, tcp::endpoint(boost::asio::ip::make_address(host), 0));
    return held.emplace(host, std::move(socket)).first->second.local_endpoint();
}

/// Waits until the server accepts connections. Throws with its own words when it does not.
inline void wait_until_ready(
    ChildProcess& server,
    std::uint16_t port,
    const std::filesystem::path& output
) {
    const auto end = std::chrono::steady_clock::now() + watchdog;
    for (;;) {
        LoopbackSocket socket;
        if (socket.connect(port)) {
            return;
        }
        const bool ended = !server.running();
        if (ended || std::chrono::steady_clock::now() > end) {
            throw std::runtime_error(
                (ended ? "it ended: " : "it does not listen: ") + read_file(output)
            );
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

}  // namespace llmproc::testing
