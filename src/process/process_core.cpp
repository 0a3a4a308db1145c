#include "process/process_core.hpp"

#include "async/spawn.hpp"
#include "core/current_context.hpp"
#include "core/log_line.hpp"
#include "net/connection_pool.hpp"
#include "process/stream_state.hpp"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>

#include <string>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

ActiveCall::ActiveCall(
    std::shared_ptr<ProcessCore> core,
    std::shared_ptr<async::CallContext> context,
    const RunOptions& options
)
    : core_(std::move(core)),
      context_(std::move(context)),
      retry_(core_->settings().retry),
      spending_(core_->spending()) {
    retry_.max_attempts = options.max_attempts().value_or(retry_.max_attempts);
    core_->enter(context_);
    if (options.stop_token().stop_possible()) {
        stop_.emplace(options.stop_token(), Stop{context_.get()});
    }
}

ActiveCall::~ActiveCall() {
    if (core_->belongs_to_parent()) {
        KeptForParent::keep(std::move(context_));
        KeptForParent::keep(std::move(core_));
        return;
    }
    end();
}

void ActiveCall::end() noexcept {
    stop_.reset();
    core_->leave(context_);
}

namespace {

/// Inside a strand a typed executor spares the type-erased one's allocations: 17 in one run.
asio::any_io_executor strand_on(const asio::any_io_executor& executor) {
    if (const auto* const typed = executor.target<asio::io_context::executor_type>()) {
        return asio::make_strand(*typed);
    }
    return asio::make_strand(executor);
}

/// What `strand_on` was given. Empty for an empty one.
asio::any_io_executor below(const asio::any_io_executor& strand) {
    if (const auto* const typed = strand.target<asio::strand<asio::io_context::executor_type>>()) {
        return typed->get_inner_executor();
    }
    if (const auto* const any = strand.target<asio::strand<asio::any_io_executor>>()) {
        return any->get_inner_executor();
    }
    return {};
}

}  // namespace

ProcessCore::ProcessCore(
    const asio::any_io_executor& executor,
    std::shared_ptr<const ProcessSettings> settings
)
    : settings_(std::move(settings)),
      models_(settings_),
      spending_(std::shared_ptr<const SpendingSettings>(settings_, &settings_->spending)),
      strand_(strand_on(executor)) {}

ProcessCore::~ProcessCore() = default;

void ProcessCore::let_go(std::shared_ptr<ProcessCore> core) noexcept {
    if (!core) {
        return;
    }
    if (core->belongs_to_parent()) {
        core->pool_->leave_to_parent();
        KeptForParent::keep(std::move(core));
        return;
    }
    core->begin_close();
}

std::shared_ptr<ProcessCore> ProcessCore::create(
    const asio::any_io_executor& executor,
    std::shared_ptr<const ProcessSettings> settings
) {
    // make_shared cannot reach the private constructor.
    std::shared_ptr<ProcessCore> core(new ProcessCore(executor, std::move(settings)));
    try {
        net::ContextService& service = net::ContextService::of(executor);
        core->pool_ = service.pool();
        service.enroll(core);
        core->models_.limit_on(executor);
    } catch (const LLMError&) {
        throw;
    } catch (const boost::system::system_error& error) {
        // The first process of a context makes its reactor, which takes descriptors.
        throw LLMError(
            Errc::limit_reached,
            "cannot start a process: " + error.code().message() +
                "; raise the limit of descriptors (ulimit -n), or share one loop: "
                "SyncOptions().on(loop)"
        );
    }
    return core;
}

void ProcessCore::check_context() const {
    if (context_dead_) {
        throw LLMError(
            Errc::loop_closed,
            "the io_context of this process was destroyed; start a new process on a live one"
        );
    }
}

void ProcessCore::check_open() const {
    if (closed_) {
        throw ProcessClosed();
    }
    check_context();
}

asio::any_io_executor ProcessCore::executor() const {
    check_own();
    const std::lock_guard lock(mutex_);
    check_open();
    return below(strand_);
}

asio::any_io_executor ProcessCore::executor_if_alive() const {
    check_own();
    const std::lock_guard lock(mutex_);
    return below(strand_);
}

std::chrono::milliseconds ProcessCore::timeout_of(const RunOptions& options) const noexcept {
    return options.timeout().value_or(
        settings_->timeouts.limit(Stage::total).value_or(std::chrono::milliseconds::max())
    );
}

std::shared_ptr<async::CallContext> ProcessCore::make_context(const RunOptions& options) {
    check_own();
    const Timeouts limits = options.timeouts().over(settings_->timeouts);
    const std::lock_guard lock(mutex_);
    check_open();
    auto context = std::make_shared<async::CallContext>(strand_, limits);
    if (settings_->observer) {
        context->trace().attach(settings_->observer);
        models_.own().introduce(context->trace());
        context->trace().context(context_to_begin_with(options.context()));
    }
    return context;
}

std::shared_ptr<async::CallContext> ProcessCore::make_closing_context(
    std::chrono::milliseconds budget
) {
    check_own();
    const std::lock_guard lock(mutex_);
    check_context();
    auto context = std::make_shared<async::CallContext>(strand_, budget);
    if (!closing_) {
        closing_ = std::make_unique<Closing>();
    }
    closing_->calls.emplace_back(context);
    return context;
}

std::shared_ptr<ActiveCall> ProcessCore::open_call(
    std::shared_ptr<async::CallContext> context,
    const RunOptions& options
) {
    return std::make_shared<ActiveCall>(shared_from_this(), std::move(context), options);
}

void ProcessCore::enter(const std::shared_ptr<async::CallContext>& context) {
    check_own();
    const std::lock_guard lock(mutex_);
    check_open();
    active_.insert(context);
}

