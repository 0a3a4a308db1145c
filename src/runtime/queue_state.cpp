#include "runtime/queue_state.hpp"

#include <llmproc/error.hpp>
#include "async/call_context.hpp"

#include <chrono>
#include <utility>

namespace llmproc::detail {

namespace {

[[noreturn]] void throw_closed() {
    throw LLMError(Errc::queue_closed, "the queue was closed: nothing can be pushed any more");
}

}  // namespace

void QueueCore::State::Line::add(Node& node) noexcept {
    node.previous = last_;
    node.next = nullptr;
    (last_ != nullptr ? last_->next : first_) = &node;
    last_ = &node;
    node.linked = true;
}

void QueueCore::State::Line::remove(Node& node) noexcept {
    (node.previous != nullptr ? node.previous->next : first_) = node.next;
    (node.next != nullptr ? node.next->previous : last_) = node.previous;
    node.linked = false;
}

QueueCore::State::Woken QueueCore::State::wake(Node& node, Node::Outcome outcome) noexcept {
    line(node).remove(node);
    node.outcome = outcome;
    if (node.thread != nullptr) {
        node.thread->notify_one();  // Under the lock: the node goes when its thread has that.
    }
    return std::move(node.waiter);
}

bool QueueCore::State::push(void* item, Woken& woken) {
    if (closed) {
        throw_closed();
    }
    if (Node* const consumer = consumers.first()) {
        queue.hand(item, consumer->data);
        woken = wake(*consumer, Node::Outcome::done);
        return true;
    }
    if (size >= capacity) {
        return false;
    }
    queue.put(item);
    ++size;
    return true;
}

bool QueueCore::State::pop(void* slot, Woken& woken) {
    if (size == 0) {
        return closed;
    }
    queue.take(slot);
    --size;
    Node* const producer = producers.first();
    if (producer != nullptr && size < capacity) {
        queue.put(producer->data);
        ++size;
        woken = wake(*producer, Node::Outcome::done);
    }
    return true;
}

bool QueueCore::State::serve(Node& node, Woken& woken) {
    if (node.side == Node::Side::producer) {
        if (closed) {
            node.outcome = Node::Outcome::closed;
            return true;
        }
        if (!push(node.data, woken)) {
            return false;
        }
        node.outcome = Node::Outcome::done;
        return true;
    }
    const bool was_empty = size == 0;
    if (!pop(node.data, woken)) {
        return false;
    }
    node.outcome = was_empty ? Node::Outcome::closed : Node::Outcome::done;
    return true;
}

void QueueCore::State::enlist(Node& node, const std::shared_ptr<async::Waiter>& waiter) {
    Woken woken;
    {
        const Lock lock(mutex);
        if (!serve(node, woken)) {
            node.waiter = waiter;
            line(node).add(node);
            return;
        }
    }
    if (woken) {
        woken->resume(nullptr);
    }
    waiter->resume_later(nullptr);
}

void QueueCore::State::cancel(Node& node) {
    Woken cancelled;
    {
        const Lock lock(mutex);
        if (!node.linked) {
            return;  // It has an outcome, which counts.
        }
        cancelled = wake(node, Node::Outcome::none);
    }
    cancelled->resume_later(std::make_exception_ptr(Cancelled(CancelReason::user)));
}

void QueueCore::State::wait_blocking(
    Node& node,
    const std::optional<std::chrono::milliseconds>& limit
) {
    using async::Clock;
    const Clock::time_point end = limit ? async::after(*limit) : Clock::time_point::max();
    std::condition_variable changed;
    Woken woken;
    Lock lock(mutex);
    if (!serve(node, woken)) {
        node.thread = &changed;
        line(node).add(node);
        const auto over = [&node] { return !node.linked; };
        if (end == Clock::time_point::max()) {
            changed.wait(lock, over);
        } else if (!changed.wait_until(lock, end, over)) {
            line(node).remove(node);
            throw Timeout(Stage::queue, *limit);
        }
    }
    lock.unlock();
    if (woken) {
        woken->resume(nullptr);
    }
}

void QueueCore::State::restore(void* slot, Woken& woken) noexcept {
    if (Node* const consumer = consumers.first()) {
        queue.move_slot(slot, consumer->data);
        woken = wake(*consumer, Node::Outcome::done);
        return;
    }
    queue.put_back(slot);
    ++size;
}

QueueCore::Node::~Node() {
    if (settled || inherited(queue.state_->generation)) {
        return;
    }
    State& state = *queue.state_;
    State::Woken gone;
    State::Woken woken;
    {
        const State::Lock lock(state.mutex);
        if (linked) {
            state.line(*this).remove(*this);
        } else if (side == Side::consumer && outcome == Outcome::done) {
            state.restore(data, woken);
        }
        gone = std::move(waiter);
    }
    if (woken) {
        woken->resume(nullptr);
    }
}

void QueueCore::Node::settle() {
    settled = true;
    if (side == Side::producer && outcome == Outcome::closed) {
        throw_closed();
    }
}

}  // namespace llmproc::detail
