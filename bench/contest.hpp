/// @file
/// Rounds in which all contestants take their turn, so that a busy moment meets each of them.
#pragma once

#include "server.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace llmproc::bench {

/// One row of the table.
struct Contestant {
    std::string label;
    std::string kind;  ///< Of llmproc-bench-client, "wrk", or "node-" and one of peers/client.mjs.
    std::uint64_t in_flight = 1;
    std::uint64_t calls = 0;
    Cores cores;
    std::uint64_t warm_up = 0;  ///< Calls before those that are measured; 0 = a usual number.
};

/// What one turn brought.
struct Turn {
    double rate = 0;        ///< Calls per second.
    double cpu_us = 0;      ///< User and system time per call.
    double latency_us = 0;  ///< Median; 0 with many calls in flight.
    double bytes = 0;       ///< Of memory asked for per call; only of the counting client.
};

/// One turn of `client`, or of Node where the kind says so.
/// Throws std::runtime_error if it fails, or if Node or the SDKs are not installed.
Turn turn_of_client(const std::string& client, const Server& server, const Contestant& contestant);

using Turns = std::map<std::string, std::vector<Turn>>;

/// Lets each contestant run once a round, in order.
Turns compete(
    const std::string& client,
    const Server& server,
    const std::vector<Contestant>& contestants,
    unsigned rounds
);

double median(std::vector<double> values);
/// Least CPU time of all turns.
double best_cpu(const std::vector<Turn>& turns);
double median_rate(const std::vector<Turn>& turns);
/// Median of the ratios of turns of the same round.
double rate_ratio(const std::vector<Turn>& of, const std::vector<Turn>& to);
/// Median over rounds of how much longer a call of `of` took.
double added_latency(const std::vector<Turn>& of, const std::vector<Turn>& to);

}  // namespace llmproc::bench
