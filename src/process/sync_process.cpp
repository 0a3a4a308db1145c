#include <llmproc/sync_process.hpp>
#include "async/loop_watch.hpp"
#include "async/spawn.hpp"
#include "core/fork_guard.hpp"
#include "core/log_line.hpp"
#include "process/blocking_wait.hpp"
#include "process/loop_members.hpp"
#include "process/operations.hpp"
#include "process/process_core.hpp"
#include "process/start.hpp"
#include "process/stream_state.hpp"
#include "runtime/interrupt_scope.hpp"
#include "runtime/loop_core.hpp"
#include "runtime/sync_call.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;
using async::Clock;

namespace {

/// How a blocking call ended.
struct Ending {
    std::exception_ptr error;
    bool lost = false;  ///< The loop ended under it; what it wrote must not be read.
};

/// Runs a call on the loop and blocks until it has ended there. A loop that is stuck in a handler
/// is given up `grace` after the deadline; the call then ends without its caller.
Ending block_on(
    LoopCore& loop,
    const std::shared_ptr<async::CallContext>& context,
    std::function<asio::awaitable<void>()> body,
    std::chrono::milliseconds total,
    std::chrono::milliseconds grace,
    bool interruptible
) {
    auto call = std::make_shared<SyncCall>();
    auto end = std::make_shared<CallEnd>(call);
    auto start = [end = std::move(end), context = context, body = std::move(body)]() mutable {
        try {
            async::spawn(context, body(), [end](std::exception_ptr error) {
                end->tell(std::move(error));
            });
        } catch (...) {
            context->finish();
            end->tell(std::current_exception());
        }
    };
    const BlockingWait blocking(loop, interruptible ? context : nullptr);
    loop.submit(call, context->executor(), std::move(start));
    const Clock::time_point bound = stuck_loop_bound(total, grace);
    const bool endless = bound == Clock::time_point::max();
    const auto wait = [&call](Clock::time_point limit) { return call->wait_until(limit); };
    const bool ended = endless ? async::wait_while_loop_lives(*context, wait) : wait(bound);
    loop.forget(*call);
    if (!ended) {
        context->cancel_from_anywhere(CancelReason::deadline);
        throw Timeout(Stage::total, endless ? async::stuck_loop_limit : total);
    }
    Ending ending;
    ending.lost = call->lost();
    ending.error = call->take_error();
    return ending;
}

}  // namespace

