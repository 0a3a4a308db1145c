// What is neither time nor instructions:
//   llmproc-bench-probe memory KIND CALLS   memory of that many calls in flight on one thread
//   llmproc-bench-probe warm                handshakes, look-ups and SSL contexts of the next call
//   llmproc-bench-probe idle PROCESSES      MiB of that many idle processes on one loop
//   llmproc-bench-probe descriptors         of a loop with a thread; of the same by hand
//   llmproc-bench-probe hold CHAIN KEY CALLS   (the server of `memory`)
//   llmproc-bench-probe streams CHAIN KEY      (the server of the stream rows)
#include <llmproc/testing/certificate_authority.hpp>
#include "child.hpp"
#include "client.hpp"
#include "holder.hpp"
#include "idle_probe.hpp"
#include "limits.hpp"
#include "stream_server.hpp"
#include "warm_probe.hpp"

#include <malloc.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace llmproc::bench {

namespace {

/// A line that another process writes. Empty: it has ended.
std::string read_line(int descriptor) {
    std::string line;
    char letter = 0;
    while (read(descriptor, &letter, 1) == 1 && letter != '\n') {
        line += letter;
    }
    return line;
}

/// The server that never answers, in a process of its own.
class Holder {
public:
    explicit Holder(std::size_t calls) : folder_(authority_.ca_file() + ".server") {
        const testing::Certificate certificate = authority_.issue();
        std::filesystem::create_directory(folder_);
        std::ofstream(folder_ / "chain.pem") << certificate.chain_pem;
        std::ofstream(folder_ / "key.pem") << certificate.key_pem;
        std::array<int, 2> ends{};
        if (pipe(ends.data()) != 0) {
            throw std::runtime_error("cannot make a pipe");
        }
        const Command command{
            std::filesystem::read_symlink("/proc/self/exe").string(),
            "hold",
            (folder_ / "chain.pem").string(),
            (folder_ / "key.pem").string(),
            std::to_string(calls)};
        child_.emplace(command, Cores{}, ends[1]);
        close(ends[1]);
        output_ = ends[0];
        const std::string port = read_line(output_);
        if (port.empty()) {
            throw std::runtime_error("the server that holds calls did not start");
        }
        port_ = static_cast<std::uint16_t>(std::stoul(port));
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    ~Holder() {
        child_.reset();
        close(output_);
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    std::uint16_t port() const { return port_; }
    const std::string& ca_file() const { return authority_.ca_file(); }
    /// Waits until it has read as many requests as it is to hold.
    bool wait_until_full() const { return !read_line(output_).empty(); }

private:
    testing::CertificateAuthority authority_;
    std::filesystem::path folder_;
    std::optional<Child> child_;
    int output_ = -1;
    std::uint16_t port_ = 0;
};

/// Prints: calls; MiB of the process with them, before them, and of them without what the allocator
/// only keeps.
void measure_memory(const std::string& kind, std::size_t wanted) {
    const std::size_t calls = possible_connections(wanted);
    auto holder = std::make_unique<Holder>(calls);
    Load load;
    load.port = holder->port();
    load.ca_file = holder->ca_file();
    load.in_flight = calls;
    const std::unique_ptr<Client> client = make_client(kind, load);
    const double before = resident_mib();
    // The calls never end, so this thread ends the process.
    std::thread watcher([&] {
        const bool full = holder->wait_until_full();
        const double resident = resident_mib();
        holder.reset();
        malloc_trim(0);
        if (full) {
            std::cout << calls << ' ' << resident << ' ' << before << ' ' << resident_mib()
                      << std::endl;
        }
        std::_Exit(full ? EXIT_SUCCESS : EXIT_FAILURE);
    });
    watcher.detach();
    Latencies latencies;
    client->run(calls, latencies);
    throw std::runtime_error("the calls ended although nobody answered them");
}

void run_probe(const std::vector<std::string>& words) {
    setenv(key_variable, "sk-benchmark-0123456789abcdef", 1);
    raise_descriptor_limit();
    if (words.size() == 4 && words[1] == "memory") {
        measure_memory(words[2], std::stoull(words[3]));
    } else if (words.size() == 2 && words[1] == "warm") {
        print_warm_calls(std::cout);
    } else if (words.size() == 3 && words[1] == "idle") {
        print_idle_memory(std::cout, std::stoull(words[2]));
    } else if (words.size() == 2 && words[1] == "descriptors") {
        print_loop_descriptors(std::cout);
    } else if (words.size() == 5 && words[1] == "hold") {
        hold_calls(words[2], words[3], std::stoull(words[4]));
    } else if (words.size() == 4 && words[1] == "streams") {
        serve_streams(words[2], words[3]);
    } else {
        throw std::runtime_error(
            "usage: memory KIND CALLS | warm | idle PROCESSES | descriptors | hold CHAIN KEY CALLS "
            "| streams CHAIN KEY"
        );
    }
}

}  // namespace

}  // namespace llmproc::bench

int main(int argc, char** argv) {
    try {
        llmproc::bench::run_probe(std::vector<std::string>(argv, argv + argc));
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::cerr << "llmproc-bench-probe: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
