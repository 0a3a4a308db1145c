/// @file
/// Coroutines of coroutines: all of them, the first of them, one of them for a while.
///
/// All of these run their parts on the awaiting coroutine's executor, which must be a strand or be
/// run by one thread. A part that is no longer wanted is cancelled and waited for, so nothing
/// outlives the expression. Cancellation of the awaiting coroutine cancels all parts.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/export.hpp>

#include <boost/asio/awaitable.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace llmproc {

/// The value or the error of a part.
template <typename T>
class Result {
public:
    explicit Result(T value) : value_(std::move(value)) {}
    explicit Result(std::exception_ptr error) noexcept : error_(std::move(error)) {}

    bool ok() const noexcept { return value_.has_value(); }
    /// Null if there is a value.
    const std::exception_ptr& error() const noexcept { return error_; }
    /// Throws the error if there is no value.
    T& value() {
        if (error_) {
            std::rethrow_exception(error_);
        }
        return *value_;
    }

private:
    std::optional<T> value_;
    std::exception_ptr error_;
};

namespace detail {

/// void as a value.
template <typename T>
using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;
template <typename T>
using Slot = std::shared_ptr<std::optional<Stored<T>>>;
using Parts = std::vector<boost::asio::awaitable<void>>;

template <typename T>
boost::asio::awaitable<void> fill(boost::asio::awaitable<T> part, Slot<T> slot) {
    if constexpr (std::is_void_v<T>) {
        co_await std::move(part);
        slot->emplace();
    } else {
        T value = co_await std::move(part);
        slot->emplace(std::move(value));
    }
}

/// Runs all parts to their end; the first error cancels the others and is thrown.
LLMPROC_API boost::asio::awaitable<void> run_all(Parts parts);
/// Runs all parts to their end, whatever becomes of each; their errors, null where there is none.
LLMPROC_API boost::asio::awaitable<std::vector<std::exception_ptr>> run_each(Parts parts);
/// Runs all parts until the first has ended, cancels the others and waits for them. The index of the
/// first; throws its error.
LLMPROC_API boost::asio::awaitable<std::size_t> run_race(Parts parts);
LLMPROC_API boost::asio::awaitable<void> run_with_timeout(
    std::chrono::milliseconds limit,
    boost::asio::awaitable<void> part
);
LLMPROC_API boost::asio::awaitable<void> run_shielded(boost::asio::awaitable<void> part);

}  // namespace detail

/// Runs all parts at the same time; their results in order of the arguments, std::monostate for
/// void. The first error cancels the others, which are waited for, and is thrown as it is; later
/// ones are logged.
template <typename... Ts>
[[nodiscard]] boost::asio::awaitable<std::tuple<detail::Stored<Ts>...>> when_all(
    boost::asio::awaitable<Ts>... parts
);
template <typename T>
[[nodiscard]] boost::asio::awaitable<std::vector<detail::Stored<T>>> when_all(
    std::vector<boost::asio::awaitable<T>> parts
);
/// The same, but an error cancels nothing: each part's value or error.
template <typename T>
[[nodiscard]] boost::asio::awaitable<std::vector<Result<detail::Stored<T>>>> when_all_settled(
    std::vector<boost::asio::awaitable<T>> parts
);

/// Runs all parts until the first one ends, by a value or an error, cancels the others and waits
/// for them. The variant's index says which it was. Throws that first error.
template <typename... Ts>
[[nodiscard]] boost::asio::awaitable<std::variant<detail::Stored<Ts>...>> race(
    boost::asio::awaitable<Ts>... parts
);
/// The same for any number: index and value.
template <typename T>
[[nodiscard]] boost::asio::awaitable<std::pair<std::size_t, detail::Stored<T>>> race(
    std::vector<boost::asio::awaitable<T>> parts
);

/// Bounds a part: at the limit it is cancelled and waited for. Throws Timeout{Stage::total, limit},
/// or what the part throws, at once. Zero or less fails without beginning; beyond the clock's range
/// means no limit. A part that ends with a value despite its cancellation has ended in time.
template <typename T>
[[nodiscard]] boost::asio::awaitable<T> with_timeout(
    std::chrono::milliseconds limit,
    boost::asio::awaitable<T> part
);

