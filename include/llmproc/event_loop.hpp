/// @file
/// An io_context on a thread of its own that lives as long as somebody needs it.
#pragma once

#include <llmproc/asio_fwd.hpp>
#include <llmproc/export.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>

namespace llmproc {

class LoopCore;

/// Counters of a loop.
struct EventLoopStats {
    std::uint64_t calls = 0;               ///< Blocking calls served.
    std::uint64_t pending_calls = 0;       ///< Blocking calls in progress.
    std::uint64_t handler_exceptions = 0;  ///< Exceptions that escaped a handler and were caught.
};

/// What a shutdown did.
struct ShutdownReport {
    bool drained = false;               ///< All work ended within the budget.
    std::uint64_t cancelled_calls = 0;  ///< Blocking calls that were ended by it.
    std::chrono::milliseconds elapsed{0};
};

/// A handle to a loop: an io_context that one named thread runs until `shutdown` or until the last
/// handle and the last process on it are gone.
///
/// An exception that escapes a handler is caught, counted and logged; the loop goes on.
/// A moved-from handle throws Errc::invalid_handle.
/// Thread safety: all members from any thread. Copies are handles to the same loop.
class LLMPROC_API EventLoop {
public:
    /// Starts a loop; returns when its thread runs. The thread is named `llm-loop-<n>` and blocks
    /// all signals. Throws LLMError{limit_reached} when the system refuses a thread or descriptor.
    EventLoop();
    /// The same with a thread name of at most 15 bytes.
    explicit EventLoop(const std::string& name);

    /// For coroutines and I/O objects of your own; valid while the loop lives.
    boost::asio::any_io_executor get_executor() const;
    std::thread::id thread_id() const;
    bool running_in_this_thread() const noexcept;
    EventLoopStats stats() const;

    /// Refuses new calls, ends pending ones with Errc::loop_closed, lets handlers run until nothing
    /// is left or `budget` is over, then stops and joins. Idempotent; from the loop's own thread it
    /// only requests all that.
    ShutdownReport shutdown(std::chrono::milliseconds budget = std::chrono::milliseconds(2000));

    /// For the library itself.
    const std::shared_ptr<LoopCore>& core() const;

private:
    std::shared_ptr<LoopCore> core_;
};

}  // namespace llmproc
