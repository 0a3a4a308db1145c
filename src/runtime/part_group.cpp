#include "runtime/part_group.hpp"

#include <llmproc/error.hpp>
#include "core/log_line.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <string>
#include <utility>

namespace llmproc {

namespace asio = boost::asio;

namespace {

bool is_cancellation(const boost::system::error_code& code) {
    return code == asio::error::operation_aborted || code == Condition::cancelled;
}

/// Errors that nobody will see; those of a cancellation are expected.
void log_later_error(const std::exception_ptr& error) noexcept {
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& later) {
        if (!is_cancellation(later.code())) {
            log_line(LogLevel::warning, std::string("a later error of a part: ") + later.what());
        }
    } catch (const std::exception& later) {
        log_line(LogLevel::warning, std::string("a later error of a part: ") + later.what());
    } catch (...) {
        log_line(LogLevel::warning, "a later error of a part, of a type that is no std::exception");
    }
}

}  // namespace

/// What Asio calls at a part's end. It has no executor of its own, so that Asio 1.81 hands
/// cancellation on directly instead of posting a pointer that may dangle by then.
class PartGroup::PartEnd {
public:
    using cancellation_slot_type = asio::cancellation_slot;

    PartEnd(std::shared_ptr<PartGroup> group, std::size_t index) noexcept
        : group_(std::move(group)),
          index_(index) {}

    cancellation_slot_type get_cancellation_slot() const noexcept {
        return group_->parts_[index_].signal.slot();
    }

    void operator()(std::exception_ptr escaped) {
        if (group_->parts_[index_].phase != Phase::ended) {
            group_->ended(index_, std::move(escaped));  // By an Asio that lets one through.
        }
        group_->release(false);
    }

private:
    std::shared_ptr<PartGroup> group_;
    std::size_t index_;
};

template <typename Handler>
class PartGroup::Handled final : public PartGroup {
public:
    Handled(const Options& options, std::size_t count, Handler handler)
        : PartGroup(options, count),
          handler_(std::move(handler)) {}

    void begin_all(Parts parts) {
        const asio::any_io_executor executor = asio::get_associated_executor(handler_);
        auto slot = asio::get_associated_cancellation_slot(handler_);
        if (slot.is_connected()) {
            slot.assign([weak = weak_from_this()](asio::cancellation_type type) {
                const std::shared_ptr<PartGroup> group = weak.lock();
                const auto terminal = type & asio::cancellation_type::terminal;
                if (group && terminal != asio::cancellation_type::none) {
                    group->interrupt(Cause::awaiter);
                }
            });
        }
        start(executor, std::move(parts));
    }

private:
    void complete() override {
        Handler handler(std::move(handler_));
        std::move(handler)(shared_from_this());
    }

    void post_complete() override {
        const asio::any_io_executor executor = asio::get_associated_executor(handler_);
        asio::post(executor, [self = shared_from_this()] {
            static_cast<Handled&>(*self).complete();
        });
    }

    Handler handler_;
};

struct PartGroup::Initiate {
    template <typename Handler>
    void operator()(Handler handler, const Options& options, Parts parts) const {
        auto group = std::make_shared<Handled<Handler>>(options, parts.size(), std::move(handler));
        group->begin_all(std::move(parts));
    }
};

asio::awaitable<std::shared_ptr<PartGroup>> PartGroup::run(Options options, Parts parts) {
    return asio::async_initiate<const asio::use_awaitable_t<>, void(std::shared_ptr<PartGroup>)>(
        Initiate(),
        asio::use_awaitable,
        options,
        std::move(parts)
    );
}

PartGroup::PartGroup(const Options& options, std::size_t count)
    : options_(options),
      parts_(count),
      count_(count) {
    if (options_.rule == PartRule::each) {
        errors_.resize(count);
    }
}

PartGroup::~PartGroup() = default;

void PartGroup::start(const asio::any_io_executor& executor, Parts parts) {
    ++pending_;
    arm(executor);
    for (std::size_t index = 0; index != count_; ++index) {
        ++pending_;
        spawn(executor, index, std::move(parts[index]));
    }
    release(true);
}

