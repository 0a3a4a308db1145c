#include "providers/request_parts.hpp"

#include <llmproc/version.hpp>
#include "core/log_line.hpp"
#include "wire/url.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>
#include <variant>

namespace llmproc::providers {

namespace {

/// The usual base, a path without query, is only cut: it was checked when the process started.
std::string target_of(const Endpoint& endpoint, std::string_view path) {
    const std::string_view base = endpoint.base_url;
    const std::size_t authority = base.find("://");
    const bool plain = (base.starts_with("https:") || base.starts_with("http:")) &&
                       authority != base.npos && base.find_first_of("?#@ ") == base.npos;
    if (!plain) {
        return wire::Url::parse(base).join(path);
    }
    const std::size_t begin = base.find('/', authority + 3);
    std::string_view prefix = begin == base.npos ? std::string_view() : base.substr(begin);
    while (prefix.ends_with('/')) {
        prefix.remove_suffix(1);
    }
    std::string target;
    target.reserve(prefix.size() + path.size());
    target.append(prefix).append(path);
    return target;
}

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

HttpRequest json_request(std::string_view method, std::string_view path, const Endpoint& endpoint) {
    HttpRequest request;
    request.method = method;
    try {
        request.target = target_of(endpoint, path);
    } catch (const std::invalid_argument& problem) {
        invalid_request(std::string("model.base_url: ") + problem.what());
    }
    request.headers.reserve(6);
    if (method != "GET") {
        request.headers.add("content-type", "application/json");
    }
    request.headers.add("accept", "application/json");
    request.headers.add("user-agent", "llmproc/" LLMPROC_VERSION);
    return request;
}

void add_key_header(
    HttpRequest& request,
    std::string_view name,
    std::string_view scheme,
    const Endpoint& endpoint
) {
    if (endpoint.api_key.empty()) {
        return;
    }
    std::string value(scheme);
    value += endpoint.api_key.reveal();
    try {
        request.headers.add(std::string(name), std::move(value));
    } catch (const std::invalid_argument&) {
        invalid_request("the API key holds a line end or another byte that no header can carry; "
                        "remove it from the variable or file the key comes from");
    }
}

void add_extra_headers(HttpRequest& request, const SamplingParams& params) {
    const bool has_key = request.headers.contains("x-api-key");
    for (const auto& [name, value] : params.extra_headers) {
        try {
            request.headers.set(name, value);
        } catch (const std::invalid_argument& problem) {
            invalid_request(std::string("parameters.extra_headers: ") + problem.what());
        }
    }
    if (has_key && request.headers.contains("authorization")) {
        request.headers.erase("x-api-key");
    }
}

std::string query_value(std::string_view text) {
    constexpr std::string_view unreserved =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string value;
    for (const char c : text) {
        if (unreserved.find(c) != unreserved.npos) {
            value.push_back(c);
        } else {
            const auto byte = static_cast<unsigned char>(c);
            value.append({'%', digits[byte >> 4U], digits[byte & 15U]});
        }
    }
    return value;
}

const std::string& model_of(const ChatRequest& request, const Endpoint& endpoint) {
    const std::string& model = request.model.empty() ? endpoint.model : request.model;
    if (model.empty()) {
        invalid_request("no model is named; set model.name in the program or ChatRequest::model");
    }
    return model;
}

const std::string& wire_model(const ChatRequest& request, const Endpoint& endpoint) {
    const std::string& model = model_of(request, endpoint);
    return endpoint.deployment.empty() || model != endpoint.model ? model : endpoint.deployment;
}

std::string_view base_path(const Endpoint& endpoint) noexcept {
    std::string_view base = endpoint.base_url;
    base = base.substr(0, base.find('?'));
    const std::size_t authority = base.find("://");
    const std::size_t begin = base.find('/', authority == base.npos ? 0 : authority + 3);
    std::string_view path = begin == base.npos ? std::string_view() : base.substr(begin);
    while (path.ends_with('/')) {
        path.remove_suffix(1);
    }
    return path;
}

const std::string& path_name(std::string_view what, const std::string& name) {
    constexpr std::string_view safe =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
        "-._~/@:+";
    if (name.empty() || name.find_first_not_of(safe) != name.npos || name.find("..") != name.npos) {
        invalid_request(
            std::string(what) + " \"" + name +
            "\" cannot stand in an address; give it as the provider lists it, in letters, digits "
            "and -._~/@:+"
        );
    }
    return name;
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

void part_not_supported(std::string_view protocol, std::string_view what, std::string_view remedy) {
    std::string text(protocol);
    text.append(" cannot carry ").append(what).append("; ").append(remedy);
    throw LLMError(Errc::not_supported, text);
}

void block_misplaced(std::string_view block, Role role) {
    std::string text = "a message of role ";
    text.append(to_string(role)).append(" cannot hold a ").append(block);
    text += " block; ";
    text += block == "tool result" ? "give it a message of its own, of role tool"
                                   : "it belongs into a message of the assistant";
    throw LLMError(Errc::invalid_argument, text);
}

void holds_only(std::string_view what, Role role) {
    std::string text = "a message of role ";
    text.append(to_string(role)).append(" can hold nothing but ").append(what);
    text += "; move its other blocks to a message of the user";
    throw LLMError(Errc::invalid_argument, text);
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

bool may_hold_results(const Message& message) {
    const auto& blocks = message.content();
    return message.role() == Role::tool ||
           std::any_of(blocks.begin(), blocks.end(), [](const ContentBlock& block) {
               return std::holds_alternative<ToolResultBlock>(block) ||
                      std::holds_alternative<UnknownBlock>(block);
           });
}

bool is_cache_point(const ContentBlock& block) {
    return std::holds_alternative<CachePointBlock>(block);
}

std::size_t count_said_blocks(const Message& message) {
    const auto& blocks = message.content();
    const auto points = std::count_if(blocks.begin(), blocks.end(), is_cache_point);
    return blocks.size() - static_cast<std::size_t>(points);
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
