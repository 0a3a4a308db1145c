/// @file
/// Counts runs that fail.
#pragma once

#include "process/process_core.hpp"

namespace llmproc {

/// Counts a run as failed unless it was told otherwise.
class FailureCount {
public:
    explicit FailureCount(ProcessCore& core) noexcept : core_(&core) {}
    FailureCount(const FailureCount&) = delete;
    FailureCount& operator=(const FailureCount&) = delete;
    ~FailureCount() {
        if (core_ != nullptr) {
            core_->count_failure();
        }
    }
    void succeeded() noexcept { core_ = nullptr; }

private:
    ProcessCore* core_;
};

}  // namespace llmproc
