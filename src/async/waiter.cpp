#include "async/waiter.hpp"

#include <llmproc/error.hpp>
#include "core/made_error.hpp"

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace llmproc::async {

namespace asio = boost::asio;

/// The waiters of one io_context that wait for another one. A resume posts under the mutex, so the
/// context cannot die in the middle of it; its end destroys the handlers that are left.
class WaiterList {
public:
    void add(Waiter& waiter) {
        const std::lock_guard lock(mutex_);
        waiters_.push_back(&waiter);
        waiter.place_ = waiters_.size() - 1;
    }

    bool contains(const Waiter& waiter) {
        const std::lock_guard lock(mutex_);
        return waiter.place_ != Waiter::nowhere;
    }

    /// Hands the waiter to `post` if its context still lives.
    template <typename Post>
    void take(Waiter& waiter, Post post) {
        const std::lock_guard lock(mutex_);
        const std::size_t place = std::exchange(waiter.place_, Waiter::nowhere);
        if (place != Waiter::nowhere) {
            // The last one takes its place: many may wait, and their order does not matter here.
            Waiter* const last = waiters_.back();
            waiters_.pop_back();
            if (last != &waiter) {
                waiters_[place] = last;
                last->place_ = place;
            }
            post();
        }
    }

    void shutdown() {
        std::vector<Waiter::Handler> handlers;
        const std::lock_guard lock(mutex_);
        for (Waiter* const waiter : waiters_) {
            handlers.push_back(std::move(waiter->handler_));
            waiter->executor_ = asio::any_io_executor();
            waiter->place_ = Waiter::nowhere;
        }
        waiters_.clear();
    }

private:
    std::mutex mutex_;
    std::vector<Waiter*> waiters_;
};

namespace {

class WaiterService : public asio::execution_context::service {
public:
    using key_type = WaiterService;
    static asio::execution_context::id id;

    explicit WaiterService(asio::execution_context& context)
        : asio::execution_context::service(context),
          list(std::make_shared<WaiterList>()) {}

    const std::shared_ptr<WaiterList> list;

private:
    void shutdown() override { list->shutdown(); }
};

asio::execution_context::id WaiterService::id;

}  // namespace

const asio::execution_context* context_of(const asio::any_io_executor& executor) {
    return executor ? &asio::query(executor, asio::execution::context) : nullptr;
}

Waiter::Waiter(
    Handler handler,
    const asio::any_io_executor& own,
    const asio::execution_context* other
)
    : handler_(std::move(handler)),
      slot_(asio::get_associated_cancellation_slot(handler_)),
      executor_(asio::prefer(own, asio::execution::outstanding_work.tracked)) {
    asio::execution_context& mine = asio::query(own, asio::execution::context);
    if (&mine != other) {
        list_ = asio::use_service<WaiterService>(mine).list;
        list_->add(*this);
    }
}

Waiter::~Waiter() {
    const bool unused = list_ ? list_->contains(*this) : static_cast<bool>(handler_);
    if (!unused) {
        return;  // As nearly always; the error is not worth making then.
    }
    resume(made_error(Errc::loop_closed, "the io_context that was waited for has been destroyed"));
}

void Waiter::resume(std::exception_ptr error) {
    if (list_) {
        list_->take(*this, [this, &error] { complete(std::move(error), true); });
    } else if (handler_) {
        complete(std::move(error), false);
    }
}

void Waiter::resume_later(std::exception_ptr error) {
    if (list_) {
        resume(std::move(error));
    } else if (handler_) {
        complete(std::move(error), true);
    }
}

void Waiter::complete(std::exception_ptr error, bool post) {
    const asio::any_io_executor executor = std::move(executor_);
    // Moved by construction only: Asio 1.81's move assignment wraps the handler in itself.
    auto resumed =
        [handler = std::move(handler_), slot = slot_, error = std::move(error)]() mutable {
            if (slot.is_connected()) {
                slot.clear();
            }
            std::move(handler)(std::move(error));
        };
    if (post) {
        asio::post(executor, std::move(resumed));
    } else {
        asio::dispatch(executor, std::move(resumed));
    }
}

}  // namespace llmproc::async
