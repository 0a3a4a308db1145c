#include "counting.hpp"

#include <cmath>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace llmproc::bench {

namespace {

/// How many calls the two runs make whose difference counts.
struct Lengths {
    std::uint64_t shorter = 200;
    std::uint64_t longer = 600;
};

/// Of a stream a call is a token.
Lengths lengths_of(const Subject& subject) {
    return subject.kind.starts_with("stream-") ? Lengths{10'000, 30'000} : Lengths();
}

Counts count(
    const std::string& client,
    const Server& server,
    const Subject& subject,
    std::uint64_t calls
) {
    const std::string log = (server.folder() / "callgrind.log").string();
    const Command command{
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--log-file=" + log,
        client,
        subject.kind,
        std::to_string(server.port_for(subject.kind)),
        server.ca_file(),
        subject.in_flight,
        subject.in_flight,
        std::to_string(calls),
    };
    const Finished finished = run(command, {});
    std::istringstream printed(finished.output);
    double ignored = 0;
    Counts counts;
    printed >> ignored >> ignored >> ignored >> counts.mallocs;

    std::ifstream lines(log);
    std::string line;
    constexpr std::string_view mark = "Collected : ";
    while (std::getline(lines, line)) {
        if (const std::size_t at = line.find(mark); at != std::string::npos) {
            counts.instructions = std::stod(line.substr(at + mark.size()));
        }
    }
    if (!printed || counts.instructions == 0) {
        throw std::runtime_error("callgrind gave no numbers for " + subject.kind);
    }
    return counts;
}

}  // namespace

Counts per_call(const std::string& client, const Server& server, const Subject& subject) {
    if (find_program("valgrind").empty()) {
        throw std::runtime_error("valgrind is not installed");
    }
    const Lengths lengths = lengths_of(subject);
    const Counts few = count(client, server, subject, lengths.shorter);
    const Counts more = count(client, server, subject, lengths.longer);
    Counts counts;
    counts.instructions = (more.instructions - few.instructions) /
                          static_cast<double>(lengths.longer - lengths.shorter);
    // What happens once in hundreds of calls is not of a call.
    counts.mallocs = std::round(more.mallocs * 10) / 10;
    return counts;
}

}  // namespace llmproc::bench
