/// @file
/// What ends some tasks early: a stop token, a time limit.
#pragma once

#include "runtime/task_core.hpp"

#include <boost/asio/steady_timer.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>

namespace llmproc {

struct TaskCore::Limits {
    struct Stop {
        std::weak_ptr<TaskCore> core;
        void operator()() const noexcept {
            if (const std::shared_ptr<TaskCore> task = core.lock()) {
                task->cancel(CancelReason::user);
            }
        }
    };
    using StopCallback = std::stop_callback<Stop>;

    std::chrono::milliseconds limit{0};
    std::chrono::steady_clock::time_point expiry = std::chrono::steady_clock::time_point::max();
    std::unique_ptr<StopCallback> stop;              ///< Guarded by the mutex.
    std::optional<boost::asio::steady_timer> timer;  ///< Used on the executor only.
};

}  // namespace llmproc
