// The code of docs/event-loop.md, run against the scripted server.
#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

boost::asio::awaitable<int> app(llmproc::LLMProgram program) {
    auto process = co_await program.start();
    const llmproc::RunResult result = co_await process.run("Hello!");
    std::cout << result.text() << '\n';
    co_await process.aclose();
    co_return 0;
}

boost::asio::awaitable<int> count_words(std::string text) {
    co_await llmproc::checkpoint();
    std::istringstream words(text);
    co_return static_cast<int>(std::distance(
        std::istream_iterator<std::string>(words),
        std::istream_iterator<std::string>()
    ));
}

int ask(const std::string& question) {
    return llmproc::run_sync(count_words(question));
}

auto ask_too = llmproc::to_sync(count_words);

std::vector<llmproc::SyncLLMProcess> start_many(const llmproc::LLMProgram& program, int count) {
    const llmproc::EventLoop loop;
    std::vector<llmproc::SyncLLMProcess> processes;
    for (int i = 0; i < count; ++i) {
        processes.push_back(program.start_sync(llmproc::SyncOptions().on(loop)));
    }
    return processes;
}

boost::asio::awaitable<void> heartbeat() {
    const llmproc::Logger log("heartbeat");
    for (;;) {
        co_await llmproc::sleep(30s);
        log.info("alive");
    }
}

boost::asio::awaitable<int> with_heartbeat(llmproc::AsyncLLMProcess& process) {
    const llmproc::EventLoop loop = co_await llmproc::this_loop();
    llmproc::TaskGroup group(loop);
    group.create_task(heartbeat(), "heartbeat");
    const llmproc::RunResult result = co_await process.run("Hello!");
    co_await group.cancel_and_join();
    co_return result.api_calls();
}

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

boost::asio::awaitable<std::size_t> letters_of(std::string path) {
    const std::string text = co_await llmproc::run_in_executor(read_file, std::move(path));
    co_return text.size();
}

boost::asio::awaitable<int> sum_of(llmproc::Queue<int> numbers) {
    int sum = 0;
    while (const std::optional<int> number = co_await numbers.pop()) {
        sum += *number;
    }
    co_return sum;
}

boost::asio::awaitable<int> beating_app(llmproc::LLMProgram program) {
    auto process = co_await program.start();
    const int calls = co_await with_heartbeat(process);
    co_await process.aclose();
    co_return calls;
}

int failures = 0;

void require(bool holds, const char* what) {
    if (!holds) {
        std::cerr << "not so: " << what << '\n';
        ++failures;
    }
}

}  // namespace

int main(int, char** argv) {
    llmproc::testing::ScriptedServer server;
    server.handle(llmproc::testing::openai_chat_echo);
    const std::string text =
        "[model]\nname = \"m\"\nprovider = \"openai_compatible\"\nbase_url = \"" +
        server.base_url() + "\"\napi_key_env = \"\"\n[connection]\nca_file = \"" +
        server.ca_file() + "\"\n";
    const llmproc::LLMProgram program = llmproc::LLMProgram::from_toml_string(text);

    require(llmproc::run_main(app(program)) == 0, "a program is a coroutine");
    require(llmproc::run_main(app(program)) == 0, "and may be run again");
    require(ask("one two three") == 3, "run_sync returns the value");
    require(ask_too("one two") == 2, "to_sync makes a function");
    {
        const std::size_t before = server.stats().accepts;
        std::vector<llmproc::SyncLLMProcess> processes = start_many(program, 10);
        for (llmproc::SyncLLMProcess& process : processes) {
            process.run("hi");
        }
        require(server.stats().accepts == before + 1, "processes on one loop share connections");
    }
    require(llmproc::run_main(beating_app(program)) == 1, "tasks run beside calls");
    require(llmproc::run_sync(letters_of(argv[0])) > 0, "blocking functions run elsewhere");
    llmproc::Queue<int> numbers(8);
    const llmproc::Task<int> sum = llmproc::EventLoop::global().create_task(sum_of(numbers));
    for (int i = 1; i <= 100; ++i) {
        numbers.push_blocking(i);
    }
    numbers.close();
    require(sum.get() == 5050, "queues carry everything");
    return failures == 0 ? 0 : 1;
}
