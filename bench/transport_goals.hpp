/// @file
/// Speed and memory of the transport: what needs measurements of its own.
#pragma once

#include "contest.hpp"
#include "goals.hpp"

#include <filesystem>
#include <vector>

namespace llmproc::bench {

/// The clients on one core, the server on another.
struct Plan {
    Cores client;
    Cores server;
    Cores both;
};

/// 64 in flight, to wrk on the same server; from the rounds of the great table.
std::vector<Goal> wrk_goals(const Turns& turns);
/// Instructions and mallocs under callgrind; also of connecting, resumed and in full.
std::vector<Goal> count_goals(const std::filesystem::path& programs, const Server& server);
/// CPU time of connecting, resumed and in full.
std::vector<Goal> connect_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
);
/// CPU time per call with 1, 64, 1,024 and 8,192 in flight.
std::vector<Goal> growth_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
);
/// Memory of 10,000 calls in flight.
std::vector<Goal> memory_goals(const std::filesystem::path& programs);
/// Handshakes, look-ups and SSL contexts of a call over a warm pool.
std::vector<Goal> warm_goals(const std::filesystem::path& programs);

}  // namespace llmproc::bench
