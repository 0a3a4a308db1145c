#include <llmproc/error.hpp>
#include <llmproc/task.hpp>
#include "async/one_shot.hpp"
#include "runtime/task_core.hpp"

#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <atomic>
#include <exception>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

class Ready::State {
public:
    void ready() noexcept {
        ready_.store(true, std::memory_order_release);
        settled->set();
    }
    bool is_ready() const noexcept { return ready_.load(std::memory_order_acquire); }

    /// It is ready, or the task has ended without that. Any thread may say so.
    const std::shared_ptr<async::OneShot> settled = std::make_shared<async::OneShot>(nullptr);

private:
    std::atomic<bool> ready_{false};
};

Ready::Ready(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

void Ready::operator()() const noexcept {
    state_->ready();
}

namespace {

using Body = std::function<asio::awaitable<void>(Ready)>;

/// Keeps the function as long as the coroutine that it makes.
asio::awaitable<void> run_body(Body body, Ready ready) {
    asio::awaitable<void> made = body(std::move(ready));
    co_await std::move(made);
}

/// Waits for the end whatever cancellations come.
asio::awaitable<void> join_anyway(TaskHandle task) {
    while (!task.done()) {
        try {
            co_await task.join();
        } catch (const boost::system::system_error&) {
            // One more cancellation: there is nothing more to be done about it.
        }
        co_await asio::this_coro::reset_cancellation_state();
    }
}

}  // namespace

asio::awaitable<Task<void>> spawn_ready(EventLoop loop, Body body, std::string name) {
    auto state = std::make_shared<Ready::State>();
    Ready ready(state);
    const Task<void> task =
        loop.create_task(run_body(std::move(body), std::move(ready)), std::move(name));
    task.core()->when_ended([settled = state->settled] { settled->set(); });
    bool cancelled = false;
    try {
        co_await async::OneShot::wait(state->settled);
    } catch (const boost::system::system_error&) {
        cancelled = true;
    }
    if (cancelled) {
        task.cancel(CancelReason::user);
        co_await asio::this_coro::reset_cancellation_state();
        co_await join_anyway(task);
        throw Cancelled(CancelReason::user);
    }
    if (!state->is_ready()) {
        if (std::exception_ptr error = task.core()->error()) {
            std::rethrow_exception(std::move(error));
        }
        throw LLMError(
            Errc::invalid_argument,
            "the task '" + task.name() + "' has ended without calling ready()"
        );
    }
    co_return task;
}

}  // namespace llmproc
