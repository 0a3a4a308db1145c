#include "net/response_reader.hpp"

#include "wire/field_text.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace llmproc::net {

namespace {

using wire::has_control;
using wire::hex_value;
using wire::is_digit;
using wire::same_word;
using wire::take_element;
using wire::trimmed;

constexpr int max_interim_answers = 32;
/// A line between two chunks that is longer than this is an attack, not a protocol.
constexpr std::size_t max_chunk_line = 4UL * 1024;
constexpr std::string_view line_end = "\r\n";
constexpr std::string_view beginning = "HTTP/1.";

constexpr int switching_protocols = 101;
constexpr int first_final = 200;
constexpr int no_content = 204;
constexpr int not_modified = 304;

/// What speaks there, by its first byte.
std::string_view speaker(char first) {
    switch (first) {
        case '\x15':
        case '\x16': return "it begins like TLS: the server expects https here";
        case '\0': return "it begins like HTTP/2, which was not offered";
        default: return "it does not begin with HTTP/1.";
    }
}

}  // namespace

ResponseReader::ResponseReader(std::size_t max_header_bytes, bool head_request)
    : max_header_bytes_(max_header_bytes),
      head_request_(head_request) {
    begin_message();
}

void ResponseReader::begin_message() {
    state_ = State::status_line;
    room_ = max_header_bytes_;
    length_.reset();
    chunked_ = false;
    says_close_ = false;
    says_keep_alive_ = false;
    coded_ = false;
    keep_alive_.clear();
}

bool ResponseReader::fail(Errc code, std::string text) {
    problem_ = code;
    problem_text_ = std::move(text);
    return false;
}

bool ResponseReader::malformed(std::string_view what) {
    std::string text = "the answer is not valid HTTP/1.1 (";
    text.append(what).append(
        "); check that model.base_url names an HTTP server and its scheme is right"
    );
    return fail(Errc::malformed_http, std::move(text));
}

bool ResponseReader::too_long() {
    switch (state_) {
        case State::chunk_size: return malformed("a chunk's header is too long");
        case State::chunk_end: return malformed("a chunk is longer than it says");
        default: break;
    }
    std::string text = state_ == State::trailer ? "the trailer" : "the header";
    text += " of the answer is larger than " + std::to_string(max_header_bytes_) +
            " bytes; raise connection.max_header_bytes if that is intended";
    return fail(Errc::header_too_large, std::move(text));
}

bool ResponseReader::feed(std::string_view bytes, std::string& body) {
    if (!problem_text_.empty()) {
        return false;
    }
    started_ = started_ || !bytes.empty();
    while (!bytes.empty()) {
        bool fine = true;
        switch (state_) {
            case State::complete: surplus_ = true; return true;
            case State::length_body:
            case State::chunk_body:
            case State::close_body: fine = take_body(bytes, body); break;
            default: fine = take_line(bytes); break;
        }
        if (!fine) {
            return false;
        }
    }
    return true;
}

bool ResponseReader::take_body(std::string_view& bytes, std::string& body) {
    if (state_ == State::close_body) {
        body.append(bytes);
        bytes = std::string_view();
        return true;
    }
    const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, bytes.size()));
    body.append(bytes.substr(0, size));
    bytes.remove_prefix(size);
    remaining_ -= size;
    if (remaining_ == 0) {
        if (state_ == State::chunk_body) {
            begin_chunk_line(State::chunk_end, line_end.size());
        } else {
            state_ = State::complete;
        }
    }
    return true;
}

bool ResponseReader::check_beginning(std::string_view bytes) {
    const std::size_t known = rest_.size();
    for (std::size_t i = known; i < beginning.size() && i - known < bytes.size(); ++i) {
        if (bytes[i - known] != beginning[i]) {
            return malformed(speaker(known == 0 ? bytes.front() : rest_.front()));
        }
    }
    return true;
}

