#include "queue_clients.hpp"

#include <llmproc/queue.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/concurrent_channel.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <stdexcept>
#include <thread>
#include <utility>

namespace llmproc::bench {

namespace asio = boost::asio;

namespace {

using Number = std::uint64_t;
using Channel = asio::experimental::concurrent_channel<void(boost::system::error_code, Number)>;

asio::awaitable<void> produce(Queue<Number> queue, std::size_t items) {
    for (Number i = 0; i != items; ++i) {
        co_await queue.push(i);
    }
    queue.close();
}

asio::awaitable<void> consume(Queue<Number> queue, Number& sum) {
    while (auto item = co_await queue.pop()) {
        sum += *item;
    }
}

asio::awaitable<void> send(Channel& channel, std::size_t items) {
    for (Number i = 0; i != items; ++i) {
        co_await channel.async_send(boost::system::error_code(), i, asio::use_awaitable);
    }
}

/// By count, so that nothing depends on what closing does to items on their way.
asio::awaitable<void> receive(Channel& channel, std::size_t items, Number& sum) {
    for (std::size_t i = 0; i != items; ++i) {
        const Number item = co_await channel.async_receive(asio::use_awaitable);
        sum += item;
    }
}

void rethrow(std::exception_ptr error) {
    if (error) {
        std::rethrow_exception(error);
    }
}

/// Runs both sides, each on a thread of its own.
double measure(asio::io_context& from, asio::io_context& to, std::size_t items, const Number& sum) {
    const auto start = std::chrono::steady_clock::now();
    std::thread producer([&from] { from.run(); });
    to.run();
    producer.join();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (sum != static_cast<Number>(items) * (items - 1) / 2) {
        throw std::runtime_error("items were lost on their way");
    }
    return static_cast<double>(items) / took.count();
}

}  // namespace

double queue_throughput(std::size_t items, std::size_t capacity) {
    asio::io_context from(1);
    asio::io_context to(1);
    const Queue<Number> queue(capacity);
    Number sum = 0;
    asio::co_spawn(from, produce(queue, items), rethrow);
    asio::co_spawn(to, consume(queue, sum), rethrow);
    return measure(from, to, items, sum);
}

double channel_throughput(std::size_t items, std::size_t capacity) {
    asio::io_context from(1);
    asio::io_context to(1);
    Channel channel(to, capacity);
    Number sum = 0;
    asio::co_spawn(from, send(channel, items), rethrow);
    asio::co_spawn(to, receive(channel, items, sum), rethrow);
    return measure(from, to, items, sum);
}

}  // namespace llmproc::bench
