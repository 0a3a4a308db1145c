/// @file
/// Other programs: started, pinned to a core, ended.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

namespace llmproc::bench {

/// What a program printed and what it cost.
struct Finished {
    std::string output;
    double cpu_seconds = 0;
};

using Command = std::vector<std::string>;

/// Cores a program may use; empty = any.
using Cores = std::vector<int>;

/// A program in the background. Lifetime: the destructor ends it and waits for its end.
class Child {
public:
    /// `output`: descriptor for its standard output.
    Child(const Command& command, const Cores& cores, std::optional<int> output = std::nullopt);
    Child(const Child&) = delete;
    Child& operator=(const Child&) = delete;
    ~Child();

    bool running();
    /// Waits for its end; returns its CPU time. Throws if it failed.
    double wait();

private:
    std::string name_;
    pid_t id_ = -1;
};

/// Runs a program to its end. Throws std::runtime_error if it cannot be started or fails.
Finished run(const Command& command, const Cores& cores);
/// The whole path of a program, or empty.
std::string find_program(const std::string& name);

}  // namespace llmproc::bench
