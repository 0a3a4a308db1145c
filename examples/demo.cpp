// The main job from end to end: a program file drives a synchronous and an asynchronous process
// over persistent, verified HTTPS connections. Each part says what it proves and checks it.
//
// Run:   sh cmake/demo.sh                  against a local TLS server that this program starts
//        sh cmake/demo.sh my_program.toml  against whatever server that file names

#include <llmproc/llmproc.hpp>
#include <llmproc/testing/openai.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;
using llmproc::testing::ScriptedServer;
using llmproc::testing::ServerStats;

namespace {

constexpr int sync_runs = 5;
constexpr int async_runs = 3;

/// Prints claims and remembers whether all of them held.
class Claims {
public:
    void check(bool holds, const std::string& claim) {
        std::cout << (holds ? "    [ok]     " : "    [FAILED] ") << claim << '\n';
        failed_ = failed_ || !holds;
    }
    bool all_hold() const { return !failed_; }

private:
    bool failed_ = false;
};

/// What a part of the demo works with. Without a server of our own there are no counters of the
/// other side, and a provider may close connections as it likes.
struct Scene {
    llmproc::LLMProgram program;
    ScriptedServer* server;
    Claims& claims;

    int concurrent() const { return server != nullptr ? 64 : 8; }
    ServerStats counters() const { return server != nullptr ? server->stats() : ServerStats(); }
    /// Server and client must agree: `requests` requests since `before` over `connections`.
    void check_server(const ServerStats& before, int requests, int connections) const {
        if (server == nullptr) {
            return;
        }
        const ServerStats now = server->stats();
        const auto counted = [](std::size_t is, std::size_t was, int expected) {
            return is - was == static_cast<std::size_t>(expected);
        };
        claims.check(
            counted(now.requests, before.requests, requests) &&
                counted(now.accepts, before.accepts, connections) &&
                counted(now.handshakes, before.handshakes, connections),
            "the server counted " + std::to_string(now.requests - before.requests) +
                " requests, accepted " + std::to_string(now.accepts - before.accepts) +
                " connection(s), completed " + std::to_string(now.handshakes - before.handshakes) +
                " TLS handshake(s)"
        );
    }
};

/// Background work of a process: beats between the calls and notes its thread.
class Heart {
public:
    void beat() {
        const std::lock_guard lock(mutex_);
        ++beats_;
        threads_.insert(std::this_thread::get_id());
        changed_.notify_all();
    }
    /// Whether another beat comes while nobody calls the process.
    bool beats_on() {
        std::unique_lock lock(mutex_);
        const int now = beats_;
        return changed_.wait_for(lock, 30s, [&] { return beats_ > now; });
    }
    bool only_on(std::thread::id thread) {
        const std::lock_guard lock(mutex_);
        return threads_ == std::set<std::thread::id>{thread};
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<std::thread::id> threads_;
    int beats_ = 0;
};

asio::awaitable<void> keep_beating(std::shared_ptr<Heart> heart) {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    asio::steady_timer timer(executor);
    for (;;) {  // until the process is closed, which cancels the wait
        timer.expires_after(1ms);
        co_await timer.async_wait(asio::use_awaitable);
        heart->beat();
    }
}

void sync_part(const Scene& scene) {
    std::cout << "\n1. SyncLLMProcess: blocking calls, a private event loop on a thread\n";
    const ServerStats before = scene.counters();
    llmproc::SyncLLMProcess process = scene.program.start_sync();
    const std::thread::id loop = process.loop().thread_id();
    const auto heart = std::make_shared<Heart>();
    process.spawn(keep_beating(heart));

    int answered = 0;
    bool alive = true;
    for (int i = 1; i <= sync_runs; ++i) {
        const std::string question = "Question " + std::to_string(i) + ": what is " +
                                     std::to_string(i) + " squared?";
        const llmproc::RunResult result = process.run(question);
        std::cout << "    > " << question << "\n    < " << result.text() << '\n';
        answered += result.text().empty() ? 0 : 1;
        alive = heart->beats_on() && alive;
    }
    std::cout << "    > Now as a stream, please.\n    < ";
    std::string streamed;
    int pieces = 0;
    for (const llmproc::StreamEvent& event : process.stream("Now as a stream, please.")) {
        std::cout << event.text() << (event.text().empty() ? "" : "|") << std::flush;
        streamed += event.text();
        pieces += event.text().empty() ? 0 : 1;
    }
    std::cout << "\n";

    const llmproc::ProcessStats stats = process.stats();
    Claims& claims = scene.claims;
    claims.check(
        answered == sync_runs && !streamed.empty(),
        std::to_string(answered) + " answers and one stream of " + std::to_string(pieces) +
            " pieces; the conversation has " + std::to_string(process.messages().size()) +
            " messages"
    );
    claims.check(
        scene.server == nullptr || (stats.connections_opened == 1 && stats.tls_handshakes == 1),
        std::to_string(stats.requests) + " calls, " + std::to_string(stats.connections_opened) +
            " connection(s) opened, " + std::to_string(stats.tls_handshakes) +
            " TLS handshake(s), " + std::to_string(stats.connections_reused) + " times reused"
    );
    scene.check_server(before, sync_runs + 1, 1);
    claims.check(
        alive && heart->only_on(loop) && process.loop().thread_id() == loop,
        "background work went on between the calls, always on the same loop thread"
    );
    const llmproc::ShutdownReport report = process.close();
    claims.check(report.drained, "closed: everything ended, the loop's thread is joined");
}

asio::awaitable<void> converse(Scene scene, int& answered, bool& same_thread) {
    const std::thread::id own = std::this_thread::get_id();
    llmproc::AsyncLLMProcess process = co_await scene.program.start();
    for (int i = 1; i <= async_runs; ++i) {
        const std::string question = "Question " + std::to_string(i) + ", from a coroutine.";
        const llmproc::RunResult result = co_await process.run(question);
        std::cout << "    > " << question << "\n    < " << result.text() << '\n';
        answered += result.text().empty() ? 0 : 1;
        same_thread = same_thread && std::this_thread::get_id() == own;
    }
    co_await process.aclose();
}

void run_all(asio::io_context& context) {
    context.restart();
    context.run();
}

void rethrow(const std::exception_ptr& error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

void async_part(const Scene& scene, asio::io_context& context) {
    std::cout << "\n2. AsyncLLMProcess: coroutines on this program's own io_context\n";
    const ServerStats before = scene.counters();
    int answered = 0;
    bool same_thread = true;
    asio::co_spawn(context, converse(scene, answered, same_thread), rethrow);
    run_all(context);

    const llmproc::ConnectionStats pool = llmproc::connection_stats(context.get_executor());
    scene.claims.check(
        answered == async_runs && same_thread,
        std::to_string(answered) + " answers, all on this thread; run() returned by itself with " +
            std::to_string(pool.idle) + " connection(s) kept for later"
    );
    scene.check_server(before, async_runs, 1);
}

asio::awaitable<void> ask_once(llmproc::LLMProgram program, int number, int& answered) {
    llmproc::AsyncLLMProcess process = co_await program.start();
    const std::string question = "Who is number " + std::to_string(number) + "?";
    const llmproc::RunOptions options = llmproc::RunOptions().timeout(120s);
    const llmproc::RunResult result = co_await process.run(question, options);
    answered += result.text().empty() ? 0 : 1;
    co_await process.aclose();
}

void concurrent_part(const Scene& scene, asio::io_context& context) {
    const int calls = scene.concurrent();
    std::cout << "\n3. " << calls << " processes of one program at the same time on one thread\n";
    const ServerStats before = scene.counters();
    const llmproc::ConnectionStats pool = llmproc::connection_stats(context.get_executor());
    if (scene.server != nullptr) {
        std::cout << "    The server answers only when it holds " << calls << " open requests.\n";
        scene.server->hold_until_open_requests(static_cast<std::size_t>(calls));
    }
    int answered = 0;
    for (int i = 1; i <= calls; ++i) {
        asio::co_spawn(context, ask_once(scene.program, i, answered), rethrow);
    }
    run_all(context);

    const llmproc::ConnectionStats now = llmproc::connection_stats(context.get_executor());
    scene.claims.check(
        answered == calls,
        std::to_string(answered) + " answers; the pool opened " +
            std::to_string(now.opened - pool.opened) + " connections and reused " +
            std::to_string(now.reused - pool.reused)
    );
    if (scene.server != nullptr) {
        const std::size_t most = scene.server->stats().peak_open_requests;
        scene.claims.check(
            most >= static_cast<std::size_t>(calls),
            "the server had " + std::to_string(most) + " requests open at once"
        );
        // One connection of part 2 was idle and is among those in use.
        scene.check_server(before, calls, calls - 1);
    }
}

/// A program file for our own server; removed at the end.
class ProgramFile {
public:
    explicit ProgramFile(const ScriptedServer& server)
        : path_(
              fs::temp_directory_path() / ("llmproc-demo-" + std::to_string(getpid()) + ".toml")
          ) {
        std::ofstream(path_) << "[model]\n"
                             << "name = \"demo-model\"\n"
                             << "provider = \"openai_compatible\"\n"
                             << "base_url = \"" << server.base_url() << "\"\n\n"
                             << "[prompt]\n"
                             << "system = \"Answer in one short sentence.\"\n\n"
                             << "[connection]\n"
                             << "ca_file = \"" << server.ca_file() << "\"\n";
    }
    ProgramFile(const ProgramFile&) = delete;
    ProgramFile& operator=(const ProgramFile&) = delete;
    ~ProgramFile() {
        std::error_code ignored;
        fs::remove(path_, ignored);
    }
    const fs::path& path() const { return path_; }

private:
    fs::path path_;
};

void show(const fs::path& file) {
    std::ifstream text(file);
    std::cout << "The program file " << file.string() << ":\n\n";
    for (std::string line; std::getline(text, line);) {
        std::cout << "    " << line << '\n';
    }
}

bool run_parts(const fs::path& file, ScriptedServer* server) {
    show(file);
    Claims claims;
    const Scene scene{llmproc::LLMProgram::from_toml(file), server, claims};
    sync_part(scene);
    asio::io_context context;
    async_part(scene, context);
    concurrent_part(scene, context);
    std::cout << (claims.all_hold() ? "\nAll of it holds.\n" : "\nNOT all of it holds.\n");
    return claims.all_hold();
}

bool run_demo(int argc, char** argv) {
    if (argc > 1) {
        return run_parts(argv[1], nullptr);
    }
    ScriptedServer server;
    server.handle(llmproc::testing::openai_chat_echo);
    std::cout << "A local HTTPS server plays the provider: it echoes what it is told. Its\n"
                 "certificate was made for this run and is verified like any other.\n\n";
    const ProgramFile file(server);
    return run_parts(file.path(), &server);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run_demo(argc, argv) ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return EXIT_FAILURE;
    }
}
