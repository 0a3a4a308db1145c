/// @file
/// Starts a call's coroutine, and lets a coroutine of another executor await it.
#pragma once

#include "async/call_context.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/awaitable.hpp>

#include <exception>
#include <functional>
#include <memory>

namespace llmproc::async {

/// Receives how a coroutine ended: null, or what it threw.
using Completion = std::function<void(std::exception_ptr)>;

/// Runs `body` on the call's executor; `done` is called there, exactly once, with the error already
/// translated. When the executor's context dies first, body and `done` are destroyed uncalled.
/// Preconditions: called on the call's executor.
///
/// Immune to Asio 1.81's fault of losing the completion when a coroutine is cancelled before its
/// first suspension.
void spawn(std::shared_ptr<CallContext> call, boost::asio::awaitable<void> body, Completion done);

/// Runs `begin` on the call's executor, at once if this is it. If the context has died, `begin` is
/// destroyed uncalled.
void start(const CallContext& call, std::function<void()> begin);

/// Makes the body of a call. It runs on the call's executor.
using BodyFactory = std::function<boost::asio::awaitable<void>()>;

class Waiter;
/// `spawn` with the waiter as its `done`, which also learns that the call could not begin.
void spawn_for(
    std::shared_ptr<Waiter> waiter,
    std::shared_ptr<CallContext> call,
    const BodyFactory& make_body
);

/// Runs a call on its own executor and awaits it on the caller's, whatever contexts they belong to.
/// A terminal cancellation of the caller ends the call with CancelReason::user.
/// Throws what the body threw, translated; Errc::loop_closed when the call's context dies.
///
/// Asio 1.81's co_spawn to another executor posts a raw pointer to the signal and crashes when the
/// child ends first; here the slot holds a weak pointer only and is cleared on the caller's
/// executor before it is resumed.
boost::asio::awaitable<void> await_call(std::shared_ptr<CallContext> call, BodyFactory body);

}  // namespace llmproc::async
