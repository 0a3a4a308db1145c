#include <llmproc/process.hpp>
#include <llmproc/stream.hpp>
#include "async/spawn.hpp"
#include "async/task_executor.hpp"
#include "process/operations.hpp"
#include "process/process_core.hpp"
#include "process/start.hpp"
#include "process/stream_state.hpp"

#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds close_budget{2'000};

const std::shared_ptr<ProcessCore>& checked(const std::shared_ptr<ProcessCore>& core) {
    if (!core) {
        throw LLMError(Errc::invalid_handle, "this process was moved from");
    }
    return core;
}

template <typename T>
asio::awaitable<T> awaited(Operation<T> operation) {
    std::exception_ptr error;
    try {
        co_await async::await_call(std::move(operation.context), std::move(operation.body));
    } catch (...) {
        error = std::current_exception();
    }
    if (error) {
        std::rethrow_exception(annotated(error, operation.outcome->note));
    }
    co_return std::move(*operation.outcome->value);
}

asio::awaitable<detail::TypedAnswer> typed_answer(
    Operation<RunResult> operation,
    std::shared_ptr<TypedRun> typed
) {
    RunResult result = co_await awaited(std::move(operation));
    co_return typed->finish(std::move(result));
}

asio::awaitable<Stream> opened(StreamOperation operation) {
    // Owned by the handle from the start: destroying this frame cancels the run.
    Stream stream(operation.state);
    async::start(*operation.context, stream_start(operation));
    co_await operation.state->async_wait_opened();
    co_return std::move(stream);
}

asio::awaitable<void> reset_now(std::shared_ptr<ProcessCore> core) {
    if (core->reset_if_idle()) {
        co_return;
    }
    Operation<Nothing> operation = make_reset(core, WhenStreaming::fail);
    co_await awaited(std::move(operation));
}

asio::awaitable<void> close_now(std::shared_ptr<ProcessCore> core) {
    try {
        Operation<Nothing> operation = make_close(core, close_budget);
        co_await awaited(std::move(operation));
    } catch (const Timeout&) {
        // Work that ignores its cancellation ends by itself; the caller's time is over.
        co_return;
    } catch (const LLMError& error) {
        if (error.errc() != Errc::loop_closed) {
            throw;
        }
    }
}

}  // namespace

std::shared_ptr<ProcessCore> make_process_core(
    const asio::any_io_executor& executor,
    std::shared_ptr<const ProcessSettings> settings
) {
    // A process may outlive the task that starts it, and serves others too.
    return ProcessCore::create(async::without_scope(executor), std::move(settings));
}

AsyncLLMProcess::AsyncLLMProcess(std::shared_ptr<ProcessCore> core) noexcept
    : core_(std::move(core)) {}

AsyncLLMProcess& AsyncLLMProcess::operator=(AsyncLLMProcess&& other) noexcept {
    AsyncLLMProcess replaced(std::move(*this));
    core_ = std::move(other.core_);
    return *this;
}

AsyncLLMProcess::~AsyncLLMProcess() {
    ProcessCore::let_go(std::move(core_));
}

asio::awaitable<RunResult> AsyncLLMProcess::run(std::string prompt) {
    return run(Message::user(std::move(prompt)), RunOptions());
}

asio::awaitable<RunResult> AsyncLLMProcess::run(std::string prompt, RunOptions options) {
    return run(Message::user(std::move(prompt)), std::move(options));
}

asio::awaitable<RunResult> AsyncLLMProcess::run(Message message) {
    return run(std::move(message), RunOptions());
}

asio::awaitable<RunResult> AsyncLLMProcess::run(Message message, RunOptions options) {
    return awaited(make_run(checked(core_), std::move(message), options, WhenStreaming::fail));
}

asio::awaitable<detail::TypedAnswer> AsyncLLMProcess::run_typed_as(
    Message message,
    RunOptions options,
    detail::AnswerType type
) {
    auto typed = std::make_shared<TypedRun>(type, options);
    auto operation =
        make_run(checked(core_), std::move(message), options, WhenStreaming::fail, typed);
    return typed_answer(std::move(operation), std::move(typed));
}

