#include <llmproc/usage.hpp>

namespace llmproc {

Usage& Usage::operator+=(const Usage& other) noexcept {
    input_tokens += other.input_tokens;
    output_tokens += other.output_tokens;
    cached_input_tokens += other.cached_input_tokens;
    cache_write_tokens += other.cache_write_tokens;
    reasoning_tokens += other.reasoning_tokens;
    total_tokens += other.total_tokens;
    reported = reported || other.reported;
    return *this;
}

std::string_view to_string(TokenSource source) noexcept {
    switch (source) {
        case TokenSource::provider: return "provider";
        case TokenSource::last_usage: return "last_usage";
        case TokenSource::estimate: return "estimate";
    }
    return "unknown";
}

}  // namespace llmproc
