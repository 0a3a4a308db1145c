#include "process/operations.hpp"

#include "async/spawn.hpp"
#include "core/made_error.hpp"
#include "process/call_report.hpp"
#include "process/failure_count.hpp"
#include "process/reported_operation.hpp"

#include <boost/asio/post.hpp>

#include <utility>
#include <vector>

namespace llmproc {

namespace asio = boost::asio;
using async::Clock;

namespace {

std::chrono::milliseconds since(Clock::time_point begin) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
}

RunRecord record_of(const SpendingTotals& spent, const Diagnostics& note, Clock::time_point begin) {
    RunRecord record;
    record.provider = note.provider;
    record.model = note.model;
    record.usage = spent.usage;
    record.cost = spent.complete_cost();
    record.api_calls = static_cast<int>(spent.exchanges);
    record.attempts = note.attempts;
    record.duration = since(begin);
    return record;
}

void refuse_while_streaming(const ProcessCore& core, WhenStreaming when) {
    if (when == WhenStreaming::fail && core.open_stream()) {
        throw LLMError(
            Errc::busy,
            "a stream of this process is open; read it to its end or destroy it first"
        );
    }
}

/// The next exchange of a call; its attempts go on counting.
void describe_anew(Diagnostics& note, Diagnostics next) {
    next.attempts = note.attempts;
    note = std::move(next);
}

using RunOutcome = std::shared_ptr<Outcome<RunResult>>;
using MessagePtr = std::shared_ptr<const Message>;

// At -O2 g++ 12 takes the operators of Asio's frame for a mismatch once both are inlined.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif
asio::awaitable<void> run_body(
    std::shared_ptr<ActiveCall> call,
    MessagePtr message,
    RunOutcome outcome,
    WhenStreaming when,
    std::shared_ptr<TypedRun> typed
) {
    ProcessCore& core = call->core();
    const Clock::time_point begin = Clock::now();
    FailureCount failure(core);
    refuse_while_streaming(core, when);
    const async::FifoLock::Hold turn = co_await core.slot().acquire(call->context());
    ChatRequest request = core.request_with(message);
    if (typed) {
        typed->prepare(request);
    }
    const SamplingParams own_params = request.params;
    const SpendingTotals& spent = call->spending().totals();
    ChatReply reply;
    std::vector<FailedModel> failed;
    for (bool accepted = false; !accepted;) {
        request.params = own_params;
        describe_anew(outcome->note, core.chat().describe(request));
        ModelExchange exchange(call->context(), call->retry(), call->spending(), outcome->note);
        try {
            ChatReply answer = co_await core.models().ask(exchange, request);
            reply = std::move(answer);
        } catch (...) {
            if (spent.exchanges > 0) {
                // The answer that was no value is all there is.
                outcome->note.partial_text = reply.text();
                outcome->note.partial_usage = spent.usage;
            }
            throw;
        }
        failed.insert(failed.end(), exchange.failed.begin(), exchange.failed.end());
        accepted = !typed || typed->accepts(reply, spent, request);
    }
    // What was asked again had more in it than the conversation has.
    core.commit(message, reply, spent.exchanges == 1 ? reply.usage : Usage());
    failure.succeeded();
    RunRecord record = record_of(spent, outcome->note, begin);
    record.fallbacks = std::move(failed);
    outcome->value.emplace(std::move(reply), std::move(record));
}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

asio::awaitable<void> complete_body(
    std::shared_ptr<ActiveCall> call,
    std::shared_ptr<ChatRequest> request,
    std::shared_ptr<Outcome<ChatReply>> outcome
) {
    ProcessCore& core = call->core();
    outcome->note = core.chat().describe(*request);
    ModelExchange exchange(call->context(), call->retry(), call->spending(), outcome->note);
    exchange.keep_encoded = false;
    ChatReply reply = co_await core.models().ask(exchange, *request);
    outcome->value.emplace(std::move(reply));
}

asio::awaitable<void> reset_body(
    std::shared_ptr<ActiveCall> call,
    std::shared_ptr<Outcome<Nothing>> outcome,
    WhenStreaming when
) {
    ProcessCore& core = call->core();
    refuse_while_streaming(core, when);
    const async::FifoLock::Hold turn = co_await core.slot().acquire(call->context());
    core.clear_history();
    outcome->value.emplace();
}

asio::awaitable<void> close_body(
    std::shared_ptr<ProcessCore> core,
    std::shared_ptr<async::CallContext> context,
    std::shared_ptr<Outcome<Nothing>> outcome
) {
    core->begin_close();
    std::function<void()> idle = [weak = std::weak_ptr(context)] {
        if (const auto closing = weak.lock()) {
            closing->notify_from_anywhere();
        }
    };
    core->when_idle(std::move(idle));
    co_await context->wait_notified(Stage::close);
    outcome->value.emplace();
}

/// Ends the stream on every way out: a body that never starts, or dies with its io_context.
class StreamEnd {
public:
    explicit StreamEnd(std::shared_ptr<StreamState> state) noexcept : state_(std::move(state)) {}
    StreamEnd(const StreamEnd&) = delete;
    StreamEnd& operator=(const StreamEnd&) = delete;
    ~StreamEnd() {
        state_->finish(
            made_error(Errc::loop_closed, "the event loop ended while the stream was open"),
            std::nullopt
        );
    }
    const std::shared_ptr<StreamState>& state() const noexcept { return state_; }

private:
    std::shared_ptr<StreamState> state_;
};

asio::awaitable<RunResult> stream_turn(
    ActiveCall& call,
    const MessagePtr& message,
    const std::shared_ptr<StreamState>& state
) {
    ProcessCore& core = call.core();
    const Clock::time_point begin = Clock::now();
    const async::FifoLock::Hold turn = co_await core.slot().acquire(call.context());
    core.set_open_stream(state);
    ChatRequest request = core.request_with(message);
    state->note = core.chat().describe(request);
    ModelExchange exchange(call.context(), call.retry(), call.spending(), state->note, state.get());
    ChatReply reply = co_await core.models().ask(exchange, request);
    co_await state->drained();
    core.commit(message, reply, reply.usage);
    RunRecord record = record_of(call.spending().totals(), state->note, begin);
    record.fallbacks = std::move(exchange.failed);
    co_return RunResult(std::move(reply), std::move(record));
}

asio::awaitable<void> stream_body(
    std::shared_ptr<ActiveCall> call,
    MessagePtr message,
    std::shared_ptr<StreamEnd> end,
    WhenStreaming when
) {
    const std::shared_ptr<StreamState>& state = end->state();
    FailureCount failure(call->core());
    CallReport report(call->context());
    std::exception_ptr error;
    std::optional<RunResult> result;
    try {
        refuse_while_streaming(call->core(), when);
        RunResult turn = co_await stream_turn(*call, message, state);
        result.emplace(std::move(turn));
        failure.succeeded();
        report.succeeded(state->note, &result->usage());
    } catch (...) {
        error = call->context().translate(std::current_exception());
        report.failed(state->note, error);
    }
    // Who has read the stream to its end may destroy the process: nothing is open then.
    call->end();
    state->finish(std::move(error), std::move(result));
}

}  // namespace

