/// @file
/// The observer's last event of a call.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/usage.hpp>
#include "async/call_context.hpp"

#include <exception>
#include <string_view>

namespace llmproc {

/// Measures a whole call and reports its end, once: if it dies untold, the loop has died with it.
/// Costs nothing without an observer.
/// Lifetime: must not outlive the call's context.
class CallReport {
public:
    explicit CallReport(async::CallContext& call) noexcept;
    CallReport(const CallReport&) = delete;
    CallReport& operator=(const CallReport&) = delete;
    ~CallReport();

    /// The call has succeeded; `usage` may be null.
    void succeeded(const Diagnostics& note, const Usage* usage) noexcept;
    /// The call has failed with `error`.
    void failed(const Diagnostics& note, const std::exception_ptr& error) noexcept;

private:
    void report(CallEvent event, std::string_view request_id) noexcept;

    const async::CallTrace* trace_;
    async::Clock::time_point begin_;
};

}  // namespace llmproc
