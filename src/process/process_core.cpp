#include "process/process_core.hpp"

#include "async/spawn.hpp"
#include "core/log_line.hpp"
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
      retry_(core_->settings().retry) {
    retry_.max_attempts = options.max_attempts().value_or(retry_.max_attempts);
    core_->enter(context_);
    if (options.stop_token().stop_possible()) {
        stop_.emplace(options.stop_token(), Stop{context_.get()});
    }
}

ActiveCall::~ActiveCall() {
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

}  // namespace

ProcessCore::ProcessCore(
    const asio::any_io_executor& executor,
    std::shared_ptr<const ProcessSettings> settings
)
    : settings_(std::move(settings)),
      chat_(settings_),
      executor_(executor),
      strand_(strand_on(executor)) {}

ProcessCore::~ProcessCore() = default;

std::shared_ptr<ProcessCore> ProcessCore::create(
    const asio::any_io_executor& executor,
    std::shared_ptr<const ProcessSettings> settings
) {
    // make_shared cannot reach the private constructor.
    std::shared_ptr<ProcessCore> core(new ProcessCore(executor, std::move(settings)));
    try {
        net::ContextService::of(executor).enroll(core);
        if (core->settings_->rate_limit.enabled()) {
            core->chat_.limit_by(net::RateLimiter::of(
                executor,
                core->chat_.rate_limit_group(),
                core->settings_->rate_limit
            ));
        }
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
    const std::lock_guard lock(mutex_);
    check_open();
    return executor_;
}

std::chrono::milliseconds ProcessCore::timeout_of(const RunOptions& options) const noexcept {
    return options.timeout().value_or(
        settings_->timeouts.limit(Stage::total).value_or(std::chrono::milliseconds::max())
    );
}

std::shared_ptr<async::CallContext> ProcessCore::make_context(const RunOptions& options) {
    const Timeouts limits = options.timeouts().over(settings_->timeouts);
    const std::lock_guard lock(mutex_);
    check_open();
    auto context = std::make_shared<async::CallContext>(strand_, limits);
    if (settings_->observer) {
        context->trace().attach(settings_->observer);
        chat_.introduce(context->trace());
    }
    return context;
}

std::shared_ptr<async::CallContext> ProcessCore::make_closing_context(
    std::chrono::milliseconds budget
) {
    const std::lock_guard lock(mutex_);
    check_context();
    auto context = std::make_shared<async::CallContext>(strand_, budget);
    unregistered_.emplace_back(context);
    return context;
}

std::shared_ptr<ActiveCall> ProcessCore::open_call(
    std::shared_ptr<async::CallContext> context,
    const RunOptions& options
) {
    return std::make_shared<ActiveCall>(shared_from_this(), std::move(context), options);
}

void ProcessCore::enter(const std::shared_ptr<async::CallContext>& context) {
    const std::lock_guard lock(mutex_);
    check_open();
    active_.insert(context);
}

void ProcessCore::leave(const std::shared_ptr<async::CallContext>& context) noexcept {
    std::vector<std::function<void()>> idle;
    {
        const std::lock_guard lock(mutex_);
        active_.erase(context);
        if (active_.empty()) {
            idle.swap(idle_);
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
            idle_.push_back(std::move(idle));
            return;
        }
    }
    idle();
}

std::size_t ProcessCore::begin_close() noexcept {
    std::vector<std::shared_ptr<async::CallContext>> calls;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        calls.assign(active_.begin(), active_.end());
    }
    for (const std::shared_ptr<async::CallContext>& call : calls) {
        call->cancel_from_anywhere(CancelReason::closed);
    }
    return calls.size();
}

void ProcessCore::context_shutdown() noexcept {
    const std::lock_guard lock(mutex_);
    context_dead_ = true;
    idle_.clear();
    for (const std::shared_ptr<async::CallContext>& call : active_) {
        call->finish();
    }
    for (const std::weak_ptr<async::CallContext>& closing : unregistered_) {
        if (const std::shared_ptr<async::CallContext> call = closing.lock()) {
            call->finish();
        }
    }
    executor_ = asio::any_io_executor();
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
    const std::lock_guard lock(mutex_);
    return history_;
}

ProcessStats ProcessCore::stats() const {
    const net::HttpCounters& http = chat_.counters();
    ProcessStats stats;
    stats.requests = http.requests.load(std::memory_order_relaxed);
    stats.connections_opened = http.opened.load(std::memory_order_relaxed);
    stats.tls_handshakes = http.handshakes.load(std::memory_order_relaxed);
    stats.connections_reused = http.reused.load(std::memory_order_relaxed);
    stats.connections_replaced = http.replaced.load(std::memory_order_relaxed);
    stats.tls_resumed = http.resumed.load(std::memory_order_relaxed);
    stats.lookups = http.lookups.load(std::memory_order_relaxed);
    stats.redirects = http.redirects.load(std::memory_order_relaxed);
    stats.retries = chat_.retry_counters().retries.load(std::memory_order_relaxed);
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
    request.params = settings_->params;
    return request;
}

void ProcessCore::commit(const std::shared_ptr<const Message>& message, const ChatReply& reply) {
    auto answer = std::make_shared<const Message>(reply.message);
    const std::lock_guard lock(mutex_);
    history_.reserve(history_.size() + 2);
    history_.push_back(message);
    history_.push_back(std::move(answer));
    last_usage_ = reply.usage;
    counted_messages_ = history_.size();
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
    last_usage_ = Usage();
    counted_messages_ = 0;
    encode_cache_.trim();
    return true;
}

void ProcessCore::clear_history() {
    History dropped;
    {
        const std::lock_guard lock(mutex_);
        dropped.swap(history_);
        last_usage_ = Usage();
        counted_messages_ = 0;
    }
    dropped.clear();
    encode_cache_.trim();
}

void ProcessCore::count_failure() noexcept {
    const std::lock_guard lock(mutex_);
    ++failed_runs_;
}

std::shared_ptr<StreamState> ProcessCore::open_stream() const {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<StreamState> stream = open_stream_.lock();
    return stream && stream->open() ? stream : nullptr;
}

void ProcessCore::set_open_stream(const std::shared_ptr<StreamState>& stream) {
    const std::lock_guard lock(mutex_);
    open_stream_ = stream;
}

namespace {

/// Most tokenizers need one token for about four bytes of English text; each message has a frame.
constexpr std::int64_t bytes_per_token = 4;
constexpr std::int64_t tokens_per_message = 4;

std::int64_t estimate(const Message& message) {
    return tokens_per_message +
           static_cast<std::int64_t>(message.to_json().size()) / bytes_per_token;
}

}  // namespace

TokenCount ProcessCore::estimate_tokens() const {
    const std::lock_guard lock(mutex_);
    TokenCount count;
    std::size_t first = 0;
    if (last_usage_.reported && counted_messages_ > 0) {
        // The last answer becomes input of the next request; its reasoning does not.
        count.source = TokenSource::last_usage;
        count.input_tokens = last_usage_.input_tokens + last_usage_.output_tokens -
                             last_usage_.reasoning_tokens;
        first = counted_messages_;
    } else if (!settings_->system_prompt.empty()) {
        count.input_tokens = tokens_per_message +
                             static_cast<std::int64_t>(settings_->system_prompt.size()) /
                                 bytes_per_token;
    }
    for (std::size_t i = first; i < history_.size(); ++i) {
        count.input_tokens += estimate(*history_[i]);
    }
    return count;
}

}  // namespace llmproc