/// Lets a part end in peace: a cancellation of the awaiting coroutine reaches it only afterwards,
/// when it throws Cancelled. Give the part a limit of its own: `shield(with_timeout(2s, ...))`.
/// In a coroutine that is cancelled already Asio lets no `co_await` through until it is told
/// `co_await boost::asio::this_coro::throw_if_cancelled(false);`.
template <typename T>
[[nodiscard]] boost::asio::awaitable<T> shield(boost::asio::awaitable<T> part);

/// Lets everybody else have a turn, and throws Cancelled if the coroutine was cancelled. For loops
/// that compute.
[[nodiscard]] LLMPROC_API boost::asio::awaitable<void> checkpoint();

/// Waits. Zero or less is a checkpoint; beyond the clock's range waits until cancelled.
/// Cancellation: terminal; throws Cancelled.
[[nodiscard]] LLMPROC_API boost::asio::awaitable<void> sleep(std::chrono::milliseconds time);

namespace detail {

/// One allocation for the results of all parts.
template <typename... Ts>
using Slots = std::shared_ptr<std::tuple<std::optional<Stored<Ts>>...>>;
template <typename T>
using SlotList = std::shared_ptr<std::vector<std::optional<Stored<T>>>>;

template <typename... Ts, std::size_t... Indices>
Parts parts_into(
    const Slots<Ts...>& slots,
    std::index_sequence<Indices...> /*each*/,
    boost::asio::awaitable<Ts>... parts
) {
    Parts filled;
    filled.reserve(sizeof...(Ts));
    (filled.push_back(
         fill<Ts>(std::move(parts), Slot<Ts>(slots, std::addressof(std::get<Indices>(*slots))))
     ),
     ...);
    return filled;
}

template <typename T>
Parts parts_into(const SlotList<T>& slots, std::vector<boost::asio::awaitable<T>> parts) {
    Parts filled;
    filled.reserve(parts.size());
    for (std::size_t index = 0; index != parts.size(); ++index) {
        filled.push_back(
            fill<T>(std::move(parts[index]), Slot<T>(slots, std::addressof((*slots)[index])))
        );
    }
    return filled;
}

template <typename... Ts, std::size_t... Indices>
std::tuple<Stored<Ts>...> take_all(
    const Slots<Ts...>& slots,
    std::index_sequence<Indices...> /*each*/
) {
    return std::tuple<Stored<Ts>...>(std::move(*std::get<Indices>(*slots))...);
}

template <typename... Ts>
boost::asio::awaitable<std::tuple<Stored<Ts>...>> all_of(
    boost::asio::awaitable<void> end,
    Slots<Ts...> slots
) {
    co_await std::move(end);
    co_return take_all<Ts...>(slots, std::index_sequence_for<Ts...>());
}

template <typename T>
boost::asio::awaitable<std::vector<Stored<T>>> all_of(
    boost::asio::awaitable<void> end,
    SlotList<T> slots
) {
    co_await std::move(end);
    std::vector<Stored<T>> values;
    values.reserve(slots->size());
    for (std::optional<Stored<T>>& slot : *slots) {
        values.push_back(std::move(*slot));
    }
    co_return values;
}

template <typename T>
boost::asio::awaitable<std::vector<Result<Stored<T>>>> results_of(
    boost::asio::awaitable<std::vector<std::exception_ptr>> end,
    SlotList<T> slots
) {
    std::vector<std::exception_ptr> errors = co_await std::move(end);
    std::vector<Result<Stored<T>>> results;
    results.reserve(slots->size());
    for (std::size_t index = 0; index != slots->size(); ++index) {
        if (errors[index]) {
            results.emplace_back(std::move(errors[index]));
        } else {
            results.emplace_back(std::move(*(*slots)[index]));
        }
    }
    co_return results;
}

/// The alternative at `index`, which only the run decides on.
template <typename... Ts, std::size_t... Indices>
std::variant<Stored<Ts>...> take_one(
    const Slots<Ts...>& slots,
    std::size_t index,
    std::index_sequence<Indices...> /*each*/
) {
    using Variant = std::variant<Stored<Ts>...>;
    std::optional<Variant> taken;
    ((Indices == index
          ? static_cast<void>(
                taken.emplace(std::in_place_index<Indices>, std::move(*std::get<Indices>(*slots)))
            )
          : static_cast<void>(0)),
     ...);
    return std::move(*taken);
}

template <typename... Ts>
boost::asio::awaitable<std::variant<Stored<Ts>...>> first_of(
    boost::asio::awaitable<std::size_t> end,
    Slots<Ts...> slots
) {
    const std::size_t index = co_await std::move(end);
    co_return take_one<Ts...>(slots, index, std::index_sequence_for<Ts...>());
}

template <typename T>
boost::asio::awaitable<std::pair<std::size_t, Stored<T>>> first_of(
    boost::asio::awaitable<std::size_t> end,
    SlotList<T> slots
) {
    const std::size_t index = co_await std::move(end);
    co_return std::pair<std::size_t, Stored<T>>(index, std::move(*(*slots)[index]));
}

template <typename T>
boost::asio::awaitable<T> value_of(boost::asio::awaitable<void> end, Slot<T> slot) {
    co_await std::move(end);
    co_return std::move(**slot);
}

}  // namespace detail