bool ResponseReader::take_line(std::string_view& bytes) {
    // Whoever does not speak HTTP may never end a line: say so at once.
    if (state_ == State::status_line && !check_beginning(bytes)) {
        return false;
    }
    const std::size_t newline = bytes.find('\n');
    const bool whole = newline != std::string_view::npos;
    std::string_view line = whole ? bytes.substr(0, newline + 1) : bytes;
    if (line.size() > room_) {
        return too_long();
    }
    room_ -= line.size();
    bytes.remove_prefix(line.size());
    if (!whole || !rest_.empty()) {
        rest_.append(line);
        line = rest_;
    }
    if (!whole) {
        return true;
    }
    if (!line.ends_with(line_end)) {
        return malformed("a line does not end with CR LF");
    }
    line.remove_suffix(line_end.size());
    const bool fine = read_line(line);
    rest_.clear();
    return fine;
}

bool ResponseReader::read_line(std::string_view line) {
    switch (state_) {
        case State::status_line: return read_status(line);
        case State::field: return line.empty() ? end_head() : read_field(line, head_.headers);
        case State::chunk_size: return read_chunk_size(line);
        case State::trailer: {
            if (line.empty()) {
                state_ = State::complete;
                return true;
            }
            // Nobody asked for trailers, and some could pass for headers: they go no further.
            Headers dropped;
            return read_field(line, dropped);
        }
        default: break;
    }
    if (!line.empty()) {
        return malformed("a chunk is longer than it says");
    }
    begin_chunk_line(State::chunk_size, max_chunk_line);
    return true;
}

bool ResponseReader::read_status(std::string_view line) {
    constexpr std::size_t code_at = 9;
    constexpr std::size_t code_end = 12;
    const std::string_view code = line.substr(std::min(code_at, line.size()), code_end - code_at);
    const bool fits = line.size() >= code_end && line[code_at - 1] == ' ' &&
                      std::all_of(code.begin(), code.end(), is_digit) && code.front() != '0' &&
                      (line.size() == code_end || line[code_end] == ' ');
    if (!fits || has_control(line)) {
        return malformed("its first line is no status line");
    }
    const char minor = line[beginning.size()];
    if (minor != '0' && minor != '1') {
        return malformed("its version is neither HTTP/1.1 nor HTTP/1.0");
    }
    http_1_0_ = minor == '0';
    std::from_chars(code.data(), code.data() + code.size(), head_.status);
    if (head_.status == switching_protocols) {
        return malformed("it switches the protocol, which was not asked for");
    }
    if (line.size() > code_end) {
        head_.reason.assign(line.substr(code_end + 1));
    }
    constexpr std::size_t usual_fields = 12;
    head_.headers.reserve(usual_fields);
    state_ = State::field;
    return true;
}

bool ResponseReader::read_field(std::string_view line, Headers& headers) {
    if (line.front() == ' ' || line.front() == '\t') {
        return malformed("a header line is folded");
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
        return malformed("a header line has no colon");
    }
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (has_control(value)) {
        return malformed("a header's value has a control character");
    }
    if (state_ == State::field && !note_field(name, value)) {
        return false;
    }
    try {
        headers.add(std::string(name), std::string(value));
    } catch (const std::invalid_argument&) {
        return malformed("a header's name is no token");
    }
    return true;
}

bool ResponseReader::note_field(std::string_view name, std::string_view value) {
    // Few names have these lengths: the usual field costs one comparison.
    switch (name.size()) {
        case 10:
            if (same_word(name, "connection")) {
                note_connection(value);
            } else if (same_word(name, "keep-alive")) {
                keep_alive_.assign(value);
            }
            return true;
        case 14: return !same_word(name, "content-length") || note_length(value);
        case 16:
            if (same_word(name, "content-encoding")) {
                coded_ = coded_ || !(value.empty() || same_word(value, "identity"));
            }
            return true;
        case 17: return !same_word(name, "transfer-encoding") || note_coding(value);
        default: return true;
    }
}

