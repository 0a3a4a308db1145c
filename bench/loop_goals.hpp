/// @file
/// Speed and memory of the loop, its tasks and its bridge: what is measured and its goals.
#pragma once

#include "goals.hpp"
#include "server.hpp"
#include "transport_goals.hpp"

#include <filesystem>
#include <vector>

namespace llmproc::bench {

/// Everything of docs/benchmarks.md, "Loop".
std::vector<Goal> loop_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan
);

}  // namespace llmproc::bench
