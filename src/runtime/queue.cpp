#include <llmproc/error.hpp>
#include <llmproc/queue.hpp>
#include "async/waiter.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/loop_member.hpp"
#include "runtime/queue_state.hpp"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <memory>
#include <mutex>
#include <utility>

namespace llmproc::detail {

namespace asio = boost::asio;

namespace {

/// How many operations a thread's coroutines do in a row without letting others have a turn.
constexpr unsigned ready_in_a_row = 64;

bool turn_is_over() noexcept {
    thread_local unsigned ready = 0;
    return ++ready % ready_in_a_row == 0;
}

void check_may_block() {
    if (LoopCore::on_any_loop()) {
        throw WouldDeadlock("a queue cannot block a loop's thread: co_await push or pop there");
    }
}

/// Closes the queue of a loop that ends.
class LoopEnd final : public LoopMember {
public:
    explicit LoopEnd(const std::shared_ptr<QueueCore>& queue) noexcept : queue_(queue) {}

    bool counted() const noexcept override { return false; }
    void loop_ended(std::exception_ptr /*error*/) noexcept override {
        if (const std::shared_ptr<QueueCore> queue = queue_.lock()) {
            queue->close();
        }
    }

private:
    const std::weak_ptr<QueueCore> queue_;
};

}  // namespace

QueueCore::QueueCore(std::size_t capacity) : state_(std::make_unique<State>(*this, capacity)) {
    if (capacity == 0) {
        throw LLMError(Errc::invalid_argument, "a queue needs a capacity of at least 1");
    }
}

QueueCore::~QueueCore() {
    if (state_->member) {
        state_->member->leave_loop();
    }
}

void QueueCore::close_with(const EventLoop& loop, const std::shared_ptr<QueueCore>& queue) {
    const auto member = std::make_shared<LoopEnd>(queue);
    loop.core()->link(member, [] {});
    queue->state_->member = member;
}

bool QueueCore::push_now(void* item) {
    state_->check_own();
    State::Woken woken;
    bool pushed = false;
    {
        const State::Lock lock(state_->mutex);
        pushed = state_->push(item, woken);
    }
    if (woken) {
        woken->resume(nullptr);
    }
    return pushed;
}

bool QueueCore::pop_now(void* slot) {
    state_->check_own();
    State::Woken woken;
    bool popped = false;
    {
        const State::Lock lock(state_->mutex);
        popped = state_->pop(slot, woken);
    }
    if (woken) {
        woken->resume(nullptr);
    }
    return popped;
}

bool QueueCore::push_in_turn(void* item) {
    return !turn_is_over() && push_now(item);
}

bool QueueCore::pop_in_turn(void* slot) {
    return !turn_is_over() && pop_now(slot);
}

void QueueCore::cancelled_by(asio::cancellation_slot slot, State& state, Node& waiting) {
    if (!slot.is_connected()) {
        return;
    }
    slot.assign([&state, &waiting](asio::cancellation_type type) {
        const auto terminal = type & asio::cancellation_type::terminal;
        if (terminal != asio::cancellation_type::none) {
            state.cancel(waiting);
        }
    });
}

/// The node's place is its coroutine's frame, which stays while it waits; the coroutine's slot is
/// cleared before it goes on.
asio::awaitable<void> QueueCore::wait_for(Node* node) {
    state_->check_own();
    auto initiate = [](auto handler, State* state, Node* waiting) {
        const asio::any_io_executor own = asio::get_associated_executor(handler);
        const auto waiter = std::make_shared<async::Waiter>(
            async::Waiter::Handler(std::move(handler)),
            own,
            nullptr
        );
        cancelled_by(waiter->slot(), *state, *waiting);
        state->enlist(*waiting, waiter);
    };
    return asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr)>(
        initiate,
        asio::use_awaitable,
        state_.get(),
        node
    );
}

asio::awaitable<void> QueueCore::push_later(void* item) {
    Node node(*this, Node::Side::producer, item);
    co_await wait_for(&node);
    node.settle();
}

asio::awaitable<void> QueueCore::pop_later(void* slot) {
    Node node(*this, Node::Side::consumer, slot);
    co_await wait_for(&node);
    node.settle();
}

void QueueCore::push_blocking(void* item, std::optional<std::chrono::milliseconds> limit) {
    state_->check_own();
    check_may_block();
    Node node(*this, Node::Side::producer, item);
    state_->wait_blocking(node, limit);
    node.settle();
}

void QueueCore::pop_blocking(void* slot, std::optional<std::chrono::milliseconds> limit) {
    state_->check_own();
    check_may_block();
    Node node(*this, Node::Side::consumer, slot);
    state_->wait_blocking(node, limit);
    node.settle();
}

void QueueCore::close() noexcept {
    if (inherited(state_->generation)) {
        return;
    }
    for (;;) {
        State::Woken woken;
        {
            const State::Lock lock(state_->mutex);
            state_->closed = true;
            Node* node = state_->consumers.first();
            node = node != nullptr ? node : state_->producers.first();
            if (node == nullptr) {
                return;
            }
            woken = state_->wake(*node, Node::Outcome::closed);
        }
        if (woken) {
            woken->resume(nullptr);
        }
    }
}

bool QueueCore::closed() const {
    state_->check_own();
    const State::Lock lock(state_->mutex);
    return state_->closed;
}

std::size_t QueueCore::size() const {
    state_->check_own();
    const State::Lock lock(state_->mutex);
    return state_->size;
}

std::size_t QueueCore::capacity() const noexcept {
    return state_->capacity;
}

}  // namespace llmproc::detail
