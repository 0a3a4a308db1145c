/// @file
/// A reply as it comes, for coroutines.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/stream_event.hpp>

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <optional>

namespace llmproc {

class StreamState;

/// A reply as it comes. Move-only; destroying it before the end cancels the run, the conversation
/// stays as it was. It holds the process's run slot until its end, an error or its destruction.
///
/// Reading is bounded: when the consumer is slow, the connection is not read further.
/// Lifetime: may outlive the process; then it ends with ProcessClosed.
/// Thread safety: one consumer at a time.
class LLMPROC_API Stream {
public:
    /// Holds nothing, as after a move; so that `co_spawn` can carry one to its handler.
    Stream() noexcept = default;
    explicit Stream(std::shared_ptr<StreamState> state) noexcept;
    Stream(Stream&&) noexcept = default;
    Stream& operator=(Stream&& other) noexcept;
    ~Stream();

    /// The next event, or nothing at the end. Does not suspend while events are at hand.
    /// Cancellation: terminal; ends the whole run. Throws LLMError with the partial text.
    [[nodiscard]] boost::asio::awaitable<std::optional<StreamEvent>> next();
    /// Reads to the end and returns what `run` would have returned.
    [[nodiscard]] boost::asio::awaitable<RunResult> result();

private:
    std::shared_ptr<StreamState> state_;
};

}  // namespace llmproc
