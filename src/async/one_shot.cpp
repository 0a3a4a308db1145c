#include "async/one_shot.hpp"

#include <llmproc/error.hpp>
#include "async/post_to.hpp"
#include "async/task_executor.hpp"
#include "async/waiter.hpp"
#include "core/log_line.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <optional>
#include <utility>

namespace llmproc::async {

namespace asio = boost::asio;

namespace {

using Signature = void(std::exception_ptr);
using Handler = asio::async_result<asio::use_awaitable_t<>, Signature>::handler_type;

bool is_terminal(asio::cancellation_type type) noexcept {
    return (type & asio::cancellation_type::terminal) != asio::cancellation_type::none;
}

std::exception_ptr wait_cancelled() {
    return std::make_exception_ptr(Cancelled(CancelReason::user));
}

/// What resumes a coroutine of the event's own context: lighter than a Waiter, which has to know
/// when its context dies.
struct Resume {
    Handler handler;
    std::exception_ptr error;

    void operator()() { std::move(handler)(std::move(error)); }
};

/// An exception that left a coroutine which ran inside somebody else's handler: it belongs to a
/// handler of its own.
struct Rethrow {
    std::exception_ptr error;

    void operator()() const { std::rethrow_exception(error); }
};

/// Bounds the stack that a chain of tasks takes whose ends run each other.
class Nested {
public:
    Nested() noexcept { ++depth(); }
    Nested(const Nested&) = delete;
    Nested& operator=(const Nested&) = delete;
    ~Nested() { --depth(); }

    static bool allowed() noexcept { return depth() < deepest; }

private:
    static constexpr int deepest = 8;
    static int& depth() noexcept {
        constinit thread_local int depth = 0;
        return depth;
    }
};

asio::awaitable<void> nothing() {
    co_return;
}

}  // namespace

/// A coroutine in the list. Whoever takes it out ends it.
class OneShot::Node {
public:
    Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    virtual ~Node() = default;

    /// Resumes the coroutine, whose frame and the node may be gone when it returns.
    virtual void end(std::exception_ptr error) = 0;
    /// The same as the last step of a handler.
    virtual void end_here() { end(nullptr); }
    /// Called under the lock by who will end it from outside of the coroutine's executor.
    virtual std::shared_ptr<Node> keep() noexcept { return nullptr; }

    void end_or_log(std::exception_ptr error, bool here = false) noexcept {
        try {
            here ? end_here() : end(std::move(error));
        } catch (...) {
            log_line(LogLevel::error, "a waiting coroutine could not be resumed");
        }
    }

private:
    friend class OneShot;
    Node* next_ = nullptr;
    Node* previous_ = nullptr;
    bool linked_ = false;
};

/// Lives in the coroutine's frame, which lives until the node is ended: on the same context nothing
/// else owns it.
class OneShot::LocalNode final : public Node {
public:
    explicit LocalNode(Handler handler) : handler_(std::move(handler)) {}

    void end(std::exception_ptr error) override {
        const asio::any_io_executor executor = handler_.get_executor();
        post_to(executor, Resume{std::move(handler_), std::move(error)});
    }
    void end_here() override {
        const asio::any_io_executor executor = handler_.get_executor();
        const auto* const plain = executor.target<asio::io_context::executor_type>();
        // A handler of a task with a scope would lend it to the coroutine.
        const bool free = current_scope() == nullptr && Nested::allowed();
        if (plain == nullptr || !free || !plain->running_in_this_thread()) {
            post_to(executor, Resume{std::move(handler_), nullptr});
            return;
        }
        const Nested nested;
        Handler handler = std::move(handler_);
        try {
            std::move(handler)(nullptr);
        } catch (...) {
            asio::post(*plain, Rethrow{std::current_exception()});
        }
    }
    asio::cancellation_slot slot() const noexcept { return handler_.get_cancellation_slot(); }

private:
    Handler handler_;
};

/// The coroutine's context may die at any time, and its frame with it.
class OneShot::RemoteNode final : public Node, public std::enable_shared_from_this<RemoteNode> {
public:
    RemoteNode(
        Handler handler,
        const asio::any_io_executor& own,
        const asio::execution_context* other
    )
        : waiter_(Waiter::Handler(std::move(handler)), own, other) {}

