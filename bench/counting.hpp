/// @file
/// User instructions and requests for memory per call, under callgrind.
#pragma once

#include "server.hpp"

#include <cstdint>
#include <string>

namespace llmproc::bench {

struct Counts {
    double instructions = 0;
    double mallocs = 0;
};

/// Who is counted.
struct Subject {
    std::string kind;
    std::string in_flight = "1";
};

/// Per call, as the difference of two runs of different length, so that start and connecting drop
/// out. `client`: the program with an allocator that counts.
/// Throws std::runtime_error if valgrind is missing or the client fails.
Counts per_call(const std::string& client, const Server& server, const Subject& subject);

}  // namespace llmproc::bench
