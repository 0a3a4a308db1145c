/// @file
/// Tasks that belong together.
#pragma once

#include <llmproc/export.hpp>
#include <llmproc/task.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <utility>

namespace llmproc {

/// A scope for tasks. The first one that fails cancels the others (CancelReason::sibling); `join`
/// waits for all and throws that first error, later ones are reported to the loop's handler.
///
/// Lifetime: the destructor cancels what is left (CancelReason::abandoned) and leaves it to the
/// loop; `join` or `cancel_and_join` before it, so that nothing outlives the scope.
/// Thread safety: all members from any thread but destruction.
class LLMPROC_API TaskGroup {
public:
    explicit TaskGroup(EventLoop loop);
    TaskGroup(TaskGroup&&) noexcept = default;
    TaskGroup& operator=(TaskGroup&&) = delete;
    ~TaskGroup();

    /// Throws LLMError{invalid_argument} once the group is being joined and all has ended, or was
    /// cancelled; else as EventLoop::create_task.
    template <typename T>
    Task<T> create_task(boost::asio::awaitable<T> body, std::string name = std::string()) {
        check_open();
        Task<T> task = loop().create_task(std::move(body), std::move(name));
        add(task);
        return task;
    }
    const EventLoop& loop() const;
    boost::asio::any_io_executor get_executor() const { return loop().get_executor(); }
    /// Tasks that have not ended.
    std::size_t size() const;

    void cancel(CancelReason reason = CancelReason::user);
    /// Waits until all tasks have ended, those that are added meanwhile too; throws the first error.
    /// Cancellation of the waiting coroutine cancels the tasks, waits for their end and throws
    /// Cancelled.
    [[nodiscard]] boost::asio::awaitable<void> join();
    /// Cancels all and waits for their end. Does not throw what the tasks threw.
    [[nodiscard]] boost::asio::awaitable<void> cancel_and_join(
        CancelReason reason = CancelReason::user
    );

private:
    class State;
    State& state() const;
    void check_open() const;
    void add(const TaskHandle& task);
    std::shared_ptr<State> state_;
};

}  // namespace llmproc
