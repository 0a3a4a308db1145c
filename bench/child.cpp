#include "child.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace llmproc::bench {

namespace {

double seconds(const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

[[noreturn]] void execute(std::vector<char*> words, const Cores& cores, int output) {
    if (output >= 0) {
        dup2(output, STDOUT_FILENO);
    }
    if (!cores.empty()) {
        cpu_set_t set;
        CPU_ZERO(&set);
        for (const int core : cores) {
            CPU_SET(static_cast<std::size_t>(core), &set);
        }
        sched_setaffinity(0, sizeof set, &set);
    }
    execvp(words.front(), words.data());
    _exit(127);
}

}  // namespace

Child::Child(const Command& command, const Cores& cores, std::optional<int> output)
    : name_(command.front()) {
    std::vector<std::string> copy = command;
    std::vector<char*> words;
    for (std::string& word : copy) {
        words.push_back(word.data());
    }
    words.push_back(nullptr);
    id_ = fork();
    if (id_ < 0) {
        throw std::runtime_error("cannot start " + name_);
    }
    if (id_ == 0) {
        execute(std::move(words), cores, output.value_or(-1));
    }
}

Child::~Child() {
    if (id_ > 0) {
        kill(id_, SIGTERM);
        waitpid(id_, nullptr, 0);
    }
}

bool Child::running() {
    if (id_ > 0 && waitpid(id_, nullptr, WNOHANG) != 0) {
        id_ = -1;
    }
    return id_ > 0;
}

double Child::wait() {
    int status = 0;
    rusage usage{};
    wait4(id_, &status, 0, &usage);
    id_ = -1;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw std::runtime_error(name_ + " failed");
    }
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

Finished run(const Command& command, const Cores& cores) {
    std::array<int, 2> ends{};
    if (pipe(ends.data()) != 0) {
        throw std::runtime_error("cannot make a pipe");
    }
    Child child(command, cores, ends[1]);
    close(ends[1]);
    Finished finished;
    std::array<char, 4096> buffer{};
    for (;;) {
        const ssize_t bytes = read(ends[0], buffer.data(), buffer.size());
        if (bytes <= 0) {
            break;
        }
        finished.output.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
    close(ends[0]);
    finished.cpu_seconds = child.wait();
    return finished;
}

std::string find_program(const std::string& name) {
    const char* const path = std::getenv("PATH");
    std::istringstream folders(std::string(path == nullptr ? "" : path) + ":/usr/sbin:/sbin");
    std::string folder;
    while (std::getline(folders, folder, ':')) {
        const std::string file = folder + "/" + name;
        if (access(file.c_str(), X_OK) == 0) {
            return file;
        }
    }
    return {};
}

}  // namespace llmproc::bench
