/// @file
/// A conversation with a model, for blocking code.
#pragma once

#include <llmproc/asio_fwd.hpp>
#include <llmproc/chat.hpp>
#include <llmproc/detail/type_of.hpp>
#include <llmproc/embeddings.hpp>
#include <llmproc/event_loop.hpp>
#include <llmproc/export.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/stats.hpp>
#include <llmproc/sync_stream.hpp>
#include <llmproc/typed_result.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace llmproc {

/// Options of `LLMProgram::start_sync`.
class SyncOptions {
public:
    SyncOptions() = default;
    /// Shares a loop instead of starting one; the loop outlives the process.
    SyncOptions& on(EventLoop loop) {
        loop_ = std::move(loop);
        return *this;
    }
    const std::optional<EventLoop>& loop() const noexcept { return loop_; }

private:
    std::optional<EventLoop> loop_;
};

/// A running conversation with a private loop on a background thread; made by
/// `LLMProgram::start_sync`. The loop lives until `close`: connections stay open and background
/// work goes on between calls.
///
/// Every method is the one of AsyncLLMProcess run to its end on that loop: same results, same
/// errors, same transaction. Runs of several threads are served in order of arrival.
/// A blocking call on a thread of any EventLoop throws WouldDeadlock.
/// Lifetime: the destructor closes; on the loop's own thread it does so in the background.
/// Cancellation: `RunOptions::stop_token`, `RunOptions::timeout`, `close` from another thread.
/// Throws LLMError; see `Errc`. A moved-from object throws Errc::invalid_handle.
/// Thread safety: all members but move and destruction from any thread.
class LLMPROC_API SyncLLMProcess {
public:
    class Impl;
    explicit SyncLLMProcess(std::unique_ptr<Impl> impl) noexcept;
    SyncLLMProcess(SyncLLMProcess&&) noexcept;
    SyncLLMProcess& operator=(SyncLLMProcess&&) noexcept;
    ~SyncLLMProcess();

    /// Sends a user message and waits for the model's answer.
    RunResult run(std::string prompt, RunOptions options = RunOptions());
    /// The same with any message, e.g. with images or the results of tool calls.
    RunResult run(Message message, RunOptions options = RunOptions());
    /// Sends a user message and reads the answer as a T: a struct with BOOST_DESCRIBE_STRUCT, or
    /// another type of <llmproc/typed.hpp>. The model is given its JSON Schema; an answer that does
    /// not follow it is sent back with what is wrong, once (`RunOptions::reasks`). The conversation
    /// gets the message and the valid answer only. See docs/typed_answers.md.
    /// Throws also LLMError{invalid_answer}, with the answer in `Diagnostics::partial_text`.
    template <typename T>
    T run_as(Message message, RunOptions options = RunOptions()) {
        const detail::AnswerType type = detail::answer_type<T>();
        return run_typed_as(std::move(message), std::move(options), type).template take_value<T>();
    }
    template <typename T>
    T run_as(std::string prompt, RunOptions options = RunOptions()) {
        return run_as<T>(Message::user(std::move(prompt)), std::move(options));
    }
    /// The same with usage, cost and the answer itself beside the value.
    template <typename T>
    TypedResult<T> run_typed(Message message, RunOptions options = RunOptions()) {
        const detail::AnswerType type = detail::answer_type<T>();
        return run_typed_as(std::move(message), std::move(options), type).template take<T>();
    }
    template <typename T>
    TypedResult<T> run_typed(std::string prompt, RunOptions options = RunOptions()) {
        return run_typed<T>(Message::user(std::move(prompt)), std::move(options));
    }
    /// Sends a user message; returns when the answer begins.
    SyncStream stream(std::string prompt, RunOptions options = RunOptions());
    SyncStream stream(Message message, RunOptions options = RunOptions());
    /// One exchange without history: any number of threads at once, beside runs.
    /// Model and parameters that the request leaves unset are the program's; its system prompt is
    /// the request's alone.
    ChatReply complete(ChatRequest request, RunOptions options = RunOptions());
    /// How many input tokens the conversation is now.
    TokenCount count_tokens(RunOptions options = RunOptions());
    /// Vectors of texts, by `model.embedding_model`. Texts that are too many for one request are
    /// sent as several, in order; it fails as a whole.
    /// Throws Errc::not_supported where the provider has no embeddings.
    Embeddings embed(std::vector<std::string> texts, RunOptions options = RunOptions()) {
        return embed(EmbedRequest(std::move(texts)), std::move(options));
    }
    /// The same with a model and a length of the vectors.
    Embeddings embed(EmbedRequest request, RunOptions options = RunOptions());
    /// The ids of the provider's models, all pages of the list, in the provider's order.
    /// Throws Errc::not_supported where it has no list.
    std::vector<std::string> list_models(RunOptions options = RunOptions());
    /// The conversation so far, without the system prompt.
    History messages() const;
    /// Forgets the conversation once earlier runs have ended.
    void reset();
    ProcessStats stats() const;

    /// Runs background work on the process's loop until it ends or the process is closed, which
    /// cancels it. An exception that escapes it is logged.
    void spawn(boost::asio::awaitable<void, boost::asio::any_io_executor> work);

    /// Cancels calls and background work, waits until they have ended, closes the connections and
    /// joins the loop's thread, within `budget`. Idempotent; a second caller waits for the first.
    ShutdownReport close(std::chrono::milliseconds budget = std::chrono::milliseconds(2000));

    /// The loop's executor. Throws Errc::process_closed after `close`.
    boost::asio::any_io_executor get_executor() const;
    /// The loop.
    EventLoop loop() const;

private:
    detail::TypedAnswer run_typed_as(Message message, RunOptions options, detail::AnswerType type);
    Impl& impl() const;
    std::unique_ptr<Impl> impl_;
};

}  // namespace llmproc
