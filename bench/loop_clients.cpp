// The loop, its tasks and its bridge, each beside what somebody would write by hand.
#include <llmproc/event_loop.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/task.hpp>
#include "client.hpp"
#include "queue_clients.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

namespace llmproc::bench {

namespace asio = boost::asio;

namespace {

constexpr int answer = 42;

asio::awaitable<void> nothing() {
    co_return;
}

asio::awaitable<int> compute() {
    co_return answer;
}

void check(int result) {
    if (result != answer) {
        throw std::runtime_error("a coroutine returned something else");
    }
}

enum class Reactor { none, ready };

/// The least that a thread must do to have something done on a loop and wait for it. A loop that
/// talks to servers has a reactor, which is woken up another way than one that has none.
class PostedWait final : public Client {
public:
    explicit PostedWait(Reactor reactor) {
        if (reactor == Reactor::ready) {
            makes_the_reactor_.emplace(context_);
        }
        thread_ = std::thread([this] { context_.run(); });
    }
    ~PostedWait() override {
        guard_.reset();
        thread_.join();
    }

    void run(std::uint64_t calls, Latencies& latencies) override {
        one_by_one(calls, latencies, [this] {
            Done done;
            asio::post(context_, [&done] {
                const std::lock_guard lock(done.mutex);
                done.reached = true;
                done.changed.notify_one();
            });
            std::unique_lock lock(done.mutex);
            done.changed.wait(lock, [&done] { return done.reached; });
        });
    }

private:
    struct Done {
        std::mutex mutex;
        std::condition_variable changed;
        bool reached = false;
    };

    asio::io_context context_;
    asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
    std::optional<asio::ip::tcp::socket> makes_the_reactor_;
    std::thread thread_;
};

class RunSync final : public Client {
public:
    explicit RunSync(const Load& /*load*/) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        one_by_one(calls, latencies, [this] { run_sync(loop_, nothing()); });
    }

private:
    EventLoop loop_;
};

/// A child coroutine that is begun and awaited, all on the thread of a loop of ours.
class SpawnAwait final : public Client {
public:
    explicit SpawnAwait(const Load& /*load*/) {}

    void run(std::uint64_t calls, Latencies& /*latencies*/) override {
        loop_.create_task(spawn_and_await(calls)).get();
    }

private:
    static asio::awaitable<void> spawn_and_await(std::uint64_t calls) {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        for (std::uint64_t i = 0; i < calls; ++i) {
            const int result = co_await asio::co_spawn(executor, compute(), asio::use_awaitable);
            check(result);
        }
    }

    EventLoop loop_;
};

class TaskAwait final : public Client {
public:
    explicit TaskAwait(const Load& /*load*/) {}

    void run(std::uint64_t calls, Latencies& /*latencies*/) override {
        loop_.create_task(create_and_await(calls)).get();
    }

private:
    static asio::awaitable<void> create_and_await(std::uint64_t calls) {
        const EventLoop loop = co_await this_loop();
        for (std::uint64_t i = 0; i < calls; ++i) {
            const Task<int> task = loop.create_task(compute());
            const int result = co_await task.result();
            check(result);
        }
    }

    EventLoop loop_;
};

/// A thread that runs an io_context which is ready for sockets.
class ThreadStart final : public Client {
public:
    explicit ThreadStart(const Load& /*load*/) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        one_by_one(calls, latencies, [] {
            asio::io_context context;
            auto guard = asio::make_work_guard(context);
            const asio::ip::tcp::socket makes_the_reactor(context);
            std::thread thread([&context] { context.run(); });
            guard.reset();
            thread.join();
        });
    }
};

class LoopStart final : public Client {
public:
    explicit LoopStart(const Load& /*load*/) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        one_by_one(calls, latencies, [] { const EventLoop loop; });
    }
};

/// A call is an item that goes from one thread to another.
class Items final : public Client {
public:
    using Throughput = double (*)(std::size_t items, std::size_t capacity);
    explicit Items(Throughput measure) : measure_(measure) {}

    void run(std::uint64_t calls, Latencies& /*latencies*/) override {
        constexpr std::size_t capacity = 1024;
        measure_(calls, capacity);
    }

private:
    Throughput measure_;
};

}  // namespace

std::unique_ptr<Client> make_posted_wait(const Load& /*load*/) {
    return std::make_unique<PostedWait>(Reactor::ready);
}

std::unique_ptr<Client> make_posted_bare(const Load& /*load*/) {
    return std::make_unique<PostedWait>(Reactor::none);
}

std::unique_ptr<Client> make_run_sync(const Load& load) {
    return std::make_unique<RunSync>(load);
}

std::unique_ptr<Client> make_spawn_await(const Load& load) {
    return std::make_unique<SpawnAwait>(load);
}

std::unique_ptr<Client> make_task_await(const Load& load) {
    return std::make_unique<TaskAwait>(load);
}

std::unique_ptr<Client> make_thread_start(const Load& load) {
    return std::make_unique<ThreadStart>(load);
}

std::unique_ptr<Client> make_loop_start(const Load& load) {
    return std::make_unique<LoopStart>(load);
}

std::unique_ptr<Client> make_queue(const Load& /*load*/) {
    return std::make_unique<Items>(queue_throughput);
}

std::unique_ptr<Client> make_channel(const Load& /*load*/) {
    return std::make_unique<Items>(channel_throughput);
}

}  // namespace llmproc::bench
