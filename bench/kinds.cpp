#include "client.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

struct Kind {
    std::string_view name;
    std::unique_ptr<Client> (*make)(const Load& load);
};

constexpr std::array<Kind, 22> kinds{{
    {"openssl", make_openssl},
    {"openssl-connect-full", make_openssl_connect_full},
    {"openssl-connect-resumed", make_openssl_connect_resumed},
    {"curl-easy", make_curl_easy},
    {"curl-multi-poll", make_curl_multi_poll},
    {"curl-multi-socket", make_curl_multi_socket},
    {"transport", make_transport},
    {"connect-full", make_connect_full},
    {"connect-resumed", make_connect_resumed},
    {"async-run", make_async_run},
    {"async-complete", make_async_complete},
    {"sync-run", make_sync_run},
    {"sync-threads", make_sync_threads},
    {"run-sync", make_run_sync},
    {"posted-wait", make_posted_wait},
    {"posted-bare", make_posted_bare},
    {"task-await", make_task_await},
    {"spawn-await", make_spawn_await},
    {"loop-start", make_loop_start},
    {"thread-start", make_thread_start},
    {"queue", make_queue},
    {"channel", make_channel},
}};

}  // namespace

std::unique_ptr<Client> make_client(std::string_view kind, const Load& load) {
    const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& candidate) {
        return candidate.name == kind;
    });
    if (found == kinds.end()) {
        throw std::runtime_error("unknown kind of client: " + std::string(kind));
    }
    return found->make(load);
}

void one_by_one(std::uint64_t calls, Latencies& latencies, const std::function<void()>& call) {
    for (std::uint64_t i = 0; i < calls; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        call();
        latencies.push_back(std::chrono::steady_clock::now() - begin);
    }
}

}  // namespace llmproc::bench
