#include "client.hpp"
#include "stream_server.hpp"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <string>

namespace llmproc::bench {

namespace {

using Make = std::unique_ptr<Client> (*)(const Load& load);

struct Kind {
    std::string_view name;
    Make make;
};

std::unique_ptr<Client> make_chat_complete(const Load& load) {
    return make_async_complete(load, "openai_chat");
}

constexpr std::array<Kind, 23> kinds{{
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
    {"async-complete", make_chat_complete},
    {"run-history", make_history_run},
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

/// Kinds that exist for every codec, whose name follows: "encode-gemini".
struct CodecKind {
    std::string_view prefix;
    std::unique_ptr<Client> (*make)(const Load& load, std::string_view codec);
};

std::unique_ptr<Client> make_bulk_stream(const Load& load, std::string_view codec) {
    return make_stream(load, codec, bulk_prefix);
}

std::unique_ptr<Client> make_coalesced_stream(const Load& load, std::string_view codec) {
    return make_stream(load, codec, coalesced_prefix);
}

constexpr std::array<CodecKind, 5> codec_kinds{{
    {"complete-", make_async_complete},
    {"stream-bulk-", make_bulk_stream},
    {"stream-coalesced-", make_coalesced_stream},
    {"encode-", make_encode},
    {"copy-", make_body_copy},
}};

}  // namespace

std::unique_ptr<Client> make_client(std::string_view kind, const Load& load) {
    const auto found = std::find_if(kinds.begin(), kinds.end(), [&](const Kind& candidate) {
        return candidate.name == kind;
    });
    if (found != kinds.end()) {
        return found->make(load);
    }
    for (const CodecKind& candidate : codec_kinds) {
        if (kind.starts_with(candidate.prefix)) {
            return candidate.make(load, kind.substr(candidate.prefix.size()));
        }
    }
    throw std::runtime_error("unknown kind of client: " + std::string(kind));
}

void one_by_one(std::uint64_t calls, Latencies& latencies, const std::function<void()>& call) {
    for (std::uint64_t i = 0; i < calls; ++i) {
        const auto begin = std::chrono::steady_clock::now();
        call();
        latencies.push_back(std::chrono::steady_clock::now() - begin);
    }
}

}  // namespace llmproc::bench