class SyncLLMProcess::Impl {
public:
    Impl(EventLoop loop, bool private_loop, std::shared_ptr<ProcessCore> process)
        : core(std::move(process)),
          loop_(std::move(loop)),
          private_loop_(private_loop),
          end_(std::make_shared<ProcessEnd>(core)) {
        loop_->core()->link(end_, [] {});
    }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
    ~Impl() {
        if (core->belongs_to_parent()) {
            // Its thread and its locks are the parent's: nothing can be joined here.
            KeptForParent::keep(std::move(loop_));
            ProcessCore::let_go(core);
            return;
        }
        const ShutdownReport report = close(std::chrono::milliseconds(2'000));
        if (report.cancelled_calls != 0 && !closed_by_name_) {
            log_line(
                LogLevel::warning,
                "a process was destroyed without close(): cancelled " +
                    std::to_string(report.cancelled_calls) + " of its calls, streams and tasks"
            );
        }
    }

    EventLoop loop() const {
        core->check_own();
        const std::lock_guard lock(mutex_);
        if (!loop_) {
            throw ProcessClosed();
        }
        return *loop_;
    }

    /// Makes a call and runs it to its end; the loop stays alive meanwhile.
    template <typename Make>
    auto wait_for(const RunOptions& options, Make make) {
        const EventLoop alive = loop();
        check_may_block(alive, options);
        auto operation = make();
        const Ending ending = block_on(
            *alive.core(),
            operation.context,
            std::move(operation.body),
            core->timeout_of(options),
            stuck_loop_grace,
            true
        );
        if (ending.error) {
            std::rethrow_exception(
                ending.lost ? ending.error : annotated(ending.error, operation.outcome->note)
            );
        }
        return std::move(*operation.outcome->value);
    }

    /// A stream that this thread has open would wait for itself.
    void refuse_reentry() const {
        const std::shared_ptr<StreamState> stream = core->open_stream();
        if (stream && stream->opener() == std::this_thread::get_id()) {
            throw ReentrantCall(
                "this thread has a stream of this process open; read it to its end or destroy it "
                "before the next run"
            );
        }
    }

    SyncStream stream(Message message, const RunOptions& options) {
        const EventLoop alive = loop();
        check_may_block(alive, options);
        refuse_reentry();
        StreamOperation operation =
            make_stream(core, std::move(message), options, WhenStreaming::wait);
        operation.state->blocks_on(alive.core(), options.allow_blocking_loop());
        SyncStream stream(operation.state);
        std::function<void()> start = stream_start(operation);
        auto waiter = std::make_shared<StreamWaiter>(operation.state);
        operation.state->when_finished([waiter] { waiter->leave_loop(); });
        alive.core()->submit(waiter, operation.context->executor(), std::move(start));
        operation.state->wait_opened();
        return stream;
    }

    ShutdownReport close_by_name(std::chrono::milliseconds budget) {
        closed_by_name_ = true;
        return close(budget);
    }

    ShutdownReport close(std::chrono::milliseconds budget) {
        core->check_own();
        const Clock::time_point begin = Clock::now();
        ShutdownReport report;
        if (LoopCore::on_any_loop()) {
            // Waiting here could deadlock: everything is cancelled, the rest happens by itself.
            end_->leave_loop();
            report.cancelled_calls = core->begin_close();
            const std::lock_guard lock(mutex_);
            loop_.reset();
            return report;
        }
        const std::lock_guard one_at_a_time(closing_);
        std::optional<EventLoop> alive;
        {
            const std::lock_guard lock(mutex_);
            alive.swap(loop_);
        }
        if (!alive) {
            return report_;
        }
        end_->leave_loop();
        report_.cancelled_calls = core->begin_close();
        report_.drained = drain(*alive->core(), budget);
        report_.abandoned = report_.drained ? 0 : core->calls_in_progress();
        if (private_loop_) {
            const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(
                Clock::now() - begin
            );
            const ShutdownReport ended = alive->shutdown(std::max(budget - spent, spent.zero()));
            report_.drained = report_.drained && ended.drained;
            report_.cancelled_tasks = ended.cancelled_tasks;
            report_.abandoned += ended.abandoned;
        }
        report_.elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(
            Clock::now() - begin
        );
        return report_;
    }

    const std::shared_ptr<ProcessCore> core;

private:
    static void check_may_block(const EventLoop& loop, const RunOptions& options) {
        loop.core()->check_may_block(options.allow_blocking_loop());
        throw_if_interrupted();
    }

    bool drain(LoopCore& loop, std::chrono::milliseconds budget) const {
        try {
            Operation<Nothing> operation = make_close(core, budget);
            // The budget is all the time there is, also if the loop is stuck.
            const auto none = std::chrono::milliseconds::zero();
            const Ending ending =
                block_on(loop, operation.context, std::move(operation.body), budget, none, false);
            return !ending.error;
        } catch (const LLMError&) {
            // A timeout or a loop that has ended already: reported as not drained.
            return false;
        }
    }

    mutable std::mutex mutex_;
    std::mutex closing_;
    std::atomic<bool> closed_by_name_{false};
    std::optional<EventLoop> loop_;
    const bool private_loop_;
    const std::shared_ptr<ProcessEnd> end_;
    ShutdownReport report_;
};

SyncLLMProcess make_sync_process(
    std::shared_ptr<const ProcessSettings> settings,
    const SyncOptions& options
) {
    const bool private_loop = !options.loop();
    EventLoop loop = private_loop ? EventLoop() : *options.loop();
    std::shared_ptr<ProcessCore> core = make_process_core(loop.get_executor(), std::move(settings));
    return SyncLLMProcess(
        std::make_unique<SyncLLMProcess::Impl>(std::move(loop), private_loop, std::move(core))
    );
}

SyncLLMProcess::SyncLLMProcess(std::unique_ptr<Impl> impl) noexcept : impl_(std::move(impl)) {}
SyncLLMProcess::SyncLLMProcess(SyncLLMProcess&&) noexcept = default;
SyncLLMProcess& SyncLLMProcess::operator=(SyncLLMProcess&&) noexcept = default;
SyncLLMProcess::~SyncLLMProcess() = default;

SyncLLMProcess::Impl& SyncLLMProcess::impl() const {
    if (!impl_) {
        throw LLMError(Errc::invalid_handle, "this process was moved from");
    }
    return *impl_;
}

RunResult SyncLLMProcess::run(std::string prompt, RunOptions options) {
    return run(Message::user(std::move(prompt)), std::move(options));
}

RunResult SyncLLMProcess::run(Message message, RunOptions options) {
    Impl& self = impl();
    self.refuse_reentry();
    return self.wait_for(options, [&] {
        return make_run(self.core, std::move(message), options, WhenStreaming::wait);
    });
}

detail::TypedAnswer SyncLLMProcess::run_typed_as(
    Message message,
    RunOptions options,
    detail::AnswerType type
) {
    Impl& self = impl();
    self.refuse_reentry();
    const auto typed = std::make_shared<TypedRun>(type, options);
    return typed->finish(self.wait_for(options, [&] {
        return make_run(self.core, std::move(message), options, WhenStreaming::wait, typed);
    }));
}

SyncStream SyncLLMProcess::stream(std::string prompt, RunOptions options) {
    return stream(Message::user(std::move(prompt)), std::move(options));
}

SyncStream SyncLLMProcess::stream(Message message, RunOptions options) {
    return impl().stream(std::move(message), options);
}

ChatReply SyncLLMProcess::complete(ChatRequest request, RunOptions options) {
    Impl& self = impl();
    return self.wait_for(options, [&] {
        return make_complete(self.core, std::move(request), options);
    });
}

TokenCount SyncLLMProcess::count_tokens(RunOptions options) {
    Impl& self = impl();
    return self.wait_for(options, [&] { return make_count_tokens(self.core, options); });
}

Embeddings SyncLLMProcess::embed(EmbedRequest request, RunOptions options) {
    Impl& self = impl();
    return self.wait_for(options, [&] {
        return make_embed(self.core, std::move(request), options);
    });
}

std::vector<std::string> SyncLLMProcess::list_models(RunOptions options) {
    Impl& self = impl();
    return self.wait_for(options, [&] { return make_list_models(self.core, options); });
}

History SyncLLMProcess::messages() const {
    return impl().core->messages();
}

void SyncLLMProcess::reset() {
    Impl& self = impl();
    self.refuse_reentry();
    self.wait_for(RunOptions(), [&] { return make_reset(self.core, WhenStreaming::wait); });
}

ProcessStats SyncLLMProcess::stats() const {
    return impl().core->stats();
}

void SyncLLMProcess::spawn(asio::awaitable<void> work) {
    const EventLoop alive = impl().loop();
    impl().core->spawn(std::move(work));
}

ShutdownReport SyncLLMProcess::close(std::chrono::milliseconds budget) {
    return impl().close_by_name(budget);
}

asio::any_io_executor SyncLLMProcess::get_executor() const {
    return loop().get_executor();
}

EventLoop SyncLLMProcess::loop() const {
    return impl().loop();
}

}  // namespace llmproc
