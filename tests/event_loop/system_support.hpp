/// @file
/// Children of a test: by fork alone, where the point is fork itself; processes on an io_context.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/process.hpp>
#include "support/sanitizers.hpp"
#include "support/test_program.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <exception>
#include <functional>
#include <future>
#include <iostream>
#include <string>
#include <utility>

namespace llmproc::testing {

/// Collects what does not hold in a process that has no GoogleTest.
class Checks {
public:
    void require(bool holds, const std::string& what) {
        if (!holds) {
            std::cerr << "not so: " << what << '\n';
            failed_ = true;
        }
    }
    /// `use` must throw an LLMError with `expected`.
    template <typename Use>
    void refuses(Errc expected, const std::string& what, Use use) {
        try {
            use();
            require(false, what + " is refused");
        } catch (const LLMError& error) {
            require(error.errc() == expected, what + ": " + error.what());
        } catch (const std::exception& error) {
            require(false, what + " throws an LLMError instead of: " + error.what());
        }
    }
    int exit_code() const { return failed_ ? 1 : 0; }

private:
    bool failed_ = false;
};

/// A child made by fork() alone, in which nothing of GoogleTest runs. One that hangs is ended by
/// SIGALRM.
class ForkedChild {
public:
    explicit ForkedChild(const std::function<void(Checks&)>& body) : pid_(::fork()) {
        if (pid_ == 0) {
            ::alarm(static_cast<unsigned>(std::chrono::seconds(watchdog).count()));
            Checks checks;
            try {
                body(checks);
            } catch (const std::exception& error) {
                checks.require(false, std::string("no exception escapes: ") + error.what());
            }
            ::_exit(checks.exit_code());
        }
    }
    ForkedChild(const ForkedChild&) = delete;
    ForkedChild& operator=(const ForkedChild&) = delete;
    ~ForkedChild() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            wait();
        }
    }

    /// Its exit code; 128 + the signal that ended it.
    int wait() {
        int status = 0;
        if (pid_ <= 0 || ::waitpid(pid_, &status, 0) != pid_) {
            return -1;
        }
        pid_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

private:
    pid_t pid_;
};

inline int run_in_fork(const std::function<void(Checks&)>& body) {
    ForkedChild child(body);
    return child.wait();
}

/// Runs `body` on `io` until it has ended, on the calling thread.
template <typename T>
T run_on(boost::asio::io_context& io, boost::asio::awaitable<T> body) {
    std::future<T> result = boost::asio::co_spawn(io, std::move(body), boost::asio::use_future);
    io.restart();
    io.run();
    return result.get();
}

inline boost::asio::awaitable<AsyncLLMProcess> start_on_this(LLMProgram program) {
    AsyncLLMProcess process = co_await program.start();
    co_return std::move(process);
}

inline boost::asio::awaitable<std::string> text_of(AsyncLLMProcess& process) {
    const RunResult result = co_await process.run("hi");
    co_return result.text();
}

}  // namespace llmproc::testing
