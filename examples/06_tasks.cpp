// 06: tasks, and a program that ends in order.
//
// Shows: run_main, a heartbeat, a queue with a worker, several coroutines at once, a group, a time
// limit, blocking work on another thread, cancelling a task, and what Ctrl-C does.
// Run:   llmproc_example_06_tasks [program file] [--until-signal]
//        (default: 06_tasks.toml, beside this). With --until-signal it goes on until Ctrl-C: watch
//        the order in which it ends.

#include <llmproc/llmproc.hpp>

#include <boost/asio/awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <utility>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

void say(const std::string& line) {
    std::cout << line << std::endl;
}

// Speaks when it is destroyed: when its coroutine ends, fails or is cancelled.
class Farewell {
public:
    explicit Farewell(std::string line) : line_(std::move(line)) {}
    Farewell(const Farewell&) = delete;
    Farewell& operator=(const Farewell&) = delete;
    ~Farewell() { say(line_); }

private:
    std::string line_;
};

// The worker owns what it uses (the queue is a handle, the process its own), so it can neither
// outlive it nor be outlived.
asio::awaitable<int> answer(llmproc::Queue<std::string> questions, llmproc::LLMProgram program) {
    const Farewell farewell("worker stopped");
    llmproc::AsyncLLMProcess process = co_await program.start();
    int answered = 0;
    // Nothing comes any more once the queue is closed and empty.
    while (const std::optional<std::string> question = co_await questions.pop()) {
        const llmproc::RunResult result = co_await process.run(*question);
        say("worker: " + result.text());
        ++answered;
    }
    co_await process.aclose();
    co_return answered;
}

asio::awaitable<std::string> after(std::chrono::milliseconds time, std::string word) {
    co_await llmproc::sleep(time);
    co_return word;
}

asio::awaitable<void> greet(std::string name) {
    co_await llmproc::sleep(10ms);
    say("group: hello, " + name);
}

// Many things at once, on one thread.
asio::awaitable<void> together(llmproc::EventLoop loop) {
    // Coroutines that are wanted together. If one fails the others are cancelled.
    asio::awaitable<std::string> one = after(40ms, "slow");
    asio::awaitable<std::string> two = after(20ms, "fast");
    const auto [first, second] = co_await llmproc::when_all(std::move(one), std::move(two));
    say("when_all: " + first + " and " + second);

    // Any number of them: nothing that a group began outlives its `join`.
    llmproc::TaskGroup group(loop);
    for (const char* name : {"Ada", "Grace", "Edsger"}) {
        group.create_task(greet(name));
    }
    co_await group.join();
}

// What takes too long, or is not wanted any more.
asio::awaitable<void> ended_early(llmproc::EventLoop loop) {
    try {
        co_await llmproc::with_timeout(20ms, llmproc::sleep(1h));
    } catch (const llmproc::Timeout& late) {
        say(std::string("with_timeout: ") + late.what());
    }

    // A task runs whether or not somebody waits for it.
    const llmproc::Task<void> nap = loop.create_task(llmproc::sleep(1h), "nap");
    co_await nap.cancel_and_join();
    say(nap.cancelled() ? "nap: cancelled" : "nap: over");
}

// Takes a while and cannot be awaited; on the loop's thread it would stop the heart.
std::ptrdiff_t count_words(const std::string& text) {
    return std::count(text.begin(), text.end(), ' ') + 1;
}

asio::awaitable<void> on_another_thread() {
    const std::string text = "a loop should never wait";
    const std::ptrdiff_t words = co_await llmproc::run_in_executor(count_words, text);
    say("executor: " + std::to_string(words) + " words");
}

asio::awaitable<void> wait_for_signal() {
    say("ready");
    try {
        co_await llmproc::sleep(24h);
    } catch (const llmproc::Cancelled&) {
        say("interrupted");
        throw;
    }
}

asio::awaitable<void> app(llmproc::LLMProgram program, bool until_signal) {
    const llmproc::EventLoop loop = co_await llmproc::this_loop();

    // Keeps its pace whatever the callback takes; this one counts.
    llmproc::ScheduledCall heartbeat = loop.every(50ms, [beat = 0]() mutable {
        say("heartbeat " + std::to_string(++beat));
    });

    const llmproc::Queue<std::string> questions(8);
    const llmproc::Task<int> worker = loop.create_task(answer(questions, program), "worker");
    co_await questions.push("What is a coroutine?");
    co_await questions.push("What is an event loop?");

    co_await together(loop);
    co_await ended_early(loop);
    co_await on_another_thread();
    if (until_signal) {
        co_await wait_for_signal();
    }

    questions.close();
    const int answered = co_await worker.result();
    heartbeat.cancel();
    say("answers: " + std::to_string(answered));
}

}  // namespace

int main(int argc, char** argv) {
    std::string file = LLMPROC_EXAMPLE_PROGRAM;
    bool until_signal = false;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--until-signal") {
            until_signal = true;
        } else {
            file = argument;
        }
    }
    try {
        // Runs the coroutine on a loop on this thread. SIGINT cancels it; when it has ended, so are
        // the tasks that it left, and only then this returns: 0, or 128 and the signal's number.
        const int status = llmproc::run_main(app(llmproc::LLMProgram::from_toml(file), until_signal)
        );
        say(status == 0 ? "finished" : "ended by signal " + std::to_string(status - 128));
        return status;
    } catch (const llmproc::LLMError& error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
