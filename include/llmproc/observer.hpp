/// @file
/// Events of calls, for logs, metrics and traces.
#pragma once

#include <llmproc/context_map.hpp>
#include <llmproc/error.hpp>
#include <llmproc/export.hpp>
#include <llmproc/usage.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace llmproc {

/// What a call has just done.
enum class CallStep {
    wait,        ///< Waited: `stage` is queue, rate_limit, pool or consumer.
    dns,         ///< Looked up the host; `cached` if no query was needed.
    connect,     ///< Made a TCP connection.
    proxy,       ///< Opened a tunnel through a proxy.
    tls,         ///< Shook hands; `resumed` if an earlier TLS session was taken up again.
    reuse,       ///< Took a kept-alive connection: no dns, connect and tls.
    request,     ///< Sent a request; `replaced` if it was sent anew on another connection.
    first_byte,  ///< Got the complete header of an answer.
    retry,       ///< An attempt failed and is repeated after `delay`.
    done,        ///< The call has ended.
};

/// The step's name, e.g. "first_byte".
LLMPROC_API std::string_view to_string(CallStep step) noexcept;

/// One event. It holds no content, no key and no header.
/// Lifetime: the views are valid during `Observer::on_event` only.
struct CallEvent {
    CallEvent() = default;

    CallStep step = CallStep::done;
    std::uint64_t call = 0;     ///< Number of the call in this program: joins its events.
    int attempt = 0;            ///< From 1; 0 before the first.
    Stage stage = Stage::none;  ///< Of a wait, and of what failed.
    std::chrono::nanoseconds duration{0};  ///< Of this step; of the whole call with `done`.
    std::optional<Errc> error;             ///< The step failed; set with `retry` too.

    std::string_view operation;       ///< "chat", "embeddings" and so on: gen_ai.operation.name
    std::string_view provider;        ///< gen_ai.provider.name
    std::string_view model;           ///< gen_ai.request.model
    std::string_view server_address;  ///< server.address
    std::uint16_t server_port = 0;    ///< server.port

    bool streaming = false;               ///< The answer is asked for as a stream.
    bool cached = false;                  ///< dns
    bool resumed = false;                 ///< tls
    bool replaced = false;                ///< request
    std::string_view tls_version;         ///< tls: "TLSv1.3"
    std::string_view peer_address;        ///< connect: network.peer.address
    std::uint64_t bytes = 0;              ///< request: sent bytes of header and body.
    int status = 0;                       ///< first_byte, retry, done: http.response.status_code
    std::chrono::microseconds delay{0};   ///< retry
    std::string_view request_id;          ///< done: the provider's id of it, for its support
    const ContextMap* context = nullptr;  ///< What accompanies the call; null if nothing does.
    const Usage* usage = nullptr;         ///< done: gen_ai.usage.*; null if the call failed.
};

/// Is told what calls do. Attached by `LLMProgram::with_observer`.
///
/// Called on the loop that runs the call: it must return soon, must not block and must not throw.
/// Thread safety: processes on several loops call it at the same time.
class LLMPROC_API Observer {
public:
    Observer() = default;
    Observer(const Observer&) = delete;
    Observer& operator=(const Observer&) = delete;
    virtual ~Observer();

    virtual void on_event(const CallEvent& event) noexcept = 0;
};

}  // namespace llmproc
