// Ours against libcurl, OpenSSL and wrk, on the same server in the same run, as one table:
//   llmproc-bench FOLDER [ROUNDS [PART...]]
// FOLDER holds the programs of the benchmark; PART: contest, counts, memory, warm, connect, growth,
// providers, loop.
#include "contest.hpp"
#include "goals.hpp"
#include "loop_goals.hpp"
#include "provider_goals.hpp"
#include "transport_goals.hpp"
#include "workload.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace llmproc::bench {

namespace {

constexpr std::uint64_t many = 64;
constexpr std::uint64_t calls_alone = 4'000;
constexpr std::uint64_t calls_together = 25'000;

Plan plan_cores() {
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    Cores cores;
    for (std::size_t core = 0; core < CPU_SETSIZE && cores.size() < 2; ++core) {
        if (CPU_ISSET(core, &set)) {
            cores.push_back(static_cast<int>(core));
        }
    }
    if (cores.size() < 2) {
        std::cerr << "only one core: client and server share it, the rates say little\n";
        return {cores, cores, cores};
    }
    return {{cores[0]}, {cores[1]}, cores};
}

std::vector<Contestant> contestants_for(const Plan& plan) {
    std::vector<Contestant> list{
        {"libcurl multi, perform and poll", "curl-multi-poll", many, calls_together, plan.client},
        {"libcurl multi, socket and epoll", "curl-multi-socket", many, calls_together, plan.client},
        {"llmproc run, 64 processes", "async-run", many, calls_together, plan.client},
        {"llmproc complete, 1 process", "async-complete", many, calls_together, plan.client},
        {"llmproc transport, no JSON", "transport", many, calls_together, plan.client},
        {"OpenSSL, blocking", "openssl", 1, calls_alone, plan.client},
        {"libcurl easy", "curl-easy", 1, calls_alone, plan.client},
        {"llmproc run", "async-run", 1, calls_alone, plan.client},
        {"llmproc complete", "async-complete", 1, calls_alone, plan.client},
        {"llmproc transport", "transport", 1, calls_alone, plan.client},
        {"llmproc sync run", "sync-run", 1, calls_alone, plan.client},
        {"llmproc run, two cores", "async-run", 1, calls_alone, plan.both},
        {"llmproc sync run, two cores", "sync-run", 1, calls_alone, plan.both},
    };
    if (find_program("wrk").empty()) {
        std::cerr << "wrk is NOT INSTALLED: its rows stay empty (Debian: wrk)\n";
    } else {
        list.insert(list.begin(), {"wrk", "wrk", many, 0, plan.client});
    }
    return list;
}

void print_costs(const std::vector<Contestant>& contestants, const Turns& turns) {
    std::cout << std::left << std::setw(34) << "client" << std::right << std::setw(10)
              << "in flight" << std::setw(12) << "calls/s" << std::setw(14) << "CPU us/call"
              << std::setw(14) << "median us" << '\n';
    for (const Contestant& contestant : contestants) {
        const std::vector<Turn>& own = turns.at(contestant.label);
        std::vector<double> latencies;
        for (const Turn& turn : own) {
            latencies.push_back(turn.latency_us);
        }
        std::cout << std::left << std::setw(34) << contestant.label << std::right << std::setw(10)
                  << contestant.in_flight << std::setw(12) << std::setprecision(0)
                  << median_rate(own) << std::setw(14) << std::setprecision(1) << best_cpu(own)
                  << std::setw(14);
        if (contestant.in_flight == 1) {
            std::cout << median(std::move(latencies)) << '\n';
        } else {
            std::cout << '-' << '\n';
        }
    }
}

std::vector<Goal> run_goals(const Turns& turns) {
    const auto& poll = turns.at("libcurl multi, perform and poll");
    const auto& epoll = turns.at("libcurl multi, socket and epoll");
    const auto& together = turns.at("llmproc run, 64 processes");
    const auto& easy = turns.at("libcurl easy");
    const auto& openssl = turns.at("OpenSSL, blocking");
    const auto& alone = turns.at("llmproc run");
    return {
        {"64 calls: calls/s, to libcurl multi (poll)",
         rate_ratio(together, poll),
         at_least(1.0),
         at_least(1.5)},
        {"64 calls: CPU, to libcurl multi (poll)",
         best_cpu(together) / best_cpu(poll),
         at_most(1.0),
         at_most(0.6)},
        {"64 calls: calls/s, to libcurl multi (epoll)", rate_ratio(together, epoll), {}, {}},
        {"64 calls: CPU, to libcurl multi (epoll)", best_cpu(together) / best_cpu(epoll), {}, {}},
        {"alone: calls/s, to libcurl easy", rate_ratio(alone, easy), at_least(1.0), {}},
        {"alone: CPU, to libcurl easy", best_cpu(alone) / best_cpu(easy), at_most(1.0), {}},
        {"alone: calls/s, to blocking OpenSSL", rate_ratio(alone, openssl), {}, at_least(0.90)},
        {"alone: CPU, to blocking OpenSSL", best_cpu(alone) / best_cpu(openssl), {}, {}},
        {"sync bridge: added us, two cores",
         added_latency(turns.at("llmproc sync run, two cores"), turns.at("llmproc run, two cores")),
         at_most(25),
         at_most(14)},
        {"sync bridge: added us, one core",
         added_latency(turns.at("llmproc sync run"), alone),
         {},
         {}},
    };
}

/// Names of the parts wanted; none = all.
using Parts = std::vector<std::string>;

bool wanted(const Parts& parts, const char* part) {
    return parts.empty() || std::find(parts.begin(), parts.end(), part) != parts.end();
}

void report(const std::filesystem::path& programs, unsigned rounds, const Parts& parts) {
    setenv(key_variable, "sk-benchmark-0123456789abcdef", 1);
    const Plan plan = plan_cores();
    const Server server(plan.server);
    std::vector<Goal> goals;
    const auto add = [&](std::vector<Goal> rows) {
        std::move(rows.begin(), rows.end(), std::back_inserter(goals));
    };
    std::cout << std::fixed << "request " << chat_request().body.size() << " B, reply "
              << reply_body().size() << " B; " << rounds
              << " rounds; CPU is the best round, calls/s and ratios are medians of rounds\n\n";
    if (wanted(parts, "contest")) {
        const std::vector<Contestant> contestants = contestants_for(plan);
        const std::string client = (programs / "llmproc-bench-client").string();
        const Turns turns = compete(client, server, contestants, rounds);
        print_costs(contestants, turns);
        print_goals(std::cout, "llmproc run", run_goals(turns));
        add(wrk_goals(turns));
    }
    if (wanted(parts, "counts")) {
        add(count_goals(programs, server));
    }
    if (wanted(parts, "memory")) {
        add(memory_goals(programs));
    }
    if (wanted(parts, "warm")) {
        add(warm_goals(programs));
    }
    if (wanted(parts, "connect")) {
        add(connect_goals(programs, server, plan));
    }
    if (wanted(parts, "growth")) {
        add(growth_goals(programs, server, plan));
    }
    if (!goals.empty()) {
        print_goals(std::cout, "transport", goals);
    }
    if (wanted(parts, "providers")) {
        print_goals(std::cout, "providers", provider_goals(programs, server, plan, rounds));
    }
    if (wanted(parts, "loop")) {
        print_goals(std::cout, "loop", loop_goals(programs, server, plan));
    }
}

}  // namespace

}  // namespace llmproc::bench

int main(int argc, char** argv) {
    try {
        if (argc < 2) {
            throw std::runtime_error("usage: llmproc-bench FOLDER [ROUNDS [PART...]]");
        }
        const unsigned long rounds = argc > 2 ? std::stoul(argv[2]) : 7;
        const std::vector<std::string> parts(argv + std::min(argc, 3), argv + argc);
        llmproc::bench::report(argv[1], static_cast<unsigned>(rounds), parts);
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::cerr << "llmproc-bench: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
