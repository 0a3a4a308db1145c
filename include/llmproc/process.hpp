/// @file
/// A conversation with a model, for coroutines.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/detail/type_of.hpp>
#include <llmproc/embeddings.hpp>
#include <llmproc/export.hpp>
#include <llmproc/message.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/stats.hpp>
#include <llmproc/stream.hpp>
#include <llmproc/typed_result.hpp>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>

#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace llmproc {

class ProcessCore;

namespace detail {

using RunHandler = boost::asio::any_completion_handler<void(std::exception_ptr, RunResult)>;

/// Begins a run for a handler. It is called on `own`; if that is null, because the handler hides
/// its executor's type, by way of the process's.
LLMPROC_API void start_run(
    const std::shared_ptr<ProcessCore>& core,
    Message message,
    const RunOptions& options,
    RunHandler handler,
    boost::asio::any_io_executor own
);
/// The executor for handlers without one; null once its context has died.
LLMPROC_API boost::asio::any_io_executor executor_of(const std::shared_ptr<ProcessCore>& core);

/// What a completion token starts, now or later.
class RunStarter {
public:
    explicit RunStarter(std::shared_ptr<ProcessCore> core) noexcept : core_(std::move(core)) {}

    template <typename Handler>
    void operator()(Handler&& handler, Message message, const RunOptions& options) const {
        using boost::asio::any_io_executor;
        using Own = boost::asio::associated_executor_t<std::decay_t<Handler>, any_io_executor>;
        any_io_executor own;
        if constexpr (std::is_convertible_v<Own, any_io_executor>) {
            own = boost::asio::get_associated_executor(handler, executor_of(core_));
        }
        RunHandler erased(std::forward<Handler>(handler));
        start_run(core_, std::move(message), options, std::move(erased), std::move(own));
    }

private:
    std::shared_ptr<ProcessCore> core_;
};

template <typename T>
boost::asio::awaitable<T> value_of(boost::asio::awaitable<TypedAnswer> running) {
    TypedAnswer answer = co_await std::move(running);
    co_return answer.template take_value<T>();
}

template <typename T>
boost::asio::awaitable<TypedResult<T>> result_of(boost::asio::awaitable<TypedAnswer> running) {
    TypedAnswer answer = co_await std::move(running);
    co_return answer.template take<T>();
}

}  // namespace detail

/// A running conversation on the caller's executor; made by `LLMProgram::start`.
///
/// It never starts a thread (host names are looked up on helper threads), never runs the caller's
/// io_context and never keeps it running between calls.
///
/// A run is a transaction: it changes the conversation only when it succeeds. Concurrent runs are
/// served in order of arrival. All methods may be called again after a failure.
/// Lifetime: may be destroyed at any time, also after its io_context; calls in progress then end
/// with ProcessClosed.
/// Cancellation: terminal, at every suspension point; the call throws Cancelled{user} and its
/// connection is closed.
/// Throws LLMError; see `Errc`. A moved-from object throws Errc::invalid_handle.
/// Thread safety: to be used from its executor.
class LLMPROC_API AsyncLLMProcess {
public:
    /// Holds nothing, as after a move; so that `co_spawn` can carry one to its handler.
    AsyncLLMProcess() noexcept = default;
    explicit AsyncLLMProcess(std::shared_ptr<ProcessCore> core) noexcept;
    AsyncLLMProcess(AsyncLLMProcess&&) noexcept = default;
    AsyncLLMProcess& operator=(AsyncLLMProcess&& other) noexcept;
    ~AsyncLLMProcess();

    /// Sends a user message and waits for the model's answer.
    [[nodiscard]] boost::asio::awaitable<RunResult> run(std::string prompt);
    [[nodiscard]] boost::asio::awaitable<RunResult> run(std::string prompt, RunOptions options);
    /// The same with any message, e.g. with images or the results of tool calls.
    [[nodiscard]] boost::asio::awaitable<RunResult> run(Message message);
    [[nodiscard]] boost::asio::awaitable<RunResult> run(Message message, RunOptions options);

    /// `run` for any completion token: a callback, use_future, deferred, as_tuple and so on. The
    /// handler is called with void(std::exception_ptr, RunResult) on its associated executor, by
    /// default the process's; never inside this call.
    /// Lifetime: the process may be closed or destroyed first: ProcessClosed. The handler is
    /// destroyed uncalled when the io_context of its executor dies.
    /// Cancellation: terminal, through the handler's slot: Cancelled{user}.
    /// Throws at once, as nobody could call the handler: Errc::invalid_handle, loop_closed.
    template <typename CompletionToken>
    auto async_run(Message message, RunOptions options, CompletionToken&& token) {
        return boost::asio::async_initiate<CompletionToken, void(std::exception_ptr, RunResult)>(
            detail::RunStarter(living_core()),
            token,
            std::move(message),
            std::move(options)
        );
    }
    template <typename CompletionToken>
    auto async_run(std::string prompt, RunOptions options, CompletionToken&& token) {
        return async_run(
            Message::user(std::move(prompt)),
            std::move(options),
            std::forward<CompletionToken>(token)
        );
    }

