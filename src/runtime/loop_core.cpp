#include "runtime/loop_core.hpp"

#include <llmproc/error.hpp>
#include "async/post_to.hpp"
#include "runtime/exit_hook.hpp"
#include "runtime/loop_runner.hpp"
#include "runtime/loop_service.hpp"
#include "runtime/loop_state.hpp"
#include "runtime/reaper.hpp"
#include "runtime/signals_blocked.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <system_error>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

std::string default_name() {
    static std::atomic<unsigned> count{0};
    return "llm-loop-" + std::to_string(++count);
}

LLMError no_resources(const std::string& reason) {
    return {
        Errc::limit_reached,
        "cannot start an event loop: " + reason +
            "; raise the limit of threads or descriptors (ulimit), or share one loop: "
            "SyncOptions().on(loop)"};
}

std::shared_ptr<LoopCore::State> make_state(LoopKind kind) {
    auto state = std::make_shared<LoopCore::State>(kind, asio::any_io_executor());
    // Makes the reactor, whose descriptors Asio else takes only at the first use.
    const asio::steady_timer reactor(*state->io);
    return state;
}

}  // namespace

LoopCore::LoopCore(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}

std::shared_ptr<LoopCore> LoopCore::with_thread(const std::string& name) {
    constexpr std::size_t longest_name = 15;
    prepare_exit();
    reap();
    std::shared_ptr<LoopCore> loop;
    try {
        // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
        loop.reset(new LoopCore(make_state(LoopKind::thread)));
        loop->begin_thread((name.empty() ? default_name() : name).substr(0, longest_name));
    } catch (const std::system_error& error) {
        throw no_resources(error.code().message());
    } catch (const boost::system::system_error& error) {
        throw no_resources(error.code().message());
    }
    end_at_exit(loop);
    return loop;
}

void LoopCore::begin_thread(const std::string& name) {
    try {
        asio::use_service<LoopService>(*state_->io).belongs_to(weak_from_this());
        const SignalsBlocked inherited;
        state_->thread = std::thread([state = state_, name] { run_loop_thread(*state, name); });
    } catch (...) {
        // There is no thread whose end somebody would have to wait for.
        state_->set_exited();
        throw;
    }
    // Nobody waits until the thread gets its turn: that would cost more than all the rest.
    state_->runner.store(state_->thread.get_id());
}

std::shared_ptr<LoopCore> LoopCore::on_caller() {
    prepare_exit();
    std::shared_ptr<LoopCore> loop;
    try {
        loop.reset(new LoopCore(make_state(LoopKind::on_caller)));
        asio::use_service<LoopService>(*loop->state_->io).belongs_to(loop);
    } catch (const boost::system::system_error& error) {
        throw no_resources(error.code().message());
    }
    end_at_exit(loop);
    return loop;
}

std::shared_ptr<LoopCore> LoopCore::attached(const asio::any_io_executor& plain) {
    return std::shared_ptr<LoopCore>(new LoopCore(std::make_shared<State>(LoopKind::attached, plain)
    ));
}

asio::any_io_executor LoopCore::executor() const {
    state_->check_process();
    const std::lock_guard lock(state_->mutex);
    if (state_->exited || !state_->plain_executor) {
        state_->check_accepting();
    }
    return state_->plain_executor;
}

asio::any_io_executor LoopCore::task_executor() const {
    state_->check_process();
    if (state_->kind != LoopKind::attached) {
        // It never changes; `link` says whether the loop still accepts tasks.
        return state_->plain_executor;
    }
    const std::lock_guard lock(state_->mutex);
    state_->check_accepting();
    return asio::make_strand(state_->plain_executor);
}

std::thread::id LoopCore::thread_id() const noexcept {
    return state_->runner.load();
}

bool LoopCore::running_in_this_thread() const noexcept {
    if (state_->kind != LoopKind::attached) {
        return RunningHere::current() == state_.get();
    }
    if (state_->inherited()) {
        return false;
    }
    const std::lock_guard lock(state_->mutex);
    const auto* const own = state_->plain_executor.target<asio::io_context::executor_type>();
    return own != nullptr && own->running_in_this_thread();
}

EventLoopStats LoopCore::stats() const {
    using std::chrono::microseconds;
    const State& state = *state_;
    state.check_process();
    EventLoopStats stats;
    stats.handler_exceptions = state.handler_exceptions.load(std::memory_order_relaxed);
    stats.slow_callbacks = state.slow_callbacks.load(std::memory_order_relaxed);
    stats.lag = microseconds(state.lag_us.load(std::memory_order_relaxed));
    stats.max_lag = microseconds(state.max_lag_us.load(std::memory_order_relaxed));
    const std::lock_guard lock(state.mutex);
    stats.calls = state.calls;
    stats.pending_calls = state.members.calls();
    stats.tasks = state.tasks;
    stats.pending_tasks = state.members.tasks();
    return stats;
}

void LoopCore::link(const std::shared_ptr<LoopMember>& member, const std::function<void()>& start) {
    State& state = *state_;
    state.check_process();
    const std::lock_guard lock(state.mutex);
    state.check_accepting();
    state.members.add(member, state_);
    try {
        start();
    } catch (...) {
        // The caller holds it too, so it does not die under the lock.
        state.members.remove(*member);
        throw;
    }
    if (member->counted()) {
        ++(member->ends_in_order() ? state.tasks : state.calls);
    }
}

void LoopCore::submit(
    const std::shared_ptr<LoopMember>& member,
    const asio::any_io_executor& executor,
    std::function<void()> start
) {
    link(member, [&executor, &start] { async::post_to(executor, std::move(start)); });
}

void LoopCore::forget(const LoopMember& member) noexcept {
    state_->forget(member);
}

void LoopCore::post(std::function<void()> handler) {
    State& state = *state_;
    state.check_process();
    const std::lock_guard lock(state.mutex);
    state.check_accepting();
    async::post_to(state.callback_executor, std::move(handler));
}

void LoopCore::report(std::exception_ptr error, std::string_view name) noexcept {
    state_->report(std::move(error), name);
}

void LoopCore::set_exception_handler(ExceptionHandler handler) {
    state_->check_process();
    std::shared_ptr<const ExceptionHandler> replaced;
    if (handler) {
        replaced = std::make_shared<const ExceptionHandler>(std::move(handler));
    }
    const std::lock_guard lock(state_->settings_mutex);
    state_->on_exception.swap(replaced);
}

void LoopCore::own(std::shared_ptr<void> object) {
    state_->check_process();
    const std::lock_guard lock(state_->mutex);
    state_->check_accepting();
    state_->owned.push_back(std::move(object));
}

}  // namespace llmproc
