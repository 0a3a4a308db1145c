/// @file
/// A bounded queue between coroutines and threads.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/export.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <chrono>
#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace llmproc {

namespace detail {

/// Everything of a queue but the items' type. `item` points to a T, `slot` to an empty
/// std::optional<T>; both belong to who pushes or pops.
class LLMPROC_API QueueCore {
public:
    QueueCore(const QueueCore&) = delete;
    QueueCore& operator=(const QueueCore&) = delete;
    virtual ~QueueCore();

    /// Whether that was possible without waiting. Throws LLMError{queue_closed}.
    bool push_now(void* item);
    /// The same; true with an empty slot means closed.
    bool pop_now(void* slot);
    /// Of a coroutine, which now and then waits without need, so that others get their turn.
    bool push_in_turn(void* item);
    bool pop_in_turn(void* slot);
    boost::asio::awaitable<void> push_later(void* item);
    boost::asio::awaitable<void> pop_later(void* slot);
    void push_blocking(void* item, std::optional<std::chrono::milliseconds> limit);
    void pop_blocking(void* slot, std::optional<std::chrono::milliseconds> limit);

    void close() noexcept;
    bool closed() const;
    std::size_t size() const;
    std::size_t capacity() const noexcept;

    static void close_with(const EventLoop& loop, const std::shared_ptr<QueueCore>& queue);

protected:
    explicit QueueCore(std::size_t capacity);

private:
    struct Node;
    struct State;

    virtual void put(void* item) = 0;
    virtual void take(void* slot) = 0;
    virtual void hand(void* item, void* slot) = 0;
    virtual void put_back(void* slot) = 0;
    virtual void move_slot(void* slot, void* other) = 0;

    static void cancelled_by(boost::asio::cancellation_slot slot, State& state, Node& waiting);
    boost::asio::awaitable<void> wait_for(Node* node);

    std::unique_ptr<State> state_;
};

/// All of it is called under the core's lock.
template <typename T>
class QueueItems final : public QueueCore {
public:
    explicit QueueItems(std::size_t capacity) : QueueCore(capacity) {}

private:
    using Slot = std::optional<T>;

    void put(void* item) override { items_.push_back(std::move(*static_cast<T*>(item))); }
    void take(void* slot) override {
        static_cast<Slot*>(slot)->emplace(std::move(items_.front()));
        items_.pop_front();
    }
    void hand(void* item, void* slot) override {
        static_cast<Slot*>(slot)->emplace(std::move(*static_cast<T*>(item)));
    }
    void put_back(void* slot) override { items_.push_front(std::move(**static_cast<Slot*>(slot))); }
    void move_slot(void* slot, void* other) override {
        static_cast<Slot*>(other)->emplace(std::move(**static_cast<Slot*>(slot)));
    }

    std::deque<T> items_;
};

template <typename T>
boost::asio::awaitable<void> push_item(std::shared_ptr<QueueCore> queue, T item) {
    const bool pushed = queue->push_in_turn(&item);
    if (!pushed) {
        co_await queue->push_later(&item);
    }
}

template <typename T>
boost::asio::awaitable<std::optional<T>> pop_item(std::shared_ptr<QueueCore> queue) {
    std::optional<T> item;
    const bool popped = queue->pop_in_turn(&item);
    if (!popped) {
        co_await queue->pop_later(&item);
    }
    co_return item;
}

}  // namespace detail

/// First in, first out, at most `capacity` items; a full queue makes its producers wait.
/// `while (auto item = co_await queue.pop()) { ... }` reads until the queue is closed and empty.
///
/// Producers and consumers may be coroutines of any loops and blocking threads, all at once; who
/// waits is served in order. A cancelled `pop` takes nothing, a cancelled `push` leaves nothing.
/// Lifetime: a handle; copies share the queue, and what waits at it keeps it. It may outlive any
/// loop; what waits on a loop that dies is destroyed with it, and takes nothing along.
/// Thread safety: all members from any thread.
template <typename T>
class Queue {
    static_assert(
        std::is_nothrow_move_constructible_v<T>,
        "an item that throws while it is moved could be lost between producer and consumer"
    );

public:
    /// Throws LLMError{invalid_argument} for a capacity of zero.
    explicit Queue(std::size_t capacity)
        : core_(std::make_shared<detail::QueueItems<T>>(capacity)) {}
    /// Closed when `loop` shuts down, so that no thread waits for what will not come.
    /// Throws also LLMError: loop_closed, loop_died, forked_process.
    Queue(const EventLoop& loop, std::size_t capacity) : Queue(capacity) {
        detail::QueueCore::close_with(loop, core_);
    }

    /// Waits for room. Throws LLMError{queue_closed}, also when it is closed meanwhile.
    /// Cancellation: terminal; throws Cancelled, unless the item had its place by then.
    [[nodiscard]] boost::asio::awaitable<void> push(T item) const {
        return detail::push_item<T>(core(), std::move(item));
    }
    /// Waits for an item; none when the queue is closed and empty.
    /// Cancellation: terminal; throws Cancelled, unless it had an item by then.
    [[nodiscard]] boost::asio::awaitable<std::optional<T>> pop() const {
        return detail::pop_item<T>(core());
    }

    /// False if there is no room: then the item is untouched. Throws LLMError{queue_closed}.
    bool try_push(T&& item) const { return core()->push_now(&item); }
    bool try_push(const T& item) const {
        T copy(item);
        return core()->push_now(&copy);
    }
    /// None if there is none now; see `closed`.
    std::optional<T> try_pop() const {
        std::optional<T> item;
        core()->pop_now(&item);
        return item;
    }

    /// For threads that run no loop. Throws LLMError{queue_closed}; WouldDeadlock on a loop.
    void push_blocking(T item) const { core()->push_blocking(&item, std::nullopt); }
    /// Throws also Timeout{Stage::queue, limit}.
    void push_blocking(T item, std::chrono::milliseconds limit) const {
        core()->push_blocking(&item, limit);
    }
    /// None when the queue is closed and empty. Throws WouldDeadlock on a loop.
    std::optional<T> pop_blocking() const {
        std::optional<T> item;
        core()->pop_blocking(&item, std::nullopt);
        return item;
    }
    /// Throws also Timeout{Stage::queue, limit}.
    std::optional<T> pop_blocking(std::chrono::milliseconds limit) const {
        std::optional<T> item;
        core()->pop_blocking(&item, limit);
        return item;
    }

    /// Ends all waiting and refuses new items; those inside can still be popped. Idempotent.
    void close() const { core()->close(); }
    bool closed() const { return core()->closed(); }
    std::size_t size() const { return core()->size(); }
    std::size_t capacity() const { return core()->capacity(); }

    friend bool operator==(const Queue& a, const Queue& b) noexcept { return a.core_ == b.core_; }

private:
    const std::shared_ptr<detail::QueueCore>& core() const {
        if (!core_) {
            throw LLMError(Errc::invalid_handle, "this queue was moved from: use the other handle");
        }
        return core_;
    }

    std::shared_ptr<detail::QueueCore> core_;
};

}  // namespace llmproc