    void end(std::exception_ptr error) override { waiter_.resume_later(std::move(error)); }
    std::shared_ptr<Node> keep() noexcept override { return shared_from_this(); }
    asio::cancellation_slot& slot() noexcept { return waiter_.slot(); }

private:
    Waiter waiter_;
};

/// The wait's part of the coroutine's frame.
class OneShot::Wait {
public:
    explicit Wait(std::shared_ptr<OneShot> event) noexcept : event_(std::move(event)) {}
    /// Before it begins.
    Wait(Wait&& other) noexcept : event_(std::move(other.event_)) {}
    Wait& operator=(Wait&&) = delete;
    ~Wait() {
        if (remote_) {
            event_->unlink(*remote_);
        }
    }

    void begin(Handler handler) {
        const asio::any_io_executor own = handler.get_executor();
        if (context_of(own) == event_->context_) {
            LocalNode& node = local_.emplace(std::move(handler));
            begin(node, node.slot());
        } else {
            remote_ = std::make_shared<RemoteNode>(std::move(handler), own, event_->context_);
            begin(*remote_, remote_->slot());
        }
    }

private:
    void begin(Node& node, asio::cancellation_slot slot) {
        if (slot.is_connected()) {
            // The slot is cleared before the coroutine is resumed; where the frame dies without
            // that, nothing can come through it any more.
            slot.assign([event = event_.get(), waiting = &node](asio::cancellation_type type) {
                if (is_terminal(type) && event->unlink(*waiting)) {
                    waiting->end_or_log(wait_cancelled());
                }
            });
        }
        if (!event_->link(node)) {
            node.end_or_log(nullptr);
        }
    }

    std::shared_ptr<OneShot> event_;
    std::optional<LocalNode> local_;
    std::shared_ptr<RemoteNode> remote_;
};

struct OneShot::Begin {
    void operator()(Handler handler, Wait&& wait) const { wait.begin(std::move(handler)); }
};

void OneShot::set(bool run) noexcept {
    bool more = true;
    while (more) {
        Node* node = nullptr;
        std::shared_ptr<Node> kept;
        {
            const std::lock_guard lock(mutex_);
            happened_.store(true, std::memory_order_release);
            node = first_;
            if (node == nullptr) {
                return;
            }
            kept = node->keep();
            take(*node);
            more = first_ != nullptr;
        }
        node->end_or_log(nullptr, run && !more);
    }
}

bool OneShot::link(Node& node) noexcept {
    const std::lock_guard lock(mutex_);
    if (happened_.load(std::memory_order_relaxed)) {
        return false;
    }
    node.linked_ = true;
    node.previous_ = std::exchange(last_, &node);
    (node.previous_ != nullptr ? node.previous_->next_ : first_) = &node;
    return true;
}

bool OneShot::unlink(Node& node) noexcept {
    const std::lock_guard lock(mutex_);
    return take(node);
}

bool OneShot::take(Node& node) noexcept {
    if (!node.linked_) {
        return false;
    }
    node.linked_ = false;
    (node.previous_ != nullptr ? node.previous_->next_ : first_) = node.next_;
    (node.next_ != nullptr ? node.next_->previous_ : last_) = node.previous_;
    return true;
}

asio::awaitable<void> OneShot::wait(std::shared_ptr<OneShot> event) {
    if (event->happened()) {
        return nothing();
    }
    return asio::async_initiate<const asio::use_awaitable_t<>, Signature>(
        Begin(),
        asio::use_awaitable,
        Wait(std::move(event))
    );
}

}  // namespace llmproc::async
