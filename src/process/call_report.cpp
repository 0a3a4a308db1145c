#include "process/call_report.hpp"

#include <utility>

namespace llmproc {

CallReport::CallReport(async::CallContext& call) noexcept
    : trace_(call.trace() ? &call.trace() : nullptr) {
    if (trace_ != nullptr) {
        begin_ = async::Clock::now();
    }
}

CallReport::~CallReport() {
    if (trace_ != nullptr) {
        CallEvent event;
        event.error = Errc::loop_closed;
        report(event, std::string_view());
    }
}

void CallReport::report(CallEvent event, std::string_view request_id) noexcept {
    event.step = CallStep::done;
    event.duration = async::Clock::now() - begin_;
    event.request_id = request_id;
    std::exchange(trace_, nullptr)->emit(event);
}

void CallReport::succeeded(const Diagnostics& note, const Usage* usage) noexcept {
    if (trace_ == nullptr) {
        return;
    }
    CallEvent event;
    event.status = note.status.value_or(0);
    event.usage = usage;
    report(event, note.request_id);
}

void CallReport::failed(const Diagnostics& note, const std::exception_ptr& error) noexcept {
    if (trace_ == nullptr) {
        return;
    }
    CallEvent event;
    event.error = Errc::internal;
    event.status = note.status.value_or(0);
    try {
        std::rethrow_exception(error);
    } catch (const LLMError& known) {
        event.error = known.errc();
        event.stage = known.diagnostics().stage;
        event.status = known.diagnostics().status.value_or(event.status);
        if (const auto* const timeout = dynamic_cast<const Timeout*>(&known)) {
            event.stage = timeout->stage();
        }
    } catch (...) {
        event.error = Errc::internal;
    }
    report(event, note.request_id);
}

}  // namespace llmproc