Operation<RunResult> make_run(
    const std::shared_ptr<ProcessCore>& core,
    Message message,
    const RunOptions& options,
    WhenStreaming when,
    std::shared_ptr<TypedRun> typed
) {
    auto operation = prepared<RunResult>(*core, options, "chat");
    auto call = core->open_call(operation.context, options);
    MessagePtr shared = std::make_shared<const Message>(std::move(message));
    operation.body =
        [call, shared, outcome = operation.outcome, when, typed = std::move(typed)]() mutable {
            return run_body(
                std::move(call),
                std::move(shared),
                std::move(outcome),
                when,
                std::move(typed)
            );
        };
    report_to_observer(operation);
    return operation;
}

Operation<ChatReply> make_complete(
    const std::shared_ptr<ProcessCore>& core,
    ChatRequest request,
    const RunOptions& options
) {
    auto operation = prepared<ChatReply>(*core, options, "chat");
    auto call = core->open_call(operation.context, options);
    if (operation.context->trace()) {
        core->chat().introduce(operation.context->trace(), request.model);
    }
    auto shared = std::make_shared<ChatRequest>(std::move(request));
    operation.body = [call, shared, outcome = operation.outcome]() mutable {
        return complete_body(std::move(call), std::move(shared), std::move(outcome));
    };
    report_to_observer(operation);
    return operation;
}

Operation<Nothing> make_reset(const std::shared_ptr<ProcessCore>& core, WhenStreaming when) {
    auto operation = prepared<Nothing>(*core, RunOptions(), "reset");
    // It asks nobody for anything: no events, not even of its wait.
    operation.context->trace().attach(nullptr);
    auto call = core->open_call(operation.context, RunOptions());
    operation.body = [call, outcome = operation.outcome, when]() mutable {
        return reset_body(std::move(call), std::move(outcome), when);
    };
    return operation;
}

Operation<Nothing> make_close(
    const std::shared_ptr<ProcessCore>& core,
    std::chrono::milliseconds budget
) {
    Operation<Nothing> operation;
    operation.context = core->make_closing_context(budget);
    operation.outcome = std::make_shared<Outcome<Nothing>>();
    operation.body =
        [core = core, context = operation.context, outcome = operation.outcome]() mutable {
            return close_body(std::move(core), std::move(context), std::move(outcome));
        };
    return operation;
}

std::function<void()> stream_start(StreamOperation& operation) {
    return [context = operation.context, state = operation.state, body = std::move(operation.body)](
           ) mutable {
        try {
            async::spawn(context, body(), [](const std::exception_ptr&) {
                // The body has told the stream's state how it ended.
            });
        } catch (...) {
            // Out of memory: it has not begun.
            context->finish();
            state->finish(std::current_exception(), std::nullopt);
        }
    };
}

StreamOperation make_stream(
    const std::shared_ptr<ProcessCore>& core,
    Message message,
    const RunOptions& options,
    WhenStreaming when
) {
    const std::chrono::milliseconds total = core->timeout_of(options);
    StreamOperation operation;
    operation.context = core->make_context(options);
    operation.context->trace().operation("chat", true);
    auto call = core->open_call(operation.context, options);
    operation.state = std::make_shared<StreamState>(
        operation.context,
        std::this_thread::get_id(),
        stuck_loop_bound(total, stuck_loop_grace)
    );
    MessagePtr shared = std::make_shared<const Message>(std::move(message));
    auto end = std::make_shared<StreamEnd>(operation.state);
    operation.body = [call, shared, end, when]() mutable {
        return stream_body(std::move(call), std::move(shared), std::move(end), when);
    };
    return operation;
}

}  // namespace llmproc
