#include <llmproc/context_map.hpp>
#include <llmproc/error.hpp>
#include <llmproc/task.hpp>
#include "async/call_context.hpp"
#include "async/loop_watch.hpp"
#include "async/task_executor.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/loop_probe.hpp"
#include "runtime/task_core.hpp"
#include "runtime/worker_blocked.hpp"

#include <boost/asio/this_coro.hpp>

#include <chrono>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;
using async::Clock;

TaskHandle::TaskHandle(std::shared_ptr<TaskCore> core) noexcept : core_(std::move(core)) {}

TaskHandle::TaskHandle(const TaskHandle& other) noexcept : core_(other.core_) {
    if (core_) {
        core_->add_handle();
    }
}

TaskHandle::TaskHandle(TaskHandle&& other) noexcept = default;

TaskHandle& TaskHandle::operator=(TaskHandle other) noexcept {
    core_.swap(other.core_);
    return *this;
}

TaskHandle::~TaskHandle() {
    if (core_ && core_->belongs_to_parent()) {
        KeptForParent::keep(std::move(core_));
    } else if (core_) {
        core_->drop_handle();
    }
}

const std::shared_ptr<TaskCore>& TaskHandle::core() const {
    if (!core_) {
        throw LLMError(Errc::invalid_handle, "this task handle is empty or was moved from");
    }
    core_->check_own();
    return core_;
}

bool TaskHandle::done() const {
    return core()->done();
}

bool TaskHandle::cancelled() const {
    return core()->cancelled();
}

const std::string& TaskHandle::name() const {
    return core()->name();
}

void TaskHandle::cancel(CancelReason reason) const noexcept {
    if (core_) {
        core_->cancel(reason);
    }
}

namespace {

asio::awaitable<void> join_task(TaskHandle task) {
    co_await task.core()->wait();
    task.core()->look_at();
}

/// Blocks the thread until the task has ended; false if `limit` passed first.
bool block_on(TaskCore& core, std::optional<std::chrono::milliseconds> limit) {
    if (core.done()) {
        return true;
    }
    const std::shared_ptr<LoopCore> loop = core.loop();
    if (!loop || (limit && limit->count() <= 0)) {
        // Where the loop is gone, the task has its end already or gets it this moment.
        return core.wait_until(loop ? Clock::now() : Clock::time_point::max());
    }
    loop->check_may_block(false);
    const BlockedOn blocked(*loop);
    if (limit) {
        return core.wait_until(async::after(*limit));
    }
    LoopProbe probe(*loop);
    const auto wait = [&core](Clock::time_point until) { return core.wait_until(until); };
    if (!async::wait_while_loop_lives(probe, wait)) {
        throw Timeout(Stage::total, async::stuck_loop_limit);
    }
    return true;
}

}  // namespace

asio::awaitable<void> TaskHandle::join() const {
    static_cast<void>(core());
    return join_task(*this);
}

asio::awaitable<void> TaskHandle::cancel_and_join(CancelReason reason) const {
    core()->cancel(reason);
    return join_task(*this);
}

bool TaskHandle::wait_for(std::chrono::milliseconds limit) const {
    return block_on(*core(), limit);
}

void TaskHandle::on_error(std::function<void(std::exception_ptr)> handler) const {
    core()->on_error(std::move(handler));
}

namespace detail {

std::shared_ptr<TaskCore> start_task(
    const EventLoop& loop,
    asio::awaitable<void> body,
    std::shared_ptr<TaskError> slot,
    std::string name,
    const RunOptions& options
) {
    return TaskCore::begin(
        loop.core(),
        std::move(body),
        std::move(name),
        options,
        nullptr,
        std::move(slot)
    );
}

asio::awaitable<void> task_begun() {
    // A task begins in a turn of its own: Asio need not give its end another one.
    auto& had_turn = co_await asio::detail::awaitable_thread_has_context_switched();
    had_turn = true;
}

asio::awaitable<void> await_end(const std::shared_ptr<TaskCore>& core) {
    return core->wait();
}

void throw_error(const std::shared_ptr<TaskCore>& core) {
    if (std::exception_ptr error = core->error()) {
        std::rethrow_exception(std::move(error));
    }
}

asio::awaitable<void> await_task(TaskHandle task) {
    co_await task.core()->wait();
    throw_error(task.core());
}

bool wait_task(
    const std::shared_ptr<TaskCore>& core,
    std::optional<std::chrono::milliseconds> limit
) {
    if (!block_on(*core, limit)) {
        return false;
    }
    throw_error(core);
    return true;
}

void run_loop_until(const EventLoop& loop, const std::shared_ptr<TaskCore>& core) {
    const std::shared_ptr<LoopCore>& runner = loop.core();
    core->when_ended([weak = std::weak_ptr(runner)] {
        if (const std::shared_ptr<LoopCore> running = weak.lock()) {
            running->wake();
        }
    });
    const WorkerBlocked blocked;
    try {
        runner->run_until([&core] { return core->done(); });
    } catch (...) {
        core->cancel(CancelReason::abandoned);
        throw;
    }
    throw_error(core);
}

}  // namespace detail

asio::awaitable<EventLoop> this_loop() {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    co_return EventLoop(LoopCore::of(executor));
}

asio::awaitable<ContextMap> this_context() {
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const std::shared_ptr<const async::TaskScope> scope = async::scope_of(executor);
    co_return scope ? scope->context : ContextMap();
}

}  // namespace llmproc