template <typename... Ts>
boost::asio::awaitable<std::tuple<detail::Stored<Ts>...>> when_all(
    boost::asio::awaitable<Ts>... parts
) {
    const auto slots = std::make_shared<std::tuple<std::optional<detail::Stored<Ts>>...>>();
    detail::Parts filled =
        detail::parts_into<Ts...>(slots, std::index_sequence_for<Ts...>(), std::move(parts)...);
    return detail::all_of<Ts...>(detail::run_all(std::move(filled)), slots);
}

template <typename T>
boost::asio::awaitable<std::vector<detail::Stored<T>>> when_all(
    std::vector<boost::asio::awaitable<T>> parts
) {
    const auto slots = std::make_shared<std::vector<std::optional<detail::Stored<T>>>>(parts.size()
    );
    return detail::all_of<T>(
        detail::run_all(detail::parts_into<T>(slots, std::move(parts))),
        detail::SlotList<T>(slots)
    );
}

template <typename T>
boost::asio::awaitable<std::vector<Result<detail::Stored<T>>>> when_all_settled(
    std::vector<boost::asio::awaitable<T>> parts
) {
    const auto slots = std::make_shared<std::vector<std::optional<detail::Stored<T>>>>(parts.size()
    );
    return detail::results_of<T>(
        detail::run_each(detail::parts_into<T>(slots, std::move(parts))),
        slots
    );
}

template <typename... Ts>
boost::asio::awaitable<std::variant<detail::Stored<Ts>...>> race(boost::asio::awaitable<Ts>... parts
) {
    static_assert(sizeof...(Ts) > 0, "a race of no parts would never end");
    const auto slots = std::make_shared<std::tuple<std::optional<detail::Stored<Ts>>...>>();
    detail::Parts filled =
        detail::parts_into<Ts...>(slots, std::index_sequence_for<Ts...>(), std::move(parts)...);
    return detail::first_of<Ts...>(detail::run_race(std::move(filled)), slots);
}

template <typename T>
boost::asio::awaitable<std::pair<std::size_t, detail::Stored<T>>> race(
    std::vector<boost::asio::awaitable<T>> parts
) {
    const auto slots = std::make_shared<std::vector<std::optional<detail::Stored<T>>>>(parts.size()
    );
    return detail::first_of<T>(
        detail::run_race(detail::parts_into<T>(slots, std::move(parts))),
        detail::SlotList<T>(slots)
    );
}

template <typename T>
boost::asio::awaitable<T> with_timeout(
    std::chrono::milliseconds limit,
    boost::asio::awaitable<T> part
) {
    if constexpr (std::is_void_v<T>) {
        return detail::run_with_timeout(limit, std::move(part));
    } else {
        const auto slot = std::make_shared<std::optional<T>>();
        return detail::value_of<T>(
            detail::run_with_timeout(limit, detail::fill<T>(std::move(part), slot)),
            slot
        );
    }
}

template <typename T>
boost::asio::awaitable<T> shield(boost::asio::awaitable<T> part) {
    if constexpr (std::is_void_v<T>) {
        return detail::run_shielded(std::move(part));
    } else {
        const auto slot = std::make_shared<std::optional<T>>();
        return detail::value_of<T>(
            detail::run_shielded(detail::fill<T>(std::move(part), slot)),
            slot
        );
    }
}

}  // namespace llmproc
