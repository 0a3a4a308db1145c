/// @file
/// The ways to call a model that are measured against each other.
#pragma once

#include "workload.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

namespace llmproc::bench {

/// How long each call took; filled by the clients that make one call at a time.
using Latencies = std::vector<std::chrono::nanoseconds>;

/// Makes calls over connections that stay open between two `run`s.
class Client {
public:
    Client() = default;
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    virtual ~Client() = default;

    virtual void run(std::uint64_t calls, Latencies& latencies) = 0;
};

/// Throws std::runtime_error if there is no such kind; `kinds.cpp` has the list.
std::unique_ptr<Client> make_client(std::string_view kind, const Load& load);

std::unique_ptr<Client> make_openssl(const Load& load);
std::unique_ptr<Client> make_curl_easy(const Load& load);
std::unique_ptr<Client> make_curl_multi_poll(const Load& load);
std::unique_ptr<Client> make_curl_multi_socket(const Load& load);
std::unique_ptr<Client> make_transport(const Load& load);
std::unique_ptr<Client> make_connect_full(const Load& load);
std::unique_ptr<Client> make_connect_resumed(const Load& load);
std::unique_ptr<Client> make_openssl_connect_full(const Load& load);
std::unique_ptr<Client> make_openssl_connect_resumed(const Load& load);
std::unique_ptr<Client> make_async_run(const Load& load);
std::unique_ptr<Client> make_async_complete(const Load& load, std::string_view codec);
std::unique_ptr<Client> make_history_run(const Load& load);
/// `prefix`: how the server cuts the stream (stream_server.hpp). A call is a token.
std::unique_ptr<Client> make_stream(
    const Load& load,
    std::string_view codec,
    std::string_view prefix
);
std::unique_ptr<Client> make_sync_run(const Load& load);
std::unique_ptr<Client> make_sync_threads(const Load& load);
// These ask no server.
/// Requests of a conversation of `load.in_flight` turns that was encoded before.
std::unique_ptr<Client> make_encode(const Load& load, std::string_view codec);
/// Copies of such a request's body.
std::unique_ptr<Client> make_body_copy(const Load& load, std::string_view codec);
std::unique_ptr<Client> make_run_sync(const Load& load);
std::unique_ptr<Client> make_posted_wait(const Load& load);
std::unique_ptr<Client> make_posted_bare(const Load& load);
std::unique_ptr<Client> make_task_await(const Load& load);
std::unique_ptr<Client> make_spawn_await(const Load& load);
std::unique_ptr<Client> make_loop_start(const Load& load);
std::unique_ptr<Client> make_thread_start(const Load& load);
std::unique_ptr<Client> make_queue(const Load& load);
std::unique_ptr<Client> make_channel(const Load& load);

/// Calls `call` `calls` times, one after the other, and notes how long each took.
void one_by_one(std::uint64_t calls, Latencies& latencies, const std::function<void()>& call);

}  // namespace llmproc::bench
