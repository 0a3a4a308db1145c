#include <llmproc/secret.hpp>

#include <cstddef>
#include <utility>

namespace llmproc {

namespace {

/// Overwrites the whole buffer, what lies behind the size included.
void wipe_string(std::string& text) noexcept {
    text.resize(text.capacity());
    // A plain fill of memory that dies next would be optimised away.
    volatile char* const bytes = text.data();
    for (std::size_t i = 0; i < text.size(); ++i) {
        bytes[i] = '\0';
    }
    text.clear();
}

}  // namespace

Secret::Secret(std::string value) noexcept : value_(std::move(value)) {
    // A short text is copied by the move, so its source still holds it.
    wipe_string(value);
}

Secret::Secret(Secret&& other) noexcept : value_(std::move(other.value_)) {
    other.wipe();
}

Secret& Secret::operator=(const Secret& other) {
    if (this != &other) {
        Secret copy(other);
        *this = std::move(copy);
    }
    return *this;
}

Secret& Secret::operator=(Secret&& other) noexcept {
    if (this != &other) {
        wipe();
        value_ = std::move(other.value_);
        other.wipe();
    }
    return *this;
}

Secret::~Secret() {
    wipe();
}

std::string Secret::redact(std::string text) const {
    constexpr std::string_view mark = "[redacted]";
    if (value_.empty()) {
        return text;
    }
    std::size_t at = text.find(value_);
    while (at != std::string::npos) {
        text.replace(at, value_.size(), mark);
        at = text.find(value_, at + mark.size());
    }
    return text;
}

void Secret::wipe() noexcept {
    wipe_string(value_);
}

}  // namespace llmproc