void ProcessCore::leave(const std::shared_ptr<async::CallContext>& context) noexcept {
    std::vector<std::function<void()>> idle;
    {
        const std::lock_guard lock(mutex_);
        active_.erase(context);
        if (active_.empty() && closing_) {
            idle.swap(closing_->idle);
        }
    }
    for (const std::function<void()>& tell : idle) {
        tell();
    }
}

void ProcessCore::when_idle(std::function<void()> idle) {
    {
        const std::lock_guard lock(mutex_);
        if (!active_.empty()) {
            if (!closing_) {
                closing_ = std::make_unique<Closing>();
            }
            closing_->idle.push_back(std::move(idle));
            return;
        }
    }
    idle();
}

std::size_t ProcessCore::begin_close() noexcept {
    if (belongs_to_parent()) {
        return 0;
    }
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
    }
    return cancel_calls();
}

std::size_t ProcessCore::cancel_calls() noexcept {
    const std::lock_guard lock(mutex_);
    for (const std::shared_ptr<async::CallContext>& call : active_) {
        call->cancel_from_anywhere(CancelReason::closed);
    }
    return active_.size();
}

std::size_t ProcessCore::calls_in_progress() const {
    const std::lock_guard lock(mutex_);
    return active_.size();
}

void ProcessCore::context_shutdown() noexcept {
    if (belongs_to_parent()) {
        return;
    }
    const std::lock_guard lock(mutex_);
    context_dead_ = true;
    for (const std::shared_ptr<async::CallContext>& call : active_) {
        call->finish();
    }
    if (closing_) {
        closing_->idle.clear();
        for (const std::weak_ptr<async::CallContext>& closing : closing_->calls) {
            if (const std::shared_ptr<async::CallContext> call = closing.lock()) {
                call->finish();
            }
        }
    }
    strand_ = asio::any_io_executor();
}

void ProcessCore::spawn(asio::awaitable<void> work) {
    const asio::any_io_executor own = executor();
    auto context = std::make_shared<async::CallContext>(own, std::chrono::milliseconds::max());
    std::shared_ptr<ActiveCall> active = open_call(context, RunOptions());
    auto report = [active](const std::exception_ptr& error) {
        try {
            if (error) {
                std::rethrow_exception(error);
            }
        } catch (const LLMError& failure) {
            if (failure.code() != Condition::cancelled) {
                log_line(LogLevel::error, std::string("background work: ") + failure.what());
            }
        } catch (const std::exception& failure) {
            log_line(LogLevel::error, std::string("background work: ") + failure.what());
        } catch (...) {
            log_line(LogLevel::error, "background work: exception of an unknown type");
        }
    };
    asio::post(own, [context, report = std::move(report), work = std::move(work)]() mutable {
        async::spawn(std::move(context), std::move(work), std::move(report));
    });
}

History ProcessCore::messages() const {
    check_own();
    const std::lock_guard lock(mutex_);
    return history_;
}

ProcessStats ProcessCore::stats() const {
    check_own();
    ProcessStats stats;
    models_.add_counters(stats);
    const SpendingTotals spent = spending_.totals();
    stats.usage = spent.usage;
    stats.cost = spent.cost;
    stats.unpriced = spent.unpriced;
    stats.tool_calls = static_cast<std::uint64_t>(spent.tool_calls);
    const std::lock_guard lock(mutex_);
    stats.runs = runs_;
    stats.failed_runs = failed_runs_;
    return stats;
}

ChatRequest ProcessCore::request_with(const std::shared_ptr<const Message>& message) const {
    ChatRequest request;
    {
        const std::lock_guard lock(mutex_);
        request.messages.reserve(history_.size() + 1);
        request.messages = history_;
    }
    if (message) {
        request.messages.push_back(message);
    }
    request.system = settings_->system_prompt;
    return request;
}

void ProcessCore::commit(
    const std::shared_ptr<const Message>& message,
    const ChatReply& reply,
    const Usage& usage
) {
    auto answer = std::make_shared<const Message>(reply.message);
    const std::lock_guard lock(mutex_);
    if (!last_run_) {
        last_run_ = std::make_unique<LastRun>();
    }
    history_.reserve(history_.size() + 2);
    history_.push_back(message);
    history_.push_back(std::move(answer));
    last_run_->usage = usage;
    last_run_->messages = history_.size();
    ++runs_;
}

bool ProcessCore::reset_if_idle() {
    if (open_stream()) {
        return false;
    }
    // Without a call in progress the slot is free and nobody uses the cache; none can begin before
    // the mutex is released.
    const std::lock_guard lock(mutex_);
    check_open();
    if (!active_.empty()) {
        return false;
    }
    history_.clear();
    if (last_run_) {
        *last_run_ = LastRun();
    }
    models_.trim();
    return true;
}

void ProcessCore::clear_history() {
    History dropped;
    {
        const std::lock_guard lock(mutex_);
        dropped.swap(history_);
        if (last_run_) {
            *last_run_ = LastRun();
        }
    }
    dropped.clear();
    models_.trim();
}

void ProcessCore::count_failure() noexcept {
    if (belongs_to_parent()) {
        return;
    }
    const std::lock_guard lock(mutex_);
    ++failed_runs_;
}

std::shared_ptr<StreamState> ProcessCore::open_stream() const {
    check_own();
    const std::lock_guard lock(mutex_);
    std::shared_ptr<StreamState> stream = open_stream_.lock();
    return stream && stream->open() ? stream : nullptr;
}

void ProcessCore::set_open_stream(const std::shared_ptr<StreamState>& stream) {
    const std::lock_guard lock(mutex_);
    open_stream_ = stream;
}

}  // namespace llmproc
