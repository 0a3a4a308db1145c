#include "contest.hpp"

#include "workload.hpp"

#include <algorithm>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>

namespace llmproc::bench {

namespace {

/// So that all connections stand, and caches are as they will be.
std::uint64_t warm_up_calls(std::uint64_t in_flight) {
    return std::max<std::uint64_t>(in_flight * 2, std::min<std::uint64_t>(in_flight * 20, 2'000));
}

Turn turn_of_client(const std::string& client, const Server& server, const Contestant& contestant) {
    const Command command{
        client,
        contestant.kind,
        std::to_string(server.port_for(contestant.kind)),
        server.ca_file(),
        std::to_string(contestant.in_flight),
        std::to_string(warm_up_calls(contestant.in_flight)),
        std::to_string(contestant.calls),
    };
    std::istringstream numbers(run(command, contestant.cores).output);
    Turn turn;
    if (!(numbers >> turn.rate >> turn.cpu_us >> turn.latency_us)) {
        throw std::runtime_error("the client " + contestant.kind + " printed no numbers");
    }
    return turn;
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
