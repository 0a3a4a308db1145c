/// @file
/// An executor that knows which task its coroutines belong to.
#pragma once

#include <llmproc/context_map.hpp>

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <string>

namespace llmproc::async {

/// What the coroutines of a task can ask about it.
class TaskScope {
public:
    TaskScope(std::string task_name, ContextMap task_context, std::weak_ptr<void> blocked_caller);

    const std::string name;
    const ContextMap context;          ///< With "task" = name, if it has one.
    const std::weak_ptr<void> caller;  ///< The CallerQueue of the thread that blocks for the task.
};

/// Wraps `inner`: what it executes runs with the scope's context as the thread's.
boost::asio::any_io_executor with_scope(
    const boost::asio::any_io_executor& inner,
    std::shared_ptr<const TaskScope> scope
);
/// The scope of an executor made by `with_scope`; null for others.
std::shared_ptr<const TaskScope> scope_of(const boost::asio::any_io_executor& executor);
/// What `with_scope` wrapped; the executor itself if it is another one.
boost::asio::any_io_executor without_scope(const boost::asio::any_io_executor& executor);
/// Of the handler that the calling thread runs now; null if it has none.
const TaskScope* current_scope() noexcept;

}  // namespace llmproc::async