bool ResponseReader::note_length(std::string_view value) {
    std::string_view list = value;
    if (list.empty() || list.ends_with(',')) {
        return malformed("its Content-Length is no number");
    }
    while (!list.empty()) {
        const std::string_view element = take_element(list);
        std::uint64_t number = 0;
        const char* const end = element.data() + element.size();
        const auto parsed = std::from_chars(element.data(), end, number);
        if (parsed.ec != std::errc() || parsed.ptr != end) {
            return malformed("its Content-Length is no number");
        }
        if (length_ && *length_ != number) {
            return malformed("it has several lengths that differ");
        }
        length_ = number;
    }
    return !chunked_ || malformed("it has both Content-Length and Transfer-Encoding");
}

bool ResponseReader::note_coding(std::string_view value) {
    if (chunked_ || !same_word(value, "chunked")) {
        return malformed("its Transfer-Encoding is not one \"chunked\"");
    }
    chunked_ = true;
    return !length_ || malformed("it has both Content-Length and Transfer-Encoding");
}

void ResponseReader::note_connection(std::string_view value) {
    while (!value.empty()) {
        const std::string_view option = take_element(value);
        says_close_ = says_close_ || same_word(option, "close");
        says_keep_alive_ = says_keep_alive_ || same_word(option, "keep-alive");
    }
}

bool ResponseReader::end_head() {
    if (head_.status < first_final) {
        if (++interim_ > max_interim_answers) {
            return malformed("too many interim answers come before the final one");
        }
        head_ = HttpResponse();
        begin_message();
        return true;
    }
    head_complete_ = true;
    // HTTP/1.0 knows no chunks: who sends them nevertheless may mean something else by them.
    reusable_ = !says_close_ && (!http_1_0_ || (says_keep_alive_ && !chunked_));
    const bool bodiless = head_request_ || head_.status == no_content ||
                          head_.status == not_modified;
    if (bodiless || (length_ && *length_ == 0)) {
        state_ = State::complete;
        return true;
    }
    has_body_ = true;
    if (chunked_) {
        begin_chunk_line(State::chunk_size, max_chunk_line);
    } else if (length_) {
        remaining_ = *length_;
        state_ = State::length_body;
    } else {
        reusable_ = false;
        state_ = State::close_body;
    }
    return true;
}

void ResponseReader::begin_chunk_line(State state, std::size_t room) {
    state_ = state;
    room_ = room;
}

bool ResponseReader::read_chunk_size(std::string_view line) {
    std::uint64_t size = 0;
    std::size_t digits = 0;
    while (digits < line.size() && hex_value(line[digits]) >= 0) {
        constexpr auto highest = std::numeric_limits<std::uint64_t>::max();
        if (size > highest / 16) {
            return malformed("a chunk's size is too large");
        }
        size = size * 16 + static_cast<std::uint64_t>(hex_value(line[digits]));
        ++digits;
    }
    const std::string_view extensions = trimmed(line.substr(digits));
    if (digits == 0 || !(extensions.empty() || extensions.front() == ';') ||
        has_control(extensions)) {
        return malformed("a chunk's size is no hexadecimal number");
    }
    if (size == 0) {
        begin_chunk_line(State::trailer, max_header_bytes_);
        return true;
    }
    remaining_ = size;
    state_ = State::chunk_body;
    return true;
}

bool ResponseReader::end(bool orderly) {
    if (complete()) {
        return true;
    }
    if (!problem_text_.empty()) {
        return false;
    }
    if (state_ == State::close_body && orderly) {
        state_ = State::complete;
        return true;
    }
    std::string text = head_complete_
                           ? "the server ended the connection inside the answer's body"
                           : "the server ended the connection inside the answer's header";
    if (state_ == State::close_body) {
        text += " (no TLS close_notify marks its end)";
    } else if (state_ == State::length_body) {
        text += " (" + std::to_string(remaining_) + " bytes are missing)";
    }
    return fail(Errc::truncated_response, std::move(text));
}

}  // namespace llmproc::net
