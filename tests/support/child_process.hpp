/// @file
/// A program that a test starts and that does not outlive it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace llmproc::testing {

/// The file of that name in PATH or in the folders for servers; empty if there is none.
std::string find_program(const std::string& name);

/// A running child. It inherits the environment and no descriptor but its standard ones: input is
/// empty, both outputs go to a file.
/// Lifetime: the destructor kills and reaps it; the kernel kills it when the starting thread dies.
/// Throws std::system_error when it cannot be started.
class ChildProcess {
public:
    ChildProcess(std::vector<std::string> command, const std::string& output_file);
    ~ChildProcess();
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    /// Its exit code (128 + signal, 127 if there was no such program), or nothing if it still runs
    /// when the time is over.
    std::optional<int> wait(std::chrono::milliseconds limit);
    bool running() { return !wait(std::chrono::milliseconds(0)); }
    /// Ends it now and waits for that.
    void kill();

private:
    pid_t pid_ = -1;
    std::optional<int> exit_code_;
};

}  // namespace llmproc::testing
