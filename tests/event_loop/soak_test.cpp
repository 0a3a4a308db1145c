// Everything at once: many threads that run, cancel, time out, close and fork at random.
//
// LLMPROC_SOAK_SECONDS=600 makes the ten minutes of it; the default is half a minute.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>
#include "support/resources.hpp"
#include "support/sanitizers.hpp"
#include "support/test_program.hpp"

#include <boost/asio/awaitable.hpp>
#include <gtest/gtest.h>

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using testing::at_most;
using testing::program_for;
using testing::Resources;
using testing::ScriptedServer;
using testing::watchdog;
using Clock = std::chrono::steady_clock;

constexpr std::size_t thread_count = 64;
constexpr std::size_t shared_processes = 8;
/// A child's, whose fork did not wait for those inside OpenSSL.
constexpr int exit_unheld = 3;

/// The locks of a sanitizer's allocator do not survive a fork beside busy threads.
constexpr bool may_fork = !testing::sanitized;

std::chrono::seconds soak_time() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody changes the environment
    const char* const text = std::getenv("LLMPROC_SOAK_SECONDS");
    if (text != nullptr) {
        return std::chrono::seconds(std::atoi(text));
    }
    return testing::sanitized ? 20s : 30s;
}

boost::asio::awaitable<int> wait_and_add(int a, int b, milliseconds time) {
    co_await sleep(time);
    co_return a + b;
}

boost::asio::awaitable<int> both(int a, milliseconds time) {
    const auto [left, right] = co_await when_all(wait_and_add(a, 0, time), wait_and_add(0, a, 0ms));
    co_return left + right;
}

/// What became of the operations.
struct Tally {
    std::atomic<std::uint64_t> values{0};
    std::atomic<std::uint64_t> timeouts{0};
    std::atomic<std::uint64_t> cancels{0};
    std::atomic<std::uint64_t> closed{0};
    std::atomic<std::uint64_t> forks{0};
    std::atomic<std::uint64_t> unheld{0};  ///< Forks that could not wait; TLS is refused there.
    std::atomic<std::uint64_t> wrong{0};
};

std::ostream& operator<<(std::ostream& out, const Tally& tally) {
    return out << tally.values << " values, " << tally.timeouts << " timeouts, " << tally.cancels
               << " cancels, " << tally.closed << " closed, " << tally.forks << " forks ("
               << tally.unheld << " without waiting), " << tally.wrong << " wrong";
}

/// What all threads use.
class Soak {
public:
    Soak() {
        server_.handle(testing::openai_chat_echo);
        program_.emplace(program_for(server_));
        for (std::shared_ptr<SyncLLMProcess>& process : processes_) {
            process = start_shared();
        }
    }

    void run_for(std::chrono::seconds time) {
        const Clock::time_point end = Clock::now() + time;
        std::vector<std::jthread> threads;
        threads.reserve(thread_count);
        for (std::size_t i = 0; i < thread_count; ++i) {
            threads.emplace_back([this, i, end] {
                std::mt19937 random(static_cast<unsigned>(i));
                while (Clock::now() < end) {
                    one(random);
                }
            });
        }
    }

    const ScriptedServer& server() const { return server_; }
    const Tally& tally() const { return tally_; }

private:
    std::shared_ptr<SyncLLMProcess> start_shared() {
        return std::make_shared<SyncLLMProcess>(program_->start_sync(SyncOptions().on(loop_)));
    }

    std::shared_ptr<SyncLLMProcess> any_process(std::mt19937& random) {
        const std::lock_guard lock(mutex_);
        return processes_[random() % shared_processes];
    }

    static RunOptions any_options(std::mt19937& random) {
        RunOptions options;
        if (random() % 4 == 0) {
            options.timeout(milliseconds(random() % 4));
        }
        return options;
    }

