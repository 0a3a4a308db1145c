/// @file
/// Numbers through a queue from one thread's io_context to another's: ours and Asio's.
#pragma once

#include <cstddef>

namespace llmproc::bench {

/// Items per second from a coroutine on one thread to a coroutine on another.
double queue_throughput(std::size_t items, std::size_t capacity);
/// The same through boost::asio::experimental::concurrent_channel.
double channel_throughput(std::size_t items, std::size_t capacity);

}  // namespace llmproc::bench
