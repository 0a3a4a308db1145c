#include "support/child_process.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <sstream>
#include <system_error>
#include <thread>

namespace llmproc::testing {

namespace {

constexpr int not_started = 127;

/// Between fork and exec: only what POSIX allows there, for the parent has threads.
[[noreturn]] void become(char* const* arguments, int input, int output, pid_t parent) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const bool orphan = ::getppid() != parent;
    const bool redirected = ::dup2(input, STDIN_FILENO) >= 0 &&
                            ::dup2(output, STDOUT_FILENO) >= 0 &&
                            ::dup2(output, STDERR_FILENO) >= 0;
    if (!orphan && redirected) {
        ::close_range(STDERR_FILENO + 1, ~0U, 0);
        sigset_t none;
        ::sigemptyset(&none);
        ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
        ::execv(arguments[0], arguments);
    }
    ::_exit(not_started);
}

class Descriptor {
public:
    Descriptor(const char* path, int flags) : value_(::open(path, flags | O_CLOEXEC, 0600)) {
        if (value_ < 0) {
            throw std::system_error(errno, std::generic_category(), path);
        }
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() { ::close(value_); }
    int get() const { return value_; }

private:
    int value_;
};

int exit_code(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

std::string find_program(const std::string& name) {
    const char* const path = std::getenv("PATH");
    std::istringstream folders(
        std::string(path == nullptr ? "" : path) + ":/usr/local/sbin:/usr/sbin"
    );
    for (std::string folder; std::getline(folders, folder, ':');) {
        const std::string file = folder + "/" + name;
        if (!folder.empty() && ::access(file.c_str(), X_OK) == 0) {
            return file;
        }
    }
    return std::string();
}

ChildProcess::ChildProcess(std::vector<std::string> command, const std::string& output_file) {
    std::vector<char*> arguments;
    arguments.reserve(command.size() + 1);
    for (std::string& argument : command) {
        arguments.push_back(argument.data());
    }
    arguments.push_back(nullptr);
    const Descriptor input("/dev/null", O_RDONLY);
    const Descriptor output(output_file.c_str(), O_WRONLY | O_CREAT | O_APPEND);
    const pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
        become(arguments.data(), input.get(), output.get(), parent);
    }
    if (pid_ < 0) {
        throw std::system_error(errno, std::generic_category(), "fork");
    }
}

ChildProcess::~ChildProcess() {
    kill();
}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!exit_code_) {
        int status = 0;
        const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
        if (ended == pid_) {
            exit_code_ = exit_code(status);
        } else if (ended < 0 && errno != EINTR) {
            exit_code_ = not_started;
        } else if (std::chrono::steady_clock::now() >= end) {
            break;
        } else {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    return exit_code_;
}

void ChildProcess::kill() {
    if (!exit_code_) {
        ::kill(pid_, SIGKILL);
        wait(std::chrono::seconds(30));
    }
}

}  // namespace llmproc::testing
