// User instructions and requests for memory per call, under callgrind, as lines of CSV:
//   llmproc-bench-count COUNTING_CLIENT [LABEL] [KIND[:IN_FLIGHT]...]
#include "counting.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace llmproc::bench {

namespace {

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
                  << std::llround(counts.instructions) << ',' << counts.mallocs << std::endl;
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
            names = {
                "curl-easy",
                "transport",
                "async-complete",
                "async-run",
                "sync-run",
                "connect-full",
                "connect-resumed",
                "task-await",
                "run-sync",
                "stream-bulk-openai_chat",
                "stream-bulk-openai_responses",
                "stream-bulk-anthropic",
                "stream-bulk-gemini",
                "encode-openai_chat:100",
                "encode-openai_responses:100",
                "encode-anthropic:100",
                "encode-gemini:100"};
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
