// Makes calls in one way and prints what they cost:
//   llmproc-bench-client KIND PORT CA_FILE IN_FLIGHT WARM_UP CALLS
#include "client.hpp"
#include "malloc_count.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

using std::chrono::steady_clock;

constexpr std::array<ClientKind, 8> kinds{{
    {"openssl", make_openssl},
    {"curl-easy", make_curl_easy},
    {"curl-multi-poll", make_curl_multi_poll},
    {"curl-multi-socket", make_curl_multi_socket},
    {"transport", make_transport},
    {"async-run", make_async_run},
    {"async-complete", make_async_complete},
    {"sync-run", make_sync_run},
}};

std::unique_ptr<Client> make_client(std::string_view name, const Load& load) {
    const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const ClientKind& candidate) {
        return candidate.name == name;
    });
    if (kind == kinds.end()) {
        throw std::runtime_error("unknown kind of client: " + std::string(name));
    }
    return kind->make(load);
}

/// User and system time of the whole process, all threads.
double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double median_us(Latencies& latencies) {
    if (latencies.empty()) {
        return 0;
    }
    const auto middle = latencies.begin() + static_cast<std::ptrdiff_t>(latencies.size() / 2);
    std::nth_element(latencies.begin(), middle, latencies.end());
    return static_cast<double>(middle->count()) * 1e-3;
}

void measure(std::span<char*> arguments) {
    if (arguments.size() != 7) {
        throw std::runtime_error("usage: KIND PORT CA_FILE IN_FLIGHT WARM_UP CALLS");
    }
    Load load;
    load.port = static_cast<std::uint16_t>(std::stoul(arguments[2]));
    load.ca_file = arguments[3];
    load.in_flight = std::stoull(arguments[4]);
    const std::uint64_t warm_up = std::stoull(arguments[5]);
    const std::uint64_t calls = std::stoull(arguments[6]);
    setenv(key_variable, "sk-benchmark-0123456789abcdef", 1);

    const std::unique_ptr<Client> client = make_client(arguments[1], load);
    Latencies latencies;
    latencies.reserve(std::max(warm_up, calls));
    client->run(warm_up, latencies);
    latencies.clear();

    const std::uint64_t mallocs = malloc_count();
    const double cpu = cpu_seconds();
    const auto begin = steady_clock::now();
    client->run(calls, latencies);
    const std::chrono::duration<double> wall = steady_clock::now() - begin;
    const double used = cpu_seconds() - cpu;
    const std::uint64_t allocated = malloc_count() - mallocs;
    const auto count = static_cast<double>(calls);
    std::cout << count / wall.count() << ' ' << used / count * 1e6 << ' ' << median_us(latencies)
              << ' ' << static_cast<double>(allocated) / count << '\n';
}

}  // namespace

void one_by_one(std::uint64_t calls, Latencies& latencies, const std::function<void()>& call) {
    for (std::uint64_t i = 0; i < calls; ++i) {
        const auto begin = steady_clock::now();
        call();
        latencies.push_back(steady_clock::now() - begin);
    }
}

}  // namespace llmproc::bench

int main(int argc, char** argv) {
    try {
        llmproc::bench::measure(std::span<char*>(argv, static_cast<std::size_t>(argc)));
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::cerr << "llmproc-bench-client: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
