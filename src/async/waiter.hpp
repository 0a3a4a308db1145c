/// @file
/// A coroutine that waits on its own io_context for something on another one.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/execution_context.hpp>

#include <cstddef>
#include <exception>
#include <memory>

namespace llmproc::async {

class WaiterList;

/// The context behind an executor; null if there is none.
const boost::asio::execution_context* context_of(const boost::asio::any_io_executor& executor);

/// Resumes its coroutine exactly once, unless the coroutine's context dies first: then the handler
/// is destroyed with that context. While it waits it keeps its context busy.
///
/// Destroying an unused waiter resumes with Errc::loop_closed: what it waited for has died, and it
/// must not wait for ever on its own.
/// Thread safety: all members from any thread.
class Waiter {
public:
    using Handler = boost::asio::any_completion_handler<void(std::exception_ptr)>;

    /// `own` is the coroutine's executor, `other` the context of what it waits for.
    Waiter(
        Handler handler,
        const boost::asio::any_io_executor& own,
        const boost::asio::execution_context* other
    );
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;
    ~Waiter();

    /// The coroutine's cancellation slot; cleared before the coroutine is resumed.
    boost::asio::cancellation_slot& slot() noexcept { return slot_; }
    /// At once if this is the coroutine's context, else by a post.
    void resume(std::exception_ptr error);
    /// By a post in any case: an operation must not complete inside the function that starts it.
    void resume_later(std::exception_ptr error = nullptr);

private:
    friend class WaiterList;
    void complete(std::exception_ptr error, bool post);

    static constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

    std::shared_ptr<WaiterList> list_;  ///< Of the coroutine's context, if that is another one.
    std::size_t place_ = nowhere;       ///< In the list, guarded by its lock.
    Handler handler_;
    boost::asio::cancellation_slot slot_;
    boost::asio::any_io_executor executor_;
};

}  // namespace llmproc::async
