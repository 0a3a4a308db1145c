#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include "core/fork_guard.hpp"
#include "runtime/loop_core.hpp"

#include <boost/asio/io_context.hpp>

#include <mutex>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

/// Made by the first use, once, and by the next if the system refused it.
class GlobalLoop {
public:
    std::shared_ptr<LoopCore> get() {
        const std::lock_guard lock(mutex_);
        if (!loop_) {
            loop_ = LoopCore::with_thread("llm-loop-main");
        }
        return loop_;
    }

private:
    std::mutex mutex_;
    std::shared_ptr<LoopCore> loop_;
};

}  // namespace

EventLoop::EventLoop() : EventLoop(std::string()) {}

EventLoop::EventLoop(const std::string& name) : core_(LoopCore::with_thread(name)) {}

EventLoop::EventLoop(std::shared_ptr<LoopCore> core) noexcept : core_(std::move(core)) {}

EventLoop EventLoop::on_caller() {
    return EventLoop(LoopCore::on_caller());
}

EventLoop EventLoop::attach(asio::io_context& io) {
    return EventLoop(LoopCore::of(io.get_executor()));
}

EventLoop EventLoop::global() {
    static constinit PerProcess<GlobalLoop> global;
    return EventLoop(global.get().get());
}

const std::shared_ptr<LoopCore>& EventLoop::core() const {
    if (!core_) {
        throw LLMError(Errc::invalid_handle, "this event loop was moved from");
    }
    return core_;
}

asio::any_io_executor EventLoop::get_executor() const {
    return core()->executor();
}

std::thread::id EventLoop::thread_id() const {
    return core()->thread_id();
}

bool EventLoop::running_in_this_thread() const noexcept {
    return core_ && core_->running_in_this_thread();
}

EventLoopStats EventLoop::stats() const {
    return core()->stats();
}

void EventLoop::set_exception_handler(ExceptionHandler handler) const {
    core()->set_exception_handler(std::move(handler));
}

void EventLoop::debug(LoopDebug settings) const {
    core()->debug(std::move(settings));
}

void EventLoop::debug_off() const {
    core()->debug_off();
}

void EventLoop::own_object(std::shared_ptr<void> object) const {
    core()->own(std::move(object));
}

ShutdownReport EventLoop::shutdown(std::chrono::milliseconds budget) const {
    return core()->shutdown(budget);
}

}  // namespace llmproc