const std::shared_ptr<ProcessCore>& AsyncLLMProcess::living_core() const {
    if (!checked(core_)->executor_if_alive()) {
        throw LLMError(
            Errc::loop_closed,
            "the io_context of this process was destroyed; start a new process on a live one"
        );
    }
    return core_;
}

asio::awaitable<Stream> AsyncLLMProcess::stream(std::string prompt) {
    return stream(Message::user(std::move(prompt)), RunOptions());
}

asio::awaitable<Stream> AsyncLLMProcess::stream(std::string prompt, RunOptions options) {
    return stream(Message::user(std::move(prompt)), std::move(options));
}

asio::awaitable<Stream> AsyncLLMProcess::stream(Message message) {
    return stream(std::move(message), RunOptions());
}

asio::awaitable<Stream> AsyncLLMProcess::stream(Message message, RunOptions options) {
    return opened(make_stream(checked(core_), std::move(message), options, WhenStreaming::fail));
}

asio::awaitable<ChatReply> AsyncLLMProcess::complete(ChatRequest request) {
    return complete(std::move(request), RunOptions());
}

asio::awaitable<ChatReply> AsyncLLMProcess::complete(ChatRequest request, RunOptions options) {
    return awaited(make_complete(checked(core_), std::move(request), options));
}

asio::awaitable<TokenCount> AsyncLLMProcess::count_tokens() {
    return count_tokens(RunOptions());
}

asio::awaitable<TokenCount> AsyncLLMProcess::count_tokens(RunOptions options) {
    return awaited(make_count_tokens(checked(core_), options));
}

asio::awaitable<Embeddings> AsyncLLMProcess::embed(std::vector<std::string> texts) {
    return embed(EmbedRequest(std::move(texts)), RunOptions());
}

asio::awaitable<Embeddings> AsyncLLMProcess::embed(
    std::vector<std::string> texts,
    RunOptions options
) {
    return embed(EmbedRequest(std::move(texts)), std::move(options));
}

asio::awaitable<Embeddings> AsyncLLMProcess::embed(EmbedRequest request) {
    return embed(std::move(request), RunOptions());
}

asio::awaitable<Embeddings> AsyncLLMProcess::embed(EmbedRequest request, RunOptions options) {
    return awaited(make_embed(checked(core_), std::move(request), options));
}

asio::awaitable<std::vector<std::string>> AsyncLLMProcess::list_models() {
    return list_models(RunOptions());
}

asio::awaitable<std::vector<std::string>> AsyncLLMProcess::list_models(RunOptions options) {
    return awaited(make_list_models(checked(core_), options));
}

History AsyncLLMProcess::messages() const {
    return checked(core_)->messages();
}

asio::awaitable<void> AsyncLLMProcess::reset() {
    return reset_now(checked(core_));
}

ProcessStats AsyncLLMProcess::stats() const {
    return checked(core_)->stats();
}

void AsyncLLMProcess::spawn(asio::awaitable<void> work) {
    checked(core_)->spawn(std::move(work));
}

asio::awaitable<void> AsyncLLMProcess::aclose() {
    return close_now(checked(core_));
}

asio::any_io_executor AsyncLLMProcess::get_executor() const {
    return checked(core_)->executor();
}

Stream::Stream(std::shared_ptr<StreamState> state) noexcept : state_(std::move(state)) {}

Stream& Stream::operator=(Stream&& other) noexcept {
    const Stream replaced(std::move(*this));
    state_ = std::move(other.state_);
    return *this;
}

Stream::~Stream() {
    StreamState::let_go(std::move(state_));
}

namespace {

const std::shared_ptr<StreamState>& checked(const std::shared_ptr<StreamState>& state) {
    if (!state) {
        throw LLMError(Errc::invalid_handle, "this stream was moved from");
    }
    return state;
}

asio::awaitable<RunResult> result_of(std::shared_ptr<StreamState> state) {
    while (const std::optional<StreamEvent> event = co_await StreamState::async_next(state)) {
        // Only the end is of interest here.
    }
    co_return state->result();
}

}  // namespace

asio::awaitable<std::optional<StreamEvent>> Stream::next() {
    return StreamState::async_next(checked(state_));
}

asio::awaitable<RunResult> Stream::result() {
    return result_of(checked(state_));
}

}  // namespace llmproc
