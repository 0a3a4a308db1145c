/// @file
/// How an operation is made: its context, and what the observer is told of its end.
#pragma once

#include "process/call_report.hpp"
#include "process/operations.hpp"
#include "process/process_core.hpp"
#include "process/usage_of.hpp"

#include <boost/asio/awaitable.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace llmproc {

/// Runs a body and tells the observer how the call ended.
template <typename T>
boost::asio::awaitable<void> reported(
    std::shared_ptr<async::CallContext> context,
    std::function<boost::asio::awaitable<void>()> body,
    std::shared_ptr<Outcome<T>> outcome
) {
    CallReport report(*context);
    std::exception_ptr error;
    try {
        co_await body();
    } catch (...) {
        error = context->translate(std::current_exception());
    }
    if (error) {
        report.failed(outcome->note, error);
        std::rethrow_exception(error);
    }
    report.succeeded(outcome->note, usage_of(*outcome->value));
}

/// Only a call that somebody observes pays for it.
template <typename T>
void report_to_observer(Operation<T>& operation) {
    if (operation.context->trace()) {
        operation.body = [context = operation.context,
                          body = std::move(operation.body),
                          outcome = operation.outcome]() mutable {
            return reported<T>(std::move(context), std::move(body), std::move(outcome));
        };
    }
}

/// `name` is the operation that the observer is told, a literal.
template <typename T>
Operation<T> prepared(ProcessCore& core, const RunOptions& options, std::string_view name) {
    Operation<T> operation;
    operation.context = core.make_context(options);
    operation.context->trace().operation(name, false);
    operation.outcome = std::make_shared<Outcome<T>>();
    return operation;
}

}  // namespace llmproc
