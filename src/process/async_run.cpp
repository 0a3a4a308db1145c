#include <llmproc/process.hpp>
#include "async/spawn.hpp"
#include "async/waiter.hpp"
#include "process/operations.hpp"
#include "process/process_core.hpp"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>

#include <memory>
#include <utility>

namespace llmproc::detail {

namespace asio = boost::asio;

namespace {

using RunOutcome = std::shared_ptr<Outcome<RunResult>>;

/// The handler as what a waiter resumes. It does not pass on the handler's allocator: that lives in
/// the handler, which is destroyed before its wrapping is given back.
class RunCompletion {
public:
    using cancellation_slot_type = asio::cancellation_slot;

    RunCompletion(RunHandler handler, RunOutcome outcome) noexcept
        : handler_(std::move(handler)),
          outcome_(std::move(outcome)) {}

    cancellation_slot_type get_cancellation_slot() const noexcept {
        return handler_.get_cancellation_slot();
    }

    void operator()(std::exception_ptr error) {
        RunResult result;
        if (!error) {
            result = std::move(*outcome_->value);
        } else if (outcome_) {
            error = annotated(error, outcome_->note);
        }
        outcome_.reset();
        // The handler gets the last reference to the error.
        std::move(handler_)(std::move(error), std::move(result));
    }

private:
    RunHandler handler_;
    RunOutcome outcome_;
};

/// Takes a handler to an executor whose type, and so whose context, is hidden.
class Hop {
public:
    using cancellation_slot_type = asio::cancellation_slot;

    Hop(RunHandler handler, const asio::any_io_executor& candidate)
        : executor_(asio::prefer(
              asio::get_associated_executor(handler, candidate),
              asio::execution::outstanding_work.tracked
          )),
          handler_(std::move(handler)) {}

    cancellation_slot_type get_cancellation_slot() const noexcept {
        return handler_.get_cancellation_slot();
    }

    void operator()(std::exception_ptr error, RunResult result) {
        const asio::any_completion_executor executor = std::move(executor_);
        asio::dispatch(
            executor,
            [handler = std::move(handler_), error = std::move(error), result = std::move(result)](
            ) mutable { std::move(handler)(std::move(error), std::move(result)); }
        );
    }

private:
    asio::any_completion_executor executor_;
    RunHandler handler_;
};

std::shared_ptr<async::Waiter> make_waiter(
    RunHandler handler,
    RunOutcome outcome,
    const asio::any_io_executor& own,
    const asio::any_io_executor& other
) {
    RunCompletion completion(std::move(handler), std::move(outcome));
    return std::make_shared<async::Waiter>(
        async::Waiter::Handler(std::move(completion)),
        own,
        async::context_of(other)
    );
}

void start_on(
    const asio::any_io_executor& own,
    const std::shared_ptr<ProcessCore>& core,
    Message message,
    const RunOptions& options,
    RunHandler handler
) {
    Operation<RunResult> operation;
    std::exception_ptr refused;
    try {
        operation = make_run(core, std::move(message), options, WhenStreaming::fail);
    } catch (...) {
        refused = std::current_exception();
    }
    if (refused) {
        make_waiter(std::move(handler), nullptr, own, asio::any_io_executor())
            ->resume_later(std::move(refused));
        return;
    }
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): the call may let go of it.
    const asio::any_io_executor strand = operation.context->executor();
    auto waiter = make_waiter(std::move(handler), operation.outcome, own, strand);
    operation.context->cancelled_by(waiter->slot());
    // Posted, as a dispatch could run it, to its end, within the caller's own call.
    asio::post(
        strand,
        [waiter = std::move(waiter), context = operation.context, body = std::move(operation.body)](
        ) mutable { async::spawn_for(std::move(waiter), std::move(context), body); }
    );
}

}  // namespace

asio::any_io_executor executor_of(const std::shared_ptr<ProcessCore>& core) {
    return core->executor_if_alive();
}

void start_run(
    const std::shared_ptr<ProcessCore>& core,
    Message message,
    const RunOptions& options,
    RunHandler handler,
    asio::any_io_executor own
) {
    if (own) {
        start_on(own, core, std::move(message), options, std::move(handler));
        return;
    }
    const asio::any_io_executor home = core->executor_if_alive();
    if (!home) {
        // The handler's executor has died with its context.
        return;
    }
    Hop hop(std::move(handler), home);
    start_on(home, core, std::move(message), options, RunHandler(std::move(hop)));
}

}  // namespace llmproc::detail
