// The library as its users see it: a program file, processes, typed calls.
#include <llmproc/llmproc.hpp>
#include "client.hpp"
#include "replies.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <atomic>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace llmproc::bench {

namespace asio = boost::asio;

namespace {

void rethrow(const std::exception_ptr& error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

void check_text(const std::string& text, const Usage& usage) {
    if (text.size() < 20 || usage.output_tokens != 16) {
        throw std::runtime_error("the answer was not understood");
    }
}

/// Calls on the thread that runs the io_context.
class AsyncClient : public Client {
public:
    explicit AsyncClient(
        const Load& load,
        std::string_view codec = "openai_chat",
        std::string_view prefix = ""
    )
        : in_flight_(load.in_flight),
          program_(LLMProgram::from_toml_string(program_text(load, codec, prefix), "bench.toml")) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        left_ = calls;
        latencies_ = &latencies;
        for (std::uint64_t i = 0; i < in_flight_; ++i) {
            asio::co_spawn(context_, worker(i), rethrow);
        }
        context_.restart();
        context_.run();
    }

protected:
    virtual asio::awaitable<void> worker(std::uint64_t number) = 0;

    bool take() { return left_ > 0 && left_-- > 0; }
    std::uint64_t take_all() { return std::exchange(left_, 0); }
    void note(std::chrono::steady_clock::time_point begin) {
        latencies_->push_back(std::chrono::steady_clock::now() - begin);
    }
    AsyncLLMProcess start() { return program_.start(context_.get_executor()); }
    std::uint64_t in_flight() const { return in_flight_; }

private:
    asio::io_context context_;
    std::uint64_t in_flight_;
    LLMProgram program_;
    std::uint64_t left_ = 0;
    Latencies* latencies_ = nullptr;
};

/// A conversation per call in flight; each call begins anew.
class AsyncRun final : public AsyncClient {
public:
    explicit AsyncRun(const Load& load) : AsyncClient(load) {
        for (std::uint64_t i = 0; i < in_flight(); ++i) {
            processes_.push_back(start());
        }
    }

private:
    asio::awaitable<void> worker(std::uint64_t number) override {
        AsyncLLMProcess& process = processes_[number];
        while (take()) {
            co_await process.reset();
            const auto begin = std::chrono::steady_clock::now();
            std::string text(prompt);
            const RunResult result = co_await process.run(std::move(text));
            check_text(result.text(), result.usage());
            note(begin);
        }
    }

    std::vector<AsyncLLMProcess> processes_;
};

/// Stateless exchanges of one process.
class AsyncComplete final : public AsyncClient {
public:
    AsyncComplete(const Load& load, std::string_view codec)
        : AsyncClient(load, codec),
          process_(start()) {}

private:
    asio::awaitable<void> worker(std::uint64_t) override {
        while (take()) {
            const auto begin = std::chrono::steady_clock::now();
            ChatRequest request{std::string(prompt)};
            const ChatReply reply = co_await process_.complete(std::move(request));
            check_text(reply.text(), reply.usage);
            note(begin);
        }
    }

    AsyncLLMProcess process_;
};

/// One conversation that grows by a turn of 4 KB per call: the warm-up makes it long.
class HistoryRun final : public AsyncClient {
public:
    explicit HistoryRun(const Load& load) : AsyncClient(load), process_(start()) {}

private:
    asio::awaitable<void> worker(std::uint64_t) override {
        while (take()) {
            std::string text = conversation_text(conversation_turn_bytes);
            const auto begin = std::chrono::steady_clock::now();
            const RunResult result = co_await process_.run(std::move(text));
            check_text(result.text(), result.usage());
            note(begin);
        }
    }

    AsyncLLMProcess process_;
};

/// One stream of as many tokens as there are calls, taken event by event.
class StreamClient final : public AsyncClient {
public:
    StreamClient(const Load& load, std::string_view codec, std::string_view prefix)
        : AsyncClient(load, codec, prefix),
          process_(start()) {}

private:
    asio::awaitable<void> worker(std::uint64_t) override {
        const std::uint64_t wanted = take_all();
        co_await process_.reset();
        Stream stream = co_await process_.stream("tokens=" + std::to_string(wanted));
        std::uint64_t tokens = 0;
        bool stopped = false;
        for (;;) {
            const std::optional<StreamEvent> event = co_await stream.next();
            if (!event) {
                break;
            }
            tokens += event->text() == stream_word ? 1U : 0U;
            stopped = stopped || event->type == StreamEvent::Type::stop;
        }
        if (tokens != wanted || !stopped) {
            throw std::runtime_error("the stream was not understood");
        }
    }

    AsyncLLMProcess process_;
};

/// Blocking calls; the loop runs on a thread of its own.
class SyncRun final : public Client {
public:
    explicit SyncRun(const Load& load)
        : process_(LLMProgram::from_toml_string(program_text(load), "bench.toml").start_sync()) {}

    void run(std::uint64_t calls, Latencies& latencies) override {
        for (std::uint64_t i = 0; i < calls; ++i) {
            // Beside the measured time: a second trip to the loop would count twice.
            process_.reset();
            const auto begin = std::chrono::steady_clock::now();
            const RunResult result = process_.run(std::string(prompt));
            latencies.push_back(std::chrono::steady_clock::now() - begin);
            check_text(result.text(), result.usage());
        }
    }

private:
    SyncLLMProcess process_;
};

/// A thread per call in flight, all of them on one process and one loop.
class SyncThreads final : public Client {
public:
    explicit SyncThreads(const Load& load)
        : in_flight_(load.in_flight),
          process_(LLMProgram::from_toml_string(program_text(load), "bench.toml").start_sync()) {}

    void run(std::uint64_t calls, Latencies& /*latencies*/) override {
        std::atomic<std::int64_t> left(static_cast<std::int64_t>(calls));
        std::vector<std::thread> threads;
        for (std::uint64_t i = 0; i < in_flight_; ++i) {
            threads.emplace_back([&] {
                while (left.fetch_sub(1) > 0) {
                    const ChatReply reply = process_.complete(ChatRequest{std::string(prompt)});
                    check_text(reply.text(), reply.usage);
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
    }

private:
    std::uint64_t in_flight_;
    SyncLLMProcess process_;
};

}  // namespace

std::unique_ptr<Client> make_async_run(const Load& load) {
    return std::make_unique<AsyncRun>(load);
}

std::unique_ptr<Client> make_async_complete(const Load& load, std::string_view codec) {
    return std::make_unique<AsyncComplete>(load, codec);
}

std::unique_ptr<Client> make_history_run(const Load& load) {
    return std::make_unique<HistoryRun>(load);
}

std::unique_ptr<Client> make_stream(
    const Load& load,
    std::string_view codec,
    std::string_view prefix
) {
    return std::make_unique<StreamClient>(load, codec, prefix);
}

std::unique_ptr<Client> make_sync_run(const Load& load) {
    return std::make_unique<SyncRun>(load);
}

std::unique_ptr<Client> make_sync_threads(const Load& load) {
    return std::make_unique<SyncThreads>(load);
}

}  // namespace llmproc::bench
