/// @file
/// Something that happens once and that coroutines of any io_context wait for.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution_context.hpp>

#include <atomic>
#include <memory>
#include <mutex>

namespace llmproc::async {

/// Resumes all that wait when it happens; who comes later does not wait.
///
/// A waiting coroutine whose context dies is forgotten with its frame.
/// Thread safety: all members from any thread.
class OneShot {
public:
    /// `context` is the one that it happens on, null if it may be any thread.
    explicit OneShot(const boost::asio::execution_context* context) noexcept : context_(context) {}
    OneShot(const OneShot&) = delete;
    OneShot& operator=(const OneShot&) = delete;
    ~OneShot() = default;

    /// It happens; idempotent. Who waits is resumed by a post, in order.
    void set() noexcept { set(false); }
    /// The same as the last step of a handler: may run a coroutine of the same thread at once,
    /// which saves a turn of the loop.
    void set_and_run() noexcept { set(true); }
    /// Resumes the awaiting coroutine once it has happened. Cancellation: terminal, ends the wait
    /// with Cancelled{user}.
    static boost::asio::awaitable<void> wait(std::shared_ptr<OneShot> event);

private:
    class Node;
    class LocalNode;
    class RemoteNode;
    class Wait;
    struct Begin;

    void set(bool run) noexcept;
    bool happened() const noexcept { return happened_.load(std::memory_order_acquire); }
    /// False if it has happened.
    bool link(Node& node) noexcept;
    /// Whether the caller, and nobody else, may end the node.
    bool unlink(Node& node) noexcept;
    /// The same under the lock.
    bool take(Node& node) noexcept;

    const boost::asio::execution_context* const context_;
    std::mutex mutex_;
    Node* first_ = nullptr;
    Node* last_ = nullptr;
    std::atomic<bool> happened_{false};
};

}  // namespace llmproc::async