    /// Sends a user message and reads the answer as a T: a struct with BOOST_DESCRIBE_STRUCT, or
    /// another type of <llmproc/typed.hpp>. The model is given its JSON Schema; an answer that does
    /// not follow it is sent back with what is wrong, once (`RunOptions::reasks`). The conversation
    /// gets the message and the valid answer only. See docs/typed_answers.md.
    /// Throws also LLMError{invalid_answer}, with the answer in `Diagnostics::partial_text`.
    template <typename T>
    [[nodiscard]] boost::asio::awaitable<T> run_as(
        Message message,
        RunOptions options = RunOptions()
    ) {
        const detail::AnswerType type = detail::answer_type<T>();
        return detail::value_of<T>(run_typed_as(std::move(message), std::move(options), type));
    }
    template <typename T>
    [[nodiscard]] boost::asio::awaitable<T> run_as(
        std::string prompt,
        RunOptions options = RunOptions()
    ) {
        return run_as<T>(Message::user(std::move(prompt)), std::move(options));
    }
    /// The same with usage, cost and the answer itself beside the value.
    template <typename T>
    [[nodiscard]] boost::asio::awaitable<TypedResult<T>> run_typed(
        Message message,
        RunOptions options = RunOptions()
    ) {
        const detail::AnswerType type = detail::answer_type<T>();
        return detail::result_of<T>(run_typed_as(std::move(message), std::move(options), type));
    }
    template <typename T>
    [[nodiscard]] boost::asio::awaitable<TypedResult<T>> run_typed(
        std::string prompt,
        RunOptions options = RunOptions()
    ) {
        return run_typed<T>(Message::user(std::move(prompt)), std::move(options));
    }

    /// Sends a user message; returns when the answer begins. Throws Errc::busy while another
    /// stream of this process is open, as `run` and `reset` do.
    [[nodiscard]] boost::asio::awaitable<Stream> stream(std::string prompt);
    [[nodiscard]] boost::asio::awaitable<Stream> stream(std::string prompt, RunOptions options);
    [[nodiscard]] boost::asio::awaitable<Stream> stream(Message message);
    [[nodiscard]] boost::asio::awaitable<Stream> stream(Message message, RunOptions options);

    /// One exchange without history: any number at once, beside runs.
    /// Model and parameters that the request leaves unset are the program's; its system prompt is
    /// the request's alone.
    [[nodiscard]] boost::asio::awaitable<ChatReply> complete(ChatRequest request);
    [[nodiscard]] boost::asio::awaitable<ChatReply> complete(
        ChatRequest request,
        RunOptions options
    );

    /// How many input tokens the conversation is now.
    [[nodiscard]] boost::asio::awaitable<TokenCount> count_tokens();
    [[nodiscard]] boost::asio::awaitable<TokenCount> count_tokens(RunOptions options);

    /// Vectors of texts, by `model.embedding_model`. Texts that are too many for one request are
    /// sent as several, in order; it fails as a whole.
    /// Throws Errc::not_supported where the provider has no embeddings.
    [[nodiscard]] boost::asio::awaitable<Embeddings> embed(std::vector<std::string> texts);
    [[nodiscard]] boost::asio::awaitable<Embeddings> embed(
        std::vector<std::string> texts,
        RunOptions options
    );
    /// The same with a model and a length of the vectors.
    [[nodiscard]] boost::asio::awaitable<Embeddings> embed(EmbedRequest request);
    [[nodiscard]] boost::asio::awaitable<Embeddings> embed(
        EmbedRequest request,
        RunOptions options
    );

    /// The ids of the provider's models, all pages of the list, in the provider's order.
    /// Throws Errc::not_supported where it has no list.
    [[nodiscard]] boost::asio::awaitable<std::vector<std::string>> list_models();
    [[nodiscard]] boost::asio::awaitable<std::vector<std::string>> list_models(RunOptions options);

    /// The conversation so far, without the system prompt.
    History messages() const;
    /// Forgets the conversation once earlier runs have ended.
    [[nodiscard]] boost::asio::awaitable<void> reset();
    ProcessStats stats() const;

    /// Runs background work on the process's executor until it ends or the process is closed,
    /// which cancels it. An exception that escapes it is logged.
    void spawn(boost::asio::awaitable<void> work);

    /// Cancels calls and background work, and waits (2 s at most) until they have ended.
    /// Idempotent. Calls in progress throw ProcessClosed.
    [[nodiscard]] boost::asio::awaitable<void> aclose();

    /// The executor given at the start. Throws Errc::loop_closed after its context has died.
    boost::asio::any_io_executor get_executor() const;

private:
    boost::asio::awaitable<detail::TypedAnswer> run_typed_as(
        Message message,
        RunOptions options,
        detail::AnswerType type
    );
    /// Throws Errc::invalid_handle, loop_closed.
    const std::shared_ptr<ProcessCore>& living_core() const;
    std::shared_ptr<ProcessCore> core_;
};

}  // namespace llmproc
