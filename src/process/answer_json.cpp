#include "process/answer_json.hpp"

#include <llmproc/error.hpp>
#include "core/json_reader.hpp"

#include <cstddef>

namespace llmproc {

namespace {

/// Bounds the work on hostile texts.
constexpr std::size_t max_objects = 16;

/// Whether an object could begin here, rather than a brace among words.
bool looks_like_object(std::string_view text) {
    const std::size_t next = text.find_first_not_of(" \t\r\n", 1);
    return next == std::string_view::npos || text[next] == '"' || text[next] == '}';
}

}  // namespace

std::vector<std::string_view> json_objects_in(std::string_view text) {
    std::vector<std::string_view> objects;
    std::size_t brace = text.find('{');
    while (brace != std::string_view::npos && objects.size() < max_objects) {
        const std::string_view rest = text.substr(brace);
        std::size_t length = 1;
        if (looks_like_object(rest)) {
            try {
                JsonReader reader(rest);
                reader.skip();
                length = reader.offset();
            } catch (const LLMError&) {
                // What follows could be parts of it, never the answer.
                length = rest.size();
            }
            objects.push_back(rest.substr(0, length));
        }
        brace = text.find('{', brace + length);
    }
    if (objects.empty()) {
        objects.push_back(text);
    }
    return objects;
}

}  // namespace llmproc
