/// @file
/// What a process can do, once: the coroutines that the asynchronous and the blocking handle both
/// run to their end. They run on the process's strand.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/embeddings.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/run_result.hpp>
#include "process/process_core.hpp"
#include "process/stream_state.hpp"
#include "process/typed_answer.hpp"

#include <boost/asio/awaitable.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace llmproc {

/// What a call brings back; written on the strand, read by the caller after the end.
template <typename T>
struct Outcome {
    std::optional<T> value;
    Diagnostics note;
};

/// A call ready to be started, on either side of the bridge.
template <typename T>
struct Operation {
    std::shared_ptr<async::CallContext> context;
    std::function<boost::asio::awaitable<void>()> body;
    std::shared_ptr<Outcome<T>> outcome;
};

struct Nothing {};

/// What a run does when a stream holds the slot.
enum class WhenStreaming {
    fail,  ///< Throw Errc::busy: on one thread the stream could never be read meanwhile.
    wait,  ///< Queue behind it: another thread reads it.
};

// Each registers its call at once, so that `close` cannot miss it.
// They throw ProcessClosed and Errc::loop_closed.
/// With `typed` the answer must be a value of its type.
Operation<RunResult> make_run(
    const std::shared_ptr<ProcessCore>& core,
    Message message,
    const RunOptions& options,
    WhenStreaming when,
    std::shared_ptr<TypedRun> typed = nullptr
);
Operation<ChatReply> make_complete(
    const std::shared_ptr<ProcessCore>& core,
    ChatRequest request,
    const RunOptions& options
);
Operation<TokenCount> make_count_tokens(
    const std::shared_ptr<ProcessCore>& core,
    const RunOptions& options
);
Operation<Embeddings> make_embed(
    const std::shared_ptr<ProcessCore>& core,
    EmbedRequest request,
    const RunOptions& options
);
Operation<std::vector<std::string>> make_list_models(
    const std::shared_ptr<ProcessCore>& core,
    const RunOptions& options
);
Operation<Nothing> make_reset(const std::shared_ptr<ProcessCore>& core, WhenStreaming when);
/// Cancels what is in progress and waits for its end. Throws nothing but Timeout after `budget`.
/// Not registered: it waits for those that are.
Operation<Nothing> make_close(
    const std::shared_ptr<ProcessCore>& core,
    std::chrono::milliseconds budget
);

/// A stream ready to be started; the body tells `state` how it ends, also when it is destroyed.
struct StreamOperation {
    std::shared_ptr<async::CallContext> context;
    std::function<boost::asio::awaitable<void>()> body;
    std::shared_ptr<StreamState> state;
};
StreamOperation make_stream(
    const std::shared_ptr<ProcessCore>& core,
    Message message,
    const RunOptions& options,
    WhenStreaming when
);

/// What starts the stream's body; to be run on the call's executor. The state learns also that it
/// could not begin.
std::function<void()> stream_start(StreamOperation& operation);

/// How long after its deadline a blocking call stops waiting for a loop that is stuck.
inline constexpr std::chrono::milliseconds stuck_loop_grace{5'000};
/// `grace` after a limit that begins now; the end of time if that is not before it.
inline async::Clock::time_point stuck_loop_bound(
    std::chrono::milliseconds total,
    std::chrono::milliseconds grace
) {
    using Time = async::Clock::time_point;
    const Time deadline = async::after(total);
    return deadline > Time::max() - grace ? Time::max() : deadline + grace;
}

}  // namespace llmproc
