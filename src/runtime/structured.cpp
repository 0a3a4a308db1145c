#include <llmproc/error.hpp>
#include <llmproc/structured.hpp>
#include "runtime/part_group.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <memory>
#include <utility>
#include <vector>

namespace llmproc {

namespace asio = boost::asio;

namespace detail {

asio::awaitable<void> run_all(Parts parts) {
    if (parts.empty()) {
        co_return;
    }
    const PartGroup::Options options;
    const auto group = co_await PartGroup::run(options, std::move(parts));
    group->rethrow();
}

asio::awaitable<std::vector<std::exception_ptr>> run_each(Parts parts) {
    if (parts.empty()) {
        std::vector<std::exception_ptr> none;
        co_return none;
    }
    PartGroup::Options options;
    options.rule = PartRule::each;
    const auto group = co_await PartGroup::run(options, std::move(parts));
    group->rethrow();
    co_return group->take_errors();
}

asio::awaitable<std::size_t> run_race(Parts parts) {
    if (parts.empty()) {
        throw LLMError(Errc::invalid_argument, "race of no parts: it would never end");
    }
    PartGroup::Options options;
    options.rule = PartRule::race;
    const auto group = co_await PartGroup::run(options, std::move(parts));
    group->rethrow();
    co_return group->first();
}

asio::awaitable<void> run_with_timeout(
    std::chrono::milliseconds limit,
    asio::awaitable<void> part
) {
    if (limit <= std::chrono::milliseconds::zero()) {
        throw Timeout(Stage::total, limit);
    }
    PartGroup::Options options;
    options.limit = limit;
    Parts parts;
    parts.push_back(std::move(part));
    const auto group = co_await PartGroup::run(options, std::move(parts));
    group->rethrow();
}

asio::awaitable<void> run_shielded(asio::awaitable<void> part) {
    PartGroup::Options options;
    options.shielded = true;
    Parts parts;
    parts.push_back(std::move(part));
    const auto group = co_await PartGroup::run(options, std::move(parts));
    group->rethrow();
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    if (throws && group->cancelled()) {
        throw Cancelled(CancelReason::user);
    }
}

}  // namespace detail

asio::awaitable<void> checkpoint() {
    co_await asio::post(asio::use_awaitable);
    const bool throws = co_await asio::this_coro::throw_if_cancelled();
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (throws && state.cancelled() != asio::cancellation_type::none) {
        throw Cancelled(CancelReason::user);
    }
}

asio::awaitable<void> sleep(std::chrono::milliseconds time) {
    if (time <= std::chrono::milliseconds::zero()) {
        co_await checkpoint();
        co_return;
    }
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const auto now = asio::steady_timer::clock_type::now();
    auto end = asio::steady_timer::time_point::max();
    if (time < std::chrono::duration_cast<std::chrono::milliseconds>(end - now)) {
        end = now + time;
    }
    asio::steady_timer timer(executor, end);
    boost::system::error_code error;
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (error) {
        throw Cancelled(CancelReason::user);
    }
}

}  // namespace llmproc
