/// @file
/// What a typed run brought.
#pragma once

#include <llmproc/detail/type_of.hpp>
#include <llmproc/run_result.hpp>

#include <memory>
#include <utility>

namespace llmproc {

/// The value of the answer, and how the run went. A value.
template <typename T>
struct TypedResult {
    T value;
    RunResult result;  ///< Of the answer that was read; usage, cost and counts are the whole run's.
};

namespace detail {

/// A typed result before its type is known again.
class TypedAnswer {
public:
    TypedAnswer(std::shared_ptr<void> value, RunResult result) noexcept
        : value_(std::move(value)),
          result_(std::move(result)) {}

    /// Precondition: the value is a T; called once.
    template <typename T>
    T take_value() {
        return std::move(*static_cast<T*>(value_.get()));
    }
    template <typename T>
    TypedResult<T> take() {
        return TypedResult<T>{take_value<T>(), std::move(result_)};
    }

private:
    std::shared_ptr<void> value_;
    RunResult result_;
};

}  // namespace detail
}  // namespace llmproc
