#include "wire/sse_parser.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>
#include <system_error>

namespace llmproc::wire {
namespace {

constexpr std::string_view bom = "\xEF\xBB\xBF";

}  // namespace

void SseParser::Value::clear() noexcept {
    view_ = {};
    buffer_.clear();
    owned_ = false;
    present_ = false;
}

void SseParser::Value::assign(std::string_view value) noexcept {
    view_ = value;
    owned_ = false;
    present_ = true;
}

void SseParser::Value::append_line(std::string_view value) {
    keep();
    buffer_.push_back('\n');
    buffer_.append(value);
}

void SseParser::Value::keep() {
    if (present_ && !owned_) {
        buffer_.assign(view_);
        view_ = {};
        owned_ = true;
    }
}

void SseParser::feed(std::string_view bytes) {
    if (status_ != SseStatus::ok) {
        return;
    }
    require_drained("feed");
    if (finished_) {
        throw std::logic_error("SseParser::feed after finish: use a new parser for a new body");
    }
    input_ = bytes;
    position_ = 0;
    next_lf_ = input_.find('\n');
    next_cr_ = input_.find('\r');
    if (!bom_done_) {
        skip_bom();
    }
}

void SseParser::skip_bom() {
    while (position_ < input_.size() && bom_bytes_ < bom.size()) {
        if (input_[position_] != bom[bom_bytes_]) {
            bom_done_ = true;
            if (bom_bytes_ > 0) {
                // Not a BOM after all: the bytes were the start of the first line.
                line_.assign(bom.substr(0, bom_bytes_));
                line_begun_ = true;
            }
            return;
        }
        ++position_;
        ++bom_bytes_;
    }
    bom_done_ = bom_bytes_ == bom.size();
}

bool SseParser::next(SseEvent& event) {
    if (status_ != SseStatus::ok || finished_) {
        return false;
    }
    if (dispatched_) {
        clear_event();
    }
    std::string_view line;
    while (take_line(line)) {
        if (line.empty()) {
            if (dispatch(event)) {
                return true;
            }
        } else if (!take_field(line)) {
            return false;
        }
    }
    if (status_ == SseStatus::ok) {
        save_rest();
    }
    return false;
}

std::size_t SseParser::find_line_end() {
    if (next_lf_ != std::string_view::npos && next_lf_ < position_) {
        next_lf_ = input_.find('\n', position_);
    }
    if (next_cr_ != std::string_view::npos && next_cr_ < position_) {
        next_cr_ = input_.find('\r', position_);
    }
    return std::min(next_lf_, next_cr_);
}

bool SseParser::take_line(std::string_view& line) {
    if (skip_lf_ && position_ < input_.size()) {
        skip_lf_ = false;
        if (input_[position_] == '\n') {
            ++position_;
        }
    }
    if (position_ >= input_.size()) {
        return false;
    }
    const auto end = find_line_end();
    if (end == std::string_view::npos) {
        return false;
    }
    line = input_.substr(position_, end - position_);
    const auto begun = line_begun_ ? line_.size() : 0;
    if (line.size() > limits_.max_line_bytes || begun > limits_.max_line_bytes - line.size()) {
        return fail();
    }
    position_ = end + 1;
    skip_lf_ = input_[end] == '\r';
    if (line_begun_) {
        line_.append(line);
        line = line_;
        line_begun_ = false;
    }
    return true;
}

bool SseParser::take_field(std::string_view line) {
    const auto colon = line.find(':');
    const auto name = line.substr(0, colon);
    std::string_view value;
    if (colon != std::string_view::npos) {
        value = line.substr(colon + 1);
        if (value.starts_with(' ')) {
            value.remove_prefix(1);
        }
    }
    if (name == "data") {
        return add_data(value);
    }
    if (name == "event") {
        event_.assign(value);
    } else if (name == "id") {
        if (value.find('\0') == std::string_view::npos) {
            id_.assign(value);
        }
    } else if (name == "retry") {
        take_retry(value);
    }
    return true;  // comments have an empty name; unknown fields are ignored
}

bool SseParser::add_data(std::string_view value) {
    const auto size = data_.present() ? data_.view().size() + 1 + value.size() : value.size();
    if (size > limits_.max_event_bytes) {
        return fail();
    }
    if (data_.present()) {
        data_.append_line(value);
    } else {
        data_.assign(value);
    }
    return true;
}

void SseParser::take_retry(std::string_view digits) noexcept {
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (!std::all_of(digits.begin(), digits.end(), is_digit)) {
        return;
    }
    std::int64_t count = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), count);
    if (parsed.ec == std::errc()) {
        retry_ = std::chrono::milliseconds(count);
    }
}

bool SseParser::dispatch(SseEvent& event) {
    if (id_.present()) {
        last_event_id_.assign(id_.view());
    }
    if (!data_.present()) {
        clear_event();
        return false;
    }
    fill(event);
    dispatched_ = true;
    return true;
}

void SseParser::fill(SseEvent& event) const noexcept {
    event.event = event_.view();
    event.data = data_.view();
    event.id.reset();
    if (id_.present()) {
        event.id = id_.view();
    }
}

void SseParser::clear_event() noexcept {
    event_.clear();
    data_.clear();
    id_.clear();
    dispatched_ = false;
}

void SseParser::save_rest() {
    // First the values: they may be views into line_.
    event_.keep();
    data_.keep();
    id_.keep();
    const auto rest = input_.substr(std::min(position_, input_.size()));
    input_ = {};
    position_ = 0;
    if (rest.empty()) {
        return;
    }
    if (!line_begun_) {
        line_.clear();
    }
    line_begun_ = true;
    if (rest.size() > limits_.max_line_bytes ||
        line_.size() > limits_.max_line_bytes - rest.size()) {
        fail();
        return;
    }
    line_.append(rest);
}

SseTail SseParser::finish() {
    if (status_ != SseStatus::ok) {
        return SseTail::pending_event;
    }
    require_drained("finish");
    if (!finished_) {
        finished_ = true;
        if (dispatched_) {
            clear_event();
        }
        if (line_begun_) {
            line_begun_ = false;
            if (!take_field(line_)) {
                return SseTail::pending_event;
            }
        }
    }
    return data_.present() || !event_.view().empty() ? SseTail::pending_event : SseTail::clean;
}

bool SseParser::take_pending(SseEvent& event) {
    if (status_ != SseStatus::ok || !finished_ || dispatched_) {
        return false;
    }
    if (!data_.present() && event_.view().empty()) {
        return false;
    }
    fill(event);
    dispatched_ = true;
    return true;
}

bool SseParser::fail() noexcept {
    status_ = SseStatus::too_large;
    input_ = {};
    position_ = 0;
    return false;
}

void SseParser::require_drained(const char* caller) const {
    if (position_ < input_.size()) {
        throw std::logic_error(
            std::string("SseParser::") + caller + ": call next() until it returns false first"
        );
    }
}

}  // namespace llmproc::wire