    void one(std::mt19937& random) {
        try {
            operation(random);
            ++tally_.values;
        } catch (const Timeout&) {
            ++tally_.timeouts;
        } catch (const LLMError& error) {
            if (error.code() == Condition::closed) {
                ++tally_.closed;
            } else if (error.code() == Condition::cancelled) {
                ++tally_.cancels;
            } else {
                wrong(error.what());
            }
        } catch (const std::exception& error) {
            wrong(error.what());
        }
    }

    void operation(std::mt19937& random) {
        switch (random() % 64) {
            case 0: return replace_process(random);
            case 1: return private_process();
            case 2: return own_loop(random);
            case 3: return fork_now(random);
            default: break;
        }
        switch (random() % 6) {
            case 0: return simple(random);
            case 1: return cancelled_task(random);
            case 2: return stopped_call(random);
            case 3: return job(random);
            default: return shared_run(random);
        }
    }

    static void simple(std::mt19937& random) {
        const int a = static_cast<int>(random() % 1000);
        if (run_sync(both(a, milliseconds(random() % 3)), any_options(random)) != 2 * a) {
            throw std::logic_error("a wrong value");
        }
    }

    static void cancelled_task(std::mt19937& random) {
        const Task<int> task =
            EventLoop::global().create_task(wait_and_add(1, 2, milliseconds(random() % 5)), "soak");
        if (random() % 2 == 0) {
            task.get_for(milliseconds(random() % 3));
        }
        task.cancel();
        task.get();
    }

    void stopped_call(std::mt19937& random) {
        std::stop_source source;
        const milliseconds delay(random() % 3);
        ScheduledCall stop = loop_.call_later(delay, [source]() mutable { source.request_stop(); });
        any_process(random)->run("stop", RunOptions().stop_token(source.get_token()));
        stop.cancel();
    }

    static void job(std::mt19937& random) {
        const int a = static_cast<int>(random() % 1000);
        const auto twice = [](int x) { return 2 * x; };
        if (run_sync(run_in_executor(twice, a)) != 2 * a) {
            throw std::logic_error("a wrong value from the executor");
        }
    }

    void shared_run(std::mt19937& random) {
        const std::string text = std::to_string(random());
        ChatRequest request;
        request.messages.push_back(std::make_shared<const Message>(Message::user(text)));
        const ChatReply reply = any_process(random)->complete(request, any_options(random));
        if (reply.message.text() != "You said: " + text) {
            throw std::logic_error("somebody else's answer: " + reply.message.text());
        }
    }

    void replace_process(std::mt19937& random) {
        std::shared_ptr<SyncLLMProcess> old = start_shared();
        {
            const std::lock_guard lock(mutex_);
            processes_[random() % shared_processes].swap(old);
        }
        old->close();
    }

    void private_process() {
        SyncLLMProcess process = program_->start_sync();
        process.spawn(forever());
        process.run("private");
    }

    static boost::asio::awaitable<void> forever() {
        for (;;) {
            co_await sleep(1h);
        }
    }

    static void own_loop(std::mt19937& random) {
        const EventLoop loop;
        std::vector<Task<int>> tasks;
        for (int i = 0; i < 8; ++i) {
            tasks.push_back(loop.create_task(wait_and_add(i, i, milliseconds(random() % 3))));
        }
        if (random() % 2 == 0) {
            loop.shutdown();
        }
        for (const Task<int>& task : tasks) {
            task.get();
        }
    }

    /// The parent's objects are refused, processes of its own work: no lock that another thread held
    /// at the moment of the fork may hang them.
    [[noreturn]] void child(const std::shared_ptr<SyncLLMProcess>& inherited) {
        try {
            inherited->run("from the child");
            ::_exit(EXIT_FAILURE);
        } catch (const LLMError& error) {
            if (error.errc() != Errc::forked_process) {
                ::_exit(EXIT_FAILURE);
            }
        }
        ::_exit(own_work());
    }

