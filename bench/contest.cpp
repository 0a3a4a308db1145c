#include "contest.hpp"

#include "workload.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace llmproc::bench {

namespace {

/// So that all connections stand, and caches are as they will be.
std::uint64_t warm_up_calls(std::uint64_t in_flight) {
    return std::max<std::uint64_t>(in_flight * 2, std::min<std::uint64_t>(in_flight * 20, 2'000));
}

/// The official SDKs; each is a package of bench/peers/package.json.
Command node_client(const Server& server) {
    namespace fs = std::filesystem;
    const std::string node = find_program("node");
    const fs::path peers = LLMPROC_BENCH_PEERS;
    if (node.empty() || !fs::exists(peers / "node_modules")) {
        throw std::runtime_error(
            "the SDKs are not installed (node, then: npm ci --prefix " + peers.string() + ")"
        );
    }
    return {
        find_program("env"),
        "NODE_EXTRA_CA_CERTS=" + server.ca_file(),
        node,
        (peers / "client.mjs").string()};
}

/// wrk takes its request from a Lua file; the text is ready-made, no Lua runs per call.
std::string write_script(const Server& server) {
    const HttpRequest request = chat_request();
    const std::string path = (server.folder() / "wrk.lua").string();
    std::ofstream file(path);
    file << "wrk.method = 'POST'\nwrk.body = [==[" << request.body << "]==]\n";
    for (const auto& [name, value] : request.headers) {
        file << "wrk.headers['" << name << "'] = '" << value << "'\n";
    }
    file << "function done(summary)\n  io.write('TOTAL ', summary.requests, ' ', "
            "summary.duration, ' ', summary.errors.status + summary.errors.read, '\\n')\nend\n";
    return path;
}

struct WrkRun {
    double requests = 0;
    double seconds = 0;
    double cpu_seconds = 0;
};

WrkRun run_wrk(const Server& server, const Contestant& contestant, unsigned seconds) {
    const Command command{
        find_program("wrk"),
        "-t1",
        "-c" + std::to_string(contestant.in_flight),
        "-d" + std::to_string(seconds) + "s",
        "-s" + write_script(server),
        "https://127.0.0.1:" + std::to_string(server.port()) + std::string(target),
    };
    const Finished finished = run(command, contestant.cores);
    const std::size_t total = finished.output.find("TOTAL ");
    std::istringstream numbers(total == std::string::npos ? "" : finished.output.substr(total + 6));
    double requests = 0;
    double microseconds = 0;
    double errors = 0;
    if (!(numbers >> requests >> microseconds >> errors) || errors > 0) {
        throw std::runtime_error("wrk failed: " + finished.output);
    }
    return {requests, microseconds * 1e-6, finished.cpu_seconds};
}

/// The difference of two runs, since the other clients are not measured while they connect.
Turn turn_of_wrk(const Server& server, const Contestant& contestant) {
    const WrkRun shorter = run_wrk(server, contestant, 1);
    const WrkRun longer = run_wrk(server, contestant, 4);
    const double requests = longer.requests - shorter.requests;
    Turn turn;
    turn.rate = requests / (longer.seconds - shorter.seconds);
    turn.cpu_us = (longer.cpu_seconds - shorter.cpu_seconds) / requests * 1e6;
    return turn;
}

std::vector<double> by_round(
    const std::vector<Turn>& of,
    const std::vector<Turn>& to,
    double (*compare)(const Turn& of, const Turn& to)
) {
    std::vector<double> values;
    for (std::size_t i = 0; i < std::min(of.size(), to.size()); ++i) {
        values.push_back(compare(of[i], to[i]));
    }
    return values;
}

}  // namespace

Turn turn_of_client(const std::string& client, const Server& server, const Contestant& contestant) {
    constexpr std::string_view on_node = "node-";
    const bool sdk = contestant.kind.starts_with(on_node);
    const std::uint64_t warm_up = contestant.warm_up == 0 ? warm_up_calls(contestant.in_flight)
                                                          : contestant.warm_up;
    Command command = sdk ? node_client(server) : Command{client};
    for (const std::string& word : {
             contestant.kind.substr(sdk ? on_node.size() : 0),
             std::to_string(server.port_for(contestant.kind)),
             server.ca_file(),
             std::to_string(contestant.in_flight),
             std::to_string(warm_up),
             std::to_string(contestant.calls),
         }) {
        command.push_back(word);
    }
    std::istringstream numbers(run(command, contestant.cores).output);
    Turn turn;
    double mallocs = 0;
    if (!(numbers >> turn.rate >> turn.cpu_us >> turn.latency_us >> mallocs >> turn.bytes)) {
        throw std::runtime_error("the client " + contestant.kind + " printed no numbers");
    }
    return turn;
}

Turns compete(
    const std::string& client,
    const Server& server,
    const std::vector<Contestant>& contestants,
    unsigned rounds
) {
    Turns turns;
    for (unsigned round = 1; round <= rounds; ++round) {
        std::cerr << "round " << round << " of " << rounds << '\n';
        for (const Contestant& contestant : contestants) {
            turns[contestant.label].push_back(
                contestant.kind == "wrk" ? turn_of_wrk(server, contestant)
                                         : turn_of_client(client, server, contestant)
            );
        }
    }
    return turns;
}

double median(std::vector<double> values) {
    if (values.empty()) {
        return 0;
    }
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

double best_cpu(const std::vector<Turn>& turns) {
    double best = turns.front().cpu_us;
    for (const Turn& turn : turns) {
        best = std::min(best, turn.cpu_us);
    }
    return best;
}

double median_rate(const std::vector<Turn>& turns) {
    std::vector<double> rates;
    for (const Turn& turn : turns) {
        rates.push_back(turn.rate);
    }
    return median(std::move(rates));
}

double rate_ratio(const std::vector<Turn>& of, const std::vector<Turn>& to) {
    return median(by_round(of, to, [](const Turn& a, const Turn& b) { return a.rate / b.rate; }));
}

double added_latency(const std::vector<Turn>& of, const std::vector<Turn>& to) {
    return median(by_round(of, to, [](const Turn& a, const Turn& b) {
        return a.latency_us - b.latency_us;
    }));
}

}  // namespace llmproc::bench
