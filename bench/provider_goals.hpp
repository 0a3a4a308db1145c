/// @file
/// Speed of the protocols, and against the official SDKs: what is measured and its goals.
#pragma once

#include "goals.hpp"
#include "server.hpp"
#include "transport_goals.hpp"

#include <filesystem>
#include <vector>

namespace llmproc::bench {

/// Everything of docs/benchmarks.md, "Providers".
std::vector<Goal> provider_goals(
    const std::filesystem::path& programs,
    const Server& server,
    const Plan& plan,
    unsigned rounds
);

}  // namespace llmproc::bench
