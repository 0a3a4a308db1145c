#include "core/json_writer.hpp"
#include "providers/anthropic.hpp"
#include "providers/request_parts.hpp"

#include <string>
#include <string_view>

namespace llmproc::providers {

std::string anthropic_cache_control(std::string_view ttl) {
    std::string control = R"({"type":"ephemeral")";
    if (!ttl.empty()) {
        control += R"(,"ttl":)";
        append_json_string(control, ttl);
    }
    return control + "}";
}

void mark_cache_point(std::string& blocks, std::string_view control) {
    if (!blocks.ends_with('}')) {
        misplaced_cache_point();
    }
    blocks.back() = ',';
    blocks.append(R"("cache_control":)").append(control).push_back('}');
}

void misplaced_cache_point() {
    invalid_request(
        "a cache point stands first in a message; put it behind the block up to which the request "
        "may be cached, or first in the first message to mean the system prompt"
    );
}

std::string_view take_first_point(std::string_view& content) {
    if (!content.starts_with(anthropic_point_mark)) {
        return {};
    }
    const std::size_t end = content.find(anthropic_point_mark, 1);
    const std::string_view point = content.substr(1, end - 1);
    content.remove_prefix(end + 1);
    return point;
}

}  // namespace llmproc::providers