    /// How the child exits. On a busy machine a fork may not get its turn within `fork_wait_limit`:
    /// then the child must be told.
    int own_work() {
        try {
            SyncLLMProcess fresh = program_->start_sync();
            return fresh.run("own").text() == "You said: own" ? EXIT_SUCCESS : EXIT_FAILURE;
        } catch (const LLMError& error) {
            if (error.errc() == Errc::forked_process) {
                return exit_unheld;
            }
            std::cerr << "in the child: " << error.what() << '\n';
        } catch (const std::exception& error) {
            std::cerr << "in the child: " << error.what() << '\n';
        }
        return EXIT_FAILURE;
    }

    void fork_now(std::mt19937& random) {
        if (!may_fork || random() % 8 != 0) {
            return;
        }
        const std::shared_ptr<SyncLLMProcess> inherited = any_process(random);
        const pid_t pid = ::fork();
        if (pid == 0) {
            child(inherited);
        }
        if (pid < 0) {
            throw std::runtime_error("fork failed");
        }
        ++tally_.forks;
        await_child(pid);
        inherited->run("the parent's connection still works");
    }

    void await_child(pid_t pid) {
        int status = 0;
        const Clock::time_point limit = Clock::now() + watchdog;
        for (;;) {
            const pid_t ended = ::waitpid(pid, &status, WNOHANG);
            if (ended == pid) {
                break;
            }
            if (Clock::now() > limit) {
                ::kill(pid, SIGABRT);
                ::waitpid(pid, &status, 0);
                throw std::runtime_error("the child hangs");
            }
            run_sync(wait_and_add(0, 0, 5ms));
        }
        if (WIFEXITED(status) && WEXITSTATUS(status) == exit_unheld) {
            ++tally_.unheld;
        } else if (!WIFEXITED(status) || WEXITSTATUS(status) != EXIT_SUCCESS) {
            throw std::runtime_error("the child failed: " + std::to_string(status));
        }
    }

    void wrong(const std::string& what) {
        if (++tally_.wrong <= 10) {
            std::cerr << "wrong: " << what << '\n';
        }
    }

    ScriptedServer server_;
    std::optional<LLMProgram> program_;
    EventLoop loop_;
    std::mutex mutex_;
    std::array<std::shared_ptr<SyncLLMProcess>, shared_processes> processes_;
    Tally tally_;
};

/// Without what the allocator keeps of the server's record of all requests.
std::size_t memory_in_use() {
    ::malloc_trim(0);
    return testing::resident_bytes();
}

TEST(LoopSoakTest, ManyThreadsAtRandomLeaveNothingBehind) {
    constexpr std::size_t mebibyte = 1024UL * 1024;
    const std::chrono::seconds time = soak_time();
    // Starts what stays: the global loop, the shared executor, caches.
    Soak().run_for(std::max(time / 10, 1s));
    const Resources before = Resources::now();
    const std::size_t workers = Executor::shared().stats().threads;
    const std::size_t memory = memory_in_use();
    {
        Soak soak;
        soak.run_for(time);
        std::cout << soak.tally() << '\n';
        EXPECT_EQ(soak.tally().wrong, 0U);
        EXPECT_GT(soak.tally().values, 0U);
        EXPECT_GT(soak.tally().timeouts, 0U);
        EXPECT_GT(soak.tally().cancels, 0U);
        EXPECT_LE(soak.tally().unheld, soak.tally().forks / 2);
    }
    Resources allowed = before;
    allowed.threads += Executor::shared().stats().threads - workers;
    const Resources after = at_most(allowed, watchdog);
    EXPECT_LE(after.threads, allowed.threads) << after;
    EXPECT_LE(after.descriptors, allowed.descriptors) << after;
    const std::size_t now = memory_in_use();
    std::cout << "resident: " << memory / mebibyte << " MiB, then " << now / mebibyte << " MiB; "
              << after << '\n';
    if (!testing::sanitized) {
        EXPECT_LT(now, memory + 24 * mebibyte);
    }
    EXPECT_EQ(EventLoop::global().stats().pending_tasks, 0U);
}

}  // namespace
}  // namespace llmproc
