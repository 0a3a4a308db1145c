// Makes calls in one way and prints what they cost:
//   llmproc-bench-client KIND PORT CA_FILE IN_FLIGHT WARM_UP CALLS
#include "client.hpp"
#include "limits.hpp"
#include "malloc_count.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

using std::chrono::steady_clock;

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
    raise_descriptor_limit();
    setenv(key_variable, "sk-benchmark-0123456789abcdef", 1);

    const std::unique_ptr<Client> client = make_client(arguments[1], load);
    Latencies latencies;
    latencies.reserve(std::max(warm_up, calls));
    client->run(warm_up, latencies);
    latencies.clear();

    const std::uint64_t mallocs = malloc_count();
    const std::uint64_t bytes = malloc_bytes();
    const double cpu = cpu_seconds();
    const auto begin = steady_clock::now();
    client->run(calls, latencies);
    const std::chrono::duration<double> wall = steady_clock::now() - begin;
    const double used = cpu_seconds() - cpu;
    const std::uint64_t allocated = malloc_count() - mallocs;
    const std::uint64_t allocated_bytes = malloc_bytes() - bytes;
    const auto count = static_cast<double>(calls);
    std::cout << count / wall.count() << ' ' << used / count * 1e6 << ' ' << median_us(latencies)
              << ' ' << static_cast<double>(allocated) / count << ' '
              << static_cast<double>(allocated_bytes) / count << '\n';
}

}  // namespace

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
