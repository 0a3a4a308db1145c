/// @file
/// Who waits at a queue.
#pragma once

#include <llmproc/queue.hpp>
#include "async/waiter.hpp"
#include "core/fork_guard.hpp"
#include "runtime/loop_member.hpp"

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>

namespace llmproc::detail {

/// One push or pop that waits. It lies in its coroutine's frame or on its thread's stack, and
/// leaves the queue when that goes.
struct QueueCore::Node {
    enum class Side { producer, consumer };
    enum class Outcome { none, done, closed };

    Node(QueueCore& whose, Side what, void* item_or_slot) noexcept
        : queue(whose),
          side(what),
          data(item_or_slot) {}
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node();

    /// Throws LLMError{queue_closed} to a producer that came too late.
    void settle();

    QueueCore& queue;
    const Side side;
    void* const data;
    Outcome outcome = Outcome::none;
    bool linked = false;
    bool settled = false;  ///< Its coroutine has seen the outcome.
    Node* previous = nullptr;
    Node* next = nullptr;
    std::shared_ptr<async::Waiter> waiter;  ///< Of a coroutine that waits.
    std::condition_variable* thread = nullptr;
};

struct QueueCore::State {
    using Lock = std::unique_lock<std::mutex>;
    /// Whom to resume after the lock is gone; null for nobody and for threads.
    using Woken = std::shared_ptr<async::Waiter>;

    /// First come, first served.
    class Line {
    public:
        Node* first() const noexcept { return first_; }
        void add(Node& node) noexcept;
        void remove(Node& node) noexcept;

    private:
        Node* first_ = nullptr;
        Node* last_ = nullptr;
    };

    State(QueueCore& whose, std::size_t most) noexcept : queue(whose), capacity(most) {}

    Line& line(const Node& node) noexcept {
        return node.side == Node::Side::producer ? producers : consumers;
    }
    /// Takes the node out of its line with that outcome; the result is to be resumed.
    Woken wake(Node& node, Node::Outcome outcome) noexcept;
    /// False if it has to wait.
    bool push(void* item, Woken& woken);
    bool pop(void* slot, Woken& woken);
    /// Serves the node now if that is possible.
    bool serve(Node& node, Woken& woken);
    void enlist(Node& node, const std::shared_ptr<async::Waiter>& waiter);
    void cancel(Node& node);
    void wait_blocking(Node& node, const std::optional<std::chrono::milliseconds>& limit);
    /// An item that its consumer did not live to see.
    void restore(void* slot, Woken& woken) noexcept;

    /// Throws LLMError{forked_process}. Before the lock, which a child may find locked for ever.
    void check_own() const { check_not_forked(generation, "this queue"); }

    QueueCore& queue;
    const unsigned generation = fork_generation();
    const std::size_t capacity;
    mutable std::mutex mutex;
    std::size_t size = 0;
    bool closed = false;
    Line producers;  ///< They wait only while the queue is full,
    Line consumers;  ///< and they only while it is empty.
    std::shared_ptr<LoopMember> member;
};

}  // namespace llmproc::detail
