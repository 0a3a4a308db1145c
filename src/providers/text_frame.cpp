#include "providers/text_frame.hpp"

#include "core/text_scan.hpp"

namespace llmproc::providers {

namespace {

/// Where learning ends if no frame is ever met again.
constexpr unsigned max_fruitless = 16;

/// The end of the plain JSON string that begins at `begin`: its quote, or `end` if it has none or is
/// not plain.
const char* end_of_plain_string(const char* begin, const char* end) noexcept {
    for (const char* at = find_special(begin, end); at != end; at = find_special(at, end)) {
        if (*at == '"') {
            return at;
        }
        // Neither an escape nor a control character begins a sequence.
        const unsigned length = utf8_sequence(at, end);
        if (length == 0) {
            return end;
        }
        at += length;
    }
    return end;
}

}  // namespace

std::optional<std::string_view> TextFrame::text_in(std::string_view data) noexcept {
    if (count_ == 0) {
        return std::nullopt;
    }
    std::string_view text;
    for (std::size_t i = 0;; ++i) {
        if (!data.starts_with(pieces_[i])) {
            return std::nullopt;
        }
        data.remove_prefix(pieces_[i].size());
        if (i + 1 == count_) {
            break;
        }
        const char* const end = end_of_plain_string(data.data(), data.data() + data.size());
        const auto size = static_cast<std::size_t>(end - data.data());
        if (i == text_at_) {
            text = data.substr(0, size);
        }
        data.remove_prefix(size);
    }
    if (!data.empty() || text.empty()) {
        return std::nullopt;
    }
    fruitless_ = 0;
    return text;
}

void TextFrame::learn(std::string_view data, std::string_view text, std::string_view noise) {
    if (fruitless_ == max_fruitless) {
        return;
    }
    ++fruitless_;
    const auto between = [](const char* begin, const char* end) {
        return std::string_view(begin, static_cast<std::size_t>(end - begin));
    };
    const bool noisy = noise.data() != nullptr;
    text_at_ = noisy && noise.data() < text.data() ? 1 : 0;
    const std::string_view first = text_at_ == 0 ? text : noise;
    const std::string_view last = !noisy || text_at_ == 1 ? text : noise;
    const char* const first_end = first.data() + first.size();
    const char* const last_end = last.data() + last.size();
    count_ = 0;
    pieces_[count_++] = between(data.data(), first.data());
    if (noisy) {
        pieces_[count_++] = between(first_end, last.data());
    }
    pieces_[count_++] = between(last_end, data.data() + data.size());
}

}  // namespace llmproc::providers
