#include "runtime/loop_state.hpp"

#include "core/log_line.hpp"
#include "core/made_error.hpp"
#include "runtime/scheduled_call.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

thread_local LoopCore::State* current_loop = nullptr;

std::string refusal_text(Errc code) {
    if (code == Errc::loop_died) {
        return "the event loop died of repeated failures of its handlers; start a new one";
    }
    return "the event loop is closed; start a new one";
}

std::uint64_t count(const std::vector<MemberList::Pointer>& members) {
    return static_cast<std::uint64_t>(std::count_if(
        members.begin(),
        members.end(),
        [](const MemberList::Pointer& member) { return member->counted(); }
    ));
}

/// An error each: the threads that get them share nothing.
void end_each(
    const std::vector<MemberList::Pointer>& members,
    Errc code,
    const char* why
) noexcept {
    for (const MemberList::Pointer& member : members) {
        member->loop_ended(made_error(code, why));
    }
}

}  // namespace

LoopCore::State::State(LoopKind whose, const asio::any_io_executor& plain)
    : kind(whose),
      plain_executor(plain) {
    if (kind == LoopKind::attached) {
        callback_executor = asio::make_strand(plain);
        return;
    }
    io.emplace(1);
    guard.emplace(asio::make_work_guard(*io));
    plain_executor = io->get_executor();
    callback_executor = plain_executor;
}

void LoopCore::State::check_accepting() const {
    if (refusal) {
        throw LLMError(*refusal, refusal_text(*refusal));
    }
}

void LoopCore::State::forget(const LoopMember& member) noexcept {
    if (inherited()) {
        return;
    }
    MemberList::Pointer last;
    const std::lock_guard lock(mutex);
    last = members.remove(member);
    if (ending && members.empty()) {
        post_finish();
    }
}

// A queue of our own: Asio keeps what the loop's thread posts apart until its handler has returned,
// and other threads overtake it.
void LoopCore::State::call_soon(std::shared_ptr<ScheduledCall::State> call) {
    check_process();
    const std::lock_guard lock(mutex);
    check_accepting();
    soon.push_back(std::move(call));
    try {
        if (io) {
            asio::post(*io, [this] { run_next(); });
        } else {
            asio::post(callback_executor, [self = shared_from_this()] { self->run_next(); });
        }
    } catch (...) {
        soon.pop_back();
        throw;
    }
}

void LoopCore::State::run_next() {
    std::shared_ptr<ScheduledCall::State> call;
    {
        const std::lock_guard lock(mutex);
        if (soon.empty()) {
            return;
        }
        call = std::move(soon.front());
        soon.pop_front();
    }
    call->run(std::chrono::steady_clock::time_point());
}

void LoopCore::State::begin_end(CancelReason reason) {
    std::vector<MemberList::Pointer> ended;
    std::vector<MemberList::Pointer> cancelled;
    {
        const std::lock_guard lock(mutex);
        if (ending) {
            return;
        }
        ended = members.take_unordered();
        cancelled = members.all();
        ending = true;
        refusal = refusal.value_or(Errc::loop_closed);
        report_so_far.cancelled_calls = count(ended);
        report_so_far.cancelled_tasks = count(cancelled);
        if (members.empty()) {
            post_finish();
        }
    }
    changed.notify_all();
    end_each(ended, Errc::loop_closed, "the event loop was shut down");
    for (const MemberList::Pointer& task : cancelled) {
        task->cancel(reason);
    }
}

std::size_t LoopCore::State::end_members(Errc code, const char* why) {
    std::vector<MemberList::Pointer> left;
    {
        const std::lock_guard lock(mutex);
        refusal = refusal.value_or(code);
        left = members.take_all();
    }
    end_each(left, code, why);
    return count(left);
}

void LoopCore::State::post_finish() noexcept {
    if (finish_posted || exited) {
        return;
    }
    finish_posted = true;
    try {
        if (io) {
            asio::post(*io, [this] { finish(); });
        } else if (plain_executor && !owned.empty()) {
            asio::post(callback_executor, [self = shared_from_this()] { self->finish(); });
        } else {
            exited = true;
            changed.notify_all();
        }
    } catch (const std::exception&) {
        // Without memory the loop ends when the budget is over.
        finish_posted = false;
    }
}

void LoopCore::State::finish() noexcept {
    std::vector<std::shared_ptr<void>> objects;
    {
        const std::lock_guard lock(mutex);
        objects.swap(owned);
    }
    while (!objects.empty()) {
        objects.pop_back();
    }
    if (io) {
        guard.reset();
    } else {
        set_exited();
    }
}

void LoopCore::State::set_exited() noexcept {
    {
        const std::lock_guard lock(mutex);
        exited = true;
    }
    changed.notify_all();
}

void LoopCore::State::context_died() noexcept {
    if (inherited()) {
        return;
    }
    std::deque<std::shared_ptr<ScheduledCall::State>> unrun;
    {
        const std::lock_guard lock(mutex);
        unrun.swap(soon);
        ending = true;
        refusal = refusal.value_or(Errc::loop_closed);
        plain_executor = asio::any_io_executor();
        callback_executor = asio::any_io_executor();
    }
    end_members(Errc::loop_closed, "the io_context of the event loop has been destroyed");
    finish();
}

void LoopCore::State::report(std::exception_ptr error, std::string_view name) noexcept {
    std::shared_ptr<const ExceptionHandler> handler;
    {
        const std::lock_guard lock(settings_mutex);
        handler = on_exception;
    }
    std::string what;
    try {
        if (handler && *handler) {
            (*handler)(std::move(error), name);
            return;
        }
        what = "unhandled error in " + std::string(name) + ": ";
        std::rethrow_exception(std::move(error));
    } catch (const std::exception& escaped) {
        what += escaped.what();
    } catch (...) {
        what += "an exception of an unknown type";
    }
    log_line(LogLevel::error, what);
}

RunningHere::RunningHere(LoopCore::State& state) noexcept : outer_(current_loop) {
    current_loop = &state;
}

RunningHere::~RunningHere() {
    current_loop = outer_;
}

LoopCore::State* RunningHere::current() noexcept {
    // In a child that a handler has forked this thread runs no loop.
    return current_loop != nullptr && !current_loop->inherited() ? current_loop : nullptr;
}

}  // namespace llmproc
