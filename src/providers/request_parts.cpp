#include "providers/request_parts.hpp"

#include <llmproc/error.hpp>
#include "core/json_reader.hpp"
#include "core/log_line.hpp"

#include <algorithm>
#include <stdexcept>

namespace llmproc::providers {

namespace {

bool starts_with_error(std::string_view text) {
    constexpr std::string_view word = "error";
    return text.size() >= word.size() &&
           std::equal(word.begin(), word.end(), text.begin(), [](char low, char c) {
               return c == low || c == static_cast<char>(low - 'a' + 'A');
           });
}

}  // namespace

void invalid_request(const std::string& text) {
    throw LLMError(Errc::invalid_argument, text);
}

void part_not_supported(std::string_view what, std::string_view remedy) {
    std::string text = "this protocol cannot carry ";
    text.append(what).append("; ").append(remedy);
    throw LLMError(Errc::not_supported, text);
}

void block_misplaced(std::string_view block, Role role) {
    std::string text = "a message of role ";
    text.append(to_string(role)).append(" cannot hold a ").append(block).append(" block");
    throw LLMError(Errc::invalid_argument, text);
}

const std::string& model_of(const ChatRequest& request, const Endpoint& endpoint) {
    const std::string& model = request.model.empty() ? endpoint.model : request.model;
    if (model.empty()) {
        invalid_request("no model is named; set model.name in the program or ChatRequest::model");
    }
    return model;
}

void add_extra_headers(HttpRequest& request, const SamplingParams& params) {
    for (const auto& [name, value] : params.extra_headers) {
        try {
            request.headers.set(name, value);
        } catch (const std::invalid_argument& problem) {
            throw LLMError(
                Errc::invalid_argument,
                std::string("parameters.extra_headers: ") + problem.what()
            );
        }
    }
}

bool is_block_of(const UnknownBlock& block, std::string_view protocol) {
    if (block.provider == protocol) {
        return true;
    }
    if (log_enabled(LogLevel::debug)) {
        log_line(LogLevel::debug, "left a block of the protocol " + block.provider + " out");
    }
    return false;
}

std::string data_url(const MediaSource& source, std::string_view fallback_type) {
    std::string url = "data:";
    url.append(source.media_type.empty() ? fallback_type : std::string_view(source.media_type));
    url.append(";base64,").append(source.data);
    return url;
}

std::string marked_as_error(const std::string& text) {
    return starts_with_error(text) ? text : "error: " + text;
}

void write_integer(JsonWriter& json, std::string_view name, std::optional<std::int64_t> value) {
    if (value) {
        json.key(name);
        json.integer(*value);
    }
}

void write_number(JsonWriter& json, std::string_view name, std::optional<double> value) {
    if (value) {
        json.key(name);
        json.number(*value);
    }
}

bool write_choice_mode(JsonWriter& json, const ToolChoice& choice) {
    switch (choice.mode) {
        case ToolChoice::Mode::automatic: json.string("auto"); return true;
        case ToolChoice::Mode::none: json.string("none"); return true;
        case ToolChoice::Mode::required: json.string("required"); return true;
        case ToolChoice::Mode::tool: break;
    }
    if (choice.name.empty()) {
        invalid_request("ToolChoice::tool needs the name of a tool");
    }
    return false;
}

void refuse_forced_call(const std::optional<ToolChoice>& choice) {
    const bool forced = choice && (choice->mode == ToolChoice::Mode::required ||
                                   choice->mode == ToolChoice::Mode::tool);
    if (forced) {
        invalid_request("tool_choice demands a tool call, but the request has no tools");
    }
}

Members read_members(std::string_view object) {
    Members members;
    JsonReader reader(object);
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        std::string name(key);
        members.emplace_back(std::move(name), reader.raw());
    }
    return members;
}

std::string merge_extra(const std::string& body, const RawJson& extra) {
    if (JsonReader(extra.text()).peek() != JsonKind::object) {
        invalid_request("extra_body must be a JSON object");
    }
    const Members added = read_members(extra.text());
    std::string merged;
    merged.reserve(body.size() + extra.text().size());
    JsonWriter json(merged);
    json.begin_object();
    for (const auto& [name, value] : read_members(body)) {
        const std::string& own = name;
        const bool replaced = std::any_of(added.begin(), added.end(), [&](const auto& member) {
            return member.first == own;
        });
        if (!replaced) {
            json.key(name);
            json.raw(value);
        }
    }
    for (const auto& [name, value] : added) {
        json.key(name);
        json.raw(value);
    }
    json.end_object();
    return merged;
}

std::size_t fill_encode_cache(const History& messages, EncodeCache& cache, AppendMessage append) {
    std::size_t bytes = 0;
    for (const auto& message : messages) {
        if (!message) {
            invalid_request("a message of the request is a null pointer");
        }
        if (message->role() == Role::system) {
            bytes += message->text().size() + 64;
            continue;  // not cached: their role depends on the endpoint
        }
        const std::string* text = cache.find(message);
        if (text == nullptr) {
            std::string fresh;
            append(fresh, *message, false);
            text = &cache.store(message, std::move(fresh));
        }
        bytes += text->size() + 1;
    }
    return bytes;
}

}  // namespace llmproc::providers
