#include <llmproc/observer.hpp>

namespace llmproc {

Observer::~Observer() = default;

std::string_view to_string(CallStep step) noexcept {
    switch (step) {
        case CallStep::wait: return "wait";
        case CallStep::dns: return "dns";
        case CallStep::connect: return "connect";
        case CallStep::proxy: return "proxy";
        case CallStep::tls: return "tls";
        case CallStep::reuse: return "reuse";
        case CallStep::request: return "request";
        case CallStep::first_byte: return "first_byte";
        case CallStep::retry: return "retry";
        case CallStep::done: return "done";
    }
    return "unknown";
}

}  // namespace llmproc
