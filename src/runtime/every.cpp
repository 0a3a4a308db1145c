#include <llmproc/error.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/task.hpp>
#include "runtime/scheduled_call.hpp"
#include "runtime/task_core.hpp"

#include <boost/asio/awaitable.hpp>

#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

using Factory = std::function<asio::awaitable<void>()>;

/// Keeps the function, whose captures the coroutine may use, until the coroutine has ended.
asio::awaitable<void> keeping(std::shared_ptr<Factory> factory) {
    asio::awaitable<void> body = (*factory)();
    co_await std::move(body);
}

/// Begins a run as a task unless the one before goes on.
class CoroutineTick {
public:
    CoroutineTick(std::weak_ptr<LoopCore> loop, Factory factory, std::string name)
        : loop_(std::move(loop)),
          factory_(std::make_shared<Factory>(std::move(factory))),
          name_(std::move(name)) {}

    void operator()(std::chrono::steady_clock::time_point /*due*/) {
        std::shared_ptr<LoopCore> loop = loop_.lock();
        if (!loop || (run_ && !run_->done())) {
            return;
        }
        try {
            // A handle that dies at once: an error of the run goes to the exception handler.
            const Task<void> run = EventLoop(std::move(loop)).create_task(keeping(factory_), name_);
            run_ = run.core();
        } catch (const LLMError& error) {
            if (error.errc() != Errc::loop_closed) {
                throw;
            }
        }
    }

private:
    std::weak_ptr<LoopCore> loop_;
    std::shared_ptr<Factory> factory_;
    std::string name_;
    std::shared_ptr<TaskCore> run_;
};

}  // namespace

ScheduledCall EventLoop::every_call(
    std::chrono::milliseconds period,
    std::function<void()> callback,
    std::string name
) const {
    return start_every(
        *core(),
        period,
        [callback = std::move(callback)](std::chrono::steady_clock::time_point) { callback(); },
        std::move(name)
    );
}

ScheduledCall EventLoop::every_coroutine(
    std::chrono::milliseconds period,
    std::function<asio::awaitable<void>()> callback,
    std::string name
) const {
    const std::shared_ptr<LoopCore>& loop = core();
    return start_every(*loop, period, CoroutineTick(loop, std::move(callback), name), name);
}

}  // namespace llmproc
