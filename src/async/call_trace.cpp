#include "async/call_trace.hpp"

#include <atomic>

namespace llmproc::async {

void CallTrace::attach(std::shared_ptr<Observer> observer) {
    static std::atomic<std::uint64_t> last_call{0};
    observer_ = std::move(observer);
    if (observer_) {
        call_ = last_call.fetch_add(1, std::memory_order_relaxed) + 1;
    }
}

void CallTrace::operation(std::string_view name, bool streaming) noexcept {
    operation_ = name;
    streaming_ = streaming;
}

void CallTrace::target(std::string provider, std::string model) {
    provider_ = std::move(provider);
    model_ = std::move(model);
}

void CallTrace::server(std::string address, std::uint16_t port) {
    server_address_ = std::move(address);
    server_port_ = port;
}

void CallTrace::emit(CallEvent event) const noexcept {
    event.call = call_;
    event.attempt = attempt_;
    event.operation = operation_;
    event.streaming = streaming_;
    event.provider = provider_;
    event.model = model_;
    event.server_address = server_address_;
    event.server_port = server_port_;
    event.context = context_.empty() ? nullptr : &context_;
    observer_->on_event(event);
}

}  // namespace llmproc::async
