// User instructions and requests for memory per call, under callgrind, as lines of CSV:
//   llmproc-bench-count COUNTING_CLIENT [LABEL] [KIND[:IN_FLIGHT]...]
// Taken as the difference of two runs of different length, so that start and connecting drop out.
#include "server.hpp"
#include "workload.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace llmproc::bench {

namespace {

constexpr std::uint64_t shorter = 200;
constexpr std::uint64_t longer = 600;

struct Counts {
    double instructions = 0;
    double mallocs = 0;
};

struct Subject {
    std::string kind;
    std::string in_flight = "1";
};

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
        std::to_string(server.port()),
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

Counts per_call(const std::string& client, const Server& server, const Subject& subject) {
    const Counts few = count(client, server, subject, shorter);
    const Counts more = count(client, server, subject, longer);
    Counts counts;
    counts.instructions = (more.instructions - few.instructions) /
                          static_cast<double>(longer - shorter);
    counts.mallocs = more.mallocs;
    return counts;
}

std::vector<Subject> subjects_of(const std::vector<std::string>& names) {
    std::vector<Subject> subjects;
    for (const std::string& name : names) {
        const std::size_t colon = name.find(':');
        Subject subject;
        subject.kind = name.substr(0, colon);
        if (colon != std::string::npos) {
            subject.in_flight = name.substr(colon + 1);
        }
        subjects.push_back(subject);
    }
    return subjects;
}

void print_counts(
    const std::string& client,
    const std::string& label,
    const std::vector<Subject>& subjects
) {
    const Server server{Cores{}};
    for (const Subject& subject : subjects) {
        const Counts counts = per_call(client, server, subject);
        std::cout << label << ',' << subject.kind << ',' << subject.in_flight << ','
                  << std::llround(counts.instructions) << ','
                  << std::round(counts.mallocs * 10) / 10 << std::endl;
    }
}

}  // namespace

}  // namespace llmproc::bench

int main(int argc, char** argv) {
    try {
        if (argc < 2) {
            throw std::runtime_error(
                "usage: llmproc-bench-count COUNTING_CLIENT [LABEL] [KIND[:IN_FLIGHT]...]"
            );
        }
        std::vector<std::string> names(argv + std::min(argc, 3), argv + argc);
        if (names.empty()) {
            names = {"curl-easy", "transport", "async-complete", "async-run", "sync-run"};
        }
        llmproc::bench::print_counts(
            argv[1],
            argc > 2 ? argv[2] : "-",
            llmproc::bench::subjects_of(names)
        );
        return EXIT_SUCCESS;
    } catch (const std::exception& error) {
        std::cerr << "llmproc-bench-count: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
