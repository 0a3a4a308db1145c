#include <llmproc/json.hpp>
#include <llmproc/raw_json.hpp>
#include "core/json_reader.hpp"

#include <cstddef>
#include <utility>

namespace llmproc {

namespace {

/// White space around a value is no part of it, and would be lost inside another document.
std::string trimmed(std::string text) {
    constexpr const char* space = " \t\r\n";
    const std::size_t last = text.find_last_not_of(space);
    text.erase(last == std::string::npos ? 0 : last + 1);
    const std::size_t first = text.find_first_not_of(space);
    if (first != 0 && first != std::string::npos) {
        text.erase(0, first);
    }
    return text;
}

}  // namespace

RawJson::RawJson() : text_("null") {}

RawJson::RawJson(std::string text) {
    validate_json(text);
    text_ = trimmed(std::move(text));
}

RawJson::RawJson(Trusted /*tag*/, std::string text) noexcept : text_(std::move(text)) {}

RawJson RawJson::trusted(std::string text) {
    return {Trusted(), trimmed(std::move(text))};
}

RawJson RawJson::from(const Json& document) {
    return {Trusted(), dump_json(document)};
}

Json RawJson::parse() const {
    return parse_json(text_);
}

}  // namespace llmproc