void PartGroup::spawn(
    const asio::any_io_executor& executor,
    std::size_t index,
    asio::awaitable<void> body
) {
    try {
        check_wanted();
        asio::awaitable<void> guard = guarded(this, index, std::move(body));
        asio::co_spawn(executor, std::move(guard), PartEnd(shared_from_this(), index));
    } catch (...) {
        if (parts_[index].phase != Phase::ended) {
            ended(index, std::current_exception());
        }
        release(true);
    }
}

/// Catches everything itself and leaves without Asio's own check: Asio 1.81 loses the completion
/// of a coroutine that is cancelled before its first suspension.
asio::awaitable<void> PartGroup::guarded(
    PartGroup* group,
    std::size_t index,
    asio::awaitable<void> body
) {
    std::exception_ptr error;
    try {
        group->check_wanted();
        group->parts_[index].phase = Phase::running;
        co_await std::move(body);
    } catch (...) {
        error = std::current_exception();
    }
    co_await asio::this_coro::throw_if_cancelled(false);
    group->ended(index, std::move(error));
}

void PartGroup::arm(const asio::any_io_executor& executor) {
    if (!options_.limit) {
        return;
    }
    const auto now = asio::steady_timer::clock_type::now();
    const auto longest = asio::steady_timer::time_point::max() - now;
    if (*options_.limit > std::chrono::duration_cast<std::chrono::milliseconds>(longest)) {
        return;
    }
    timer_.emplace(executor, now + *options_.limit);
    timer_->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
        const std::shared_ptr<PartGroup> group = weak.lock();
        if (group && !error) {
            group->interrupt(Cause::limit);
        }
    });
}

void PartGroup::check_wanted() const {
    if (cancelling_) {
        throw Cancelled(CancelReason::sibling);
    }
}

void PartGroup::ended(std::size_t index, std::exception_ptr error) noexcept {
    parts_[index].phase = Phase::ended;
    timer_.reset();
    switch (options_.rule) {
        case PartRule::each:
            failed_ = failed_ || error;
            errors_[index] = std::move(error);
            return;
        case PartRule::all:
            if (error) {
                decide(index, std::move(error));
            }
            return;
        case PartRule::race: decide(index, std::move(error)); return;
    }
}

void PartGroup::decide(std::size_t index, std::exception_ptr error) noexcept {
    const bool late = decided_ || (error && cause_ != Cause::none && !options_.shielded);
    if (late) {
        if (error) {
            failed_ = true;
            log_later_error(error);
        }
        return;
    }
    decided_ = true;
    first_ = index;
    first_error_ = std::move(error);
    cancel_parts();
}

void PartGroup::interrupt(Cause cause) {
    if (cause_ != Cause::none) {
        return;
    }
    cause_ = cause;
    if (!options_.shielded) {
        cancel_parts();
    }
}

void PartGroup::cancel_parts() {
    if (std::exchange(cancelling_, true)) {
        return;
    }
    ++pending_;  // A part may end in the middle of this.
    for (std::size_t index = 0; index != count_; ++index) {
        if (parts_[index].phase == Phase::running) {
            parts_[index].signal.emit(asio::cancellation_type::terminal);
        }
    }
    release(true);
}

/// `inside`: of a function that the awaiting coroutine must not be resumed in.
void PartGroup::release(bool inside) {
    if (--pending_ != 0) {
        return;
    }
    if (!inside) {
        complete();
        return;
    }
    try {
        post_complete();
    } catch (...) {
        complete();  // Without memory for the post.
    }
}

void PartGroup::rethrow() const {
    if (first_error_) {
        std::rethrow_exception(first_error_);
    }
    const bool undecided = options_.rule == PartRule::race ? !decided_ : failed_;
    if (undecided && cause_ == Cause::limit) {
        throw Timeout(Stage::total, *options_.limit);
    }
    if (undecided && cause_ == Cause::awaiter) {
        throw Cancelled(CancelReason::user);
    }
}

std::vector<std::exception_ptr> PartGroup::take_errors() {
    return std::move(errors_);
}

}  // namespace llmproc
