#include "core/json_writer.hpp"

#include <llmproc/error.hpp>
#include "core/text_scan.hpp"

#include <array>
#include <charconv>
#include <cmath>

namespace llmproc {

namespace {

void append_escaped(std::string& out, char c) {
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\b': out += "\\b"; return;
        case '\f': out += "\\f"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: {
            constexpr std::string_view hex = "0123456789abcdef";
            const auto byte = static_cast<unsigned char>(c);
            out += "\\u00";
            out.push_back(hex[byte >> 4U]);
            out.push_back(hex[byte & 0xfU]);
        }
    }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    const char* at = text.data();
    const char* const end = at + text.size();
    out.push_back('"');
    while (at != end) {
        const char* run = at;
        // Valid sequences beyond ASCII belong to the run that is copied in one go.
        unsigned length = 1;
        for (;;) {
            run = find_special(run, end);
            if (run == end || static_cast<unsigned char>(*run) < 0x80) {
                break;
            }
            length = utf8_sequence(run, end);
            if (length == 0) {
                break;
            }
            run += length;
        }
        out.append(at, run);
        if (run == end) {
            break;
        }
        if (length == 0) {
            out += "\xef\xbf\xbd";
        } else {
            append_escaped(out, *run);
        }
        at = run + 1;
    }
    out.push_back('"');
}

void JsonWriter::separate() {
    if (comma_) {
        out_.push_back(',');
    }
    comma_ = true;
}

void JsonWriter::begin_object() {
    separate();
    out_.push_back('{');
    comma_ = false;
}

void JsonWriter::end_object() {
    out_.push_back('}');
    comma_ = true;
}

void JsonWriter::begin_array() {
    separate();
    out_.push_back('[');
    comma_ = false;
}

void JsonWriter::end_array() {
    out_.push_back(']');
    comma_ = true;
}

void JsonWriter::key(std::string_view name) {
    separate();
    append_json_string(out_, name);
    out_.push_back(':');
    comma_ = false;
}

void JsonWriter::string(std::string_view value) {
    separate();
    append_json_string(out_, value);
}

void JsonWriter::integer(std::int64_t value) {
    separate();
    std::array<char, 24> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    out_.append(digits.data(), written.ptr);
}

void JsonWriter::number(double value) {
    if (!std::isfinite(value)) {
        throw LLMError(
            Errc::invalid_argument,
            "JSON has no NaN and no infinity: give a finite number"
        );
    }
    separate();
    std::array<char, 32> digits{};
    const auto written = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    out_.append(digits.data(), written.ptr);
}

void JsonWriter::boolean(bool value) {
    separate();
    out_ += value ? "true" : "false";
}

void JsonWriter::null() {
    separate();
    out_ += "null";
}

void JsonWriter::raw(std::string_view text) {
    separate();
    out_ += text;
}

}  // namespace llmproc
