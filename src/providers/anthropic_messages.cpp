#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "providers/anthropic.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::providers {

namespace {

/// Appends messages to the array. The results of one assistant message must all stand first in the
/// one user message behind it, so a run of messages with results becomes one.
class MessageList {
public:
    MessageList(std::string& out, bool system_allowed) noexcept
        : out_(out),
          system_allowed_(system_allowed) {}

    void add(const Message& message, std::string_view content) {
        const Role role = message.role();
        if (role == Role::user || role == Role::tool) {
            // JSON text has no NUL byte, but it can be long.
            const std::size_t cut = may_hold_results(message) ? content.find('\0')
                                                              : std::string_view::npos;
            if (cut != std::string_view::npos) {
                results_.push_back(content.substr(0, cut));
                content.remove_prefix(cut + 1);
            }
            if (!content.empty()) {
                rest_.push_back(content);
            }
            return;
        }
        flush();
        if (role == Role::system && !system_allowed_) {
            throw LLMError(
                Errc::not_supported,
                "this version of the API allows system messages only before all others; set "
                "model.api_version = \"2026-10-21\", or use ChatRequest::system"
            );
        }
        if (!content.empty()) {
            write(role == Role::system ? "system" : "assistant", content);
        }
    }

    void flush() {
        if (results_.empty()) {
            for (const std::string_view content : rest_) {
                write("user", content);
            }
        } else {
            begin("user");
            out_.push_back('[');
            bool first = true;
            for (const auto* parts : {&results_, &rest_}) {
                for (const std::string_view part : *parts) {
                    out_ += first ? "" : ",";
                    append_blocks(out_, part);
                    first = false;
                }
            }
            out_ += "]}";
        }
        results_.clear();
        rest_.clear();
    }

    bool empty() const noexcept { return !comma_; }

    /// Blocks as elements of an array.
    static void append_blocks(std::string& out, std::string_view content) {
        if (content.starts_with('"')) {
            out.append(R"({"type":"text","text":)").append(content).push_back('}');
        } else {
            out += content;
        }
    }

private:
    void begin(std::string_view role) {
        out_ += std::exchange(comma_, true) ? "," : "";
        out_.append(R"({"role":")").append(role).append(R"(","content":)");
    }

    void write(std::string_view role, std::string_view content) {
        begin(role);
        const bool text = content.starts_with('"');
        out_ += text ? "" : "[";
        out_ += content;
        out_ += text ? "}" : "]}";
    }

    std::string& out_;
    std::vector<std::string_view> results_;
    std::vector<std::string_view> rest_;
    bool system_allowed_;
    bool comma_ = false;
};

/// The system prompt and the system messages before all others. `point` is a cache point behind
/// them, or empty.
void write_system(
    std::string& body,
    const std::string& system,
    const History& messages,
    std::size_t leading,
    std::string_view point,
    const EncodeCache& cache
) {
    if (leading == 0 && system.empty()) {
        if (!point.empty()) {
            misplaced_cache_point();
        }
        return;
    }
    body += ",\"system\":";
    if (leading == 0 && point.empty()) {
        append_json_string(body, system);
        return;
    }
    body.push_back('[');
    std::string own;
    if (!system.empty()) {
        append_json_string(own, system);
        MessageList::append_blocks(body, own);
    }
    for (std::size_t i = 0; i < leading; ++i) {
        body += i == 0 && system.empty() ? "" : ",";
        std::string_view content = *cache.find(messages[i]);
        if (!take_first_point(content).empty()) {
            misplaced_cache_point();
        }
        MessageList::append_blocks(body, content);
    }
    if (!point.empty()) {
        mark_cache_point(body, point);
    }
    body.push_back(']');
}

}  // namespace

std::size_t fill_anthropic_cache(const History& messages, EncodeCache& cache) {
    std::size_t bytes = 0;
    for (const auto& message : messages) {
        if (!message) {
            invalid_request("a message of the request is a null pointer");
        }
        const std::string* text = cache.find(message);
        if (text == nullptr) {
            text = &cache.store(message, encode_anthropic_content(*message));
        }
        if (text->empty() && message->role() != Role::assistant) {
            invalid_request(
                "a message of role " + std::string(to_string(message->role())) +
                " is empty, which the API refuses; give it text or leave it out"
            );
        }
        bytes += text->size() + 40;
    }
    return bytes;
}

void write_anthropic_messages(
    std::string& body,
    const ChatRequest& request,
    const EncodeCache& cache,
    bool system_allowed
) {
    const History& messages = request.messages;
    const auto first = std::find_if(messages.begin(), messages.end(), [](const auto& message) {
        return message->role() != Role::system;
    });
    const auto leading = static_cast<std::size_t>(first - messages.begin());
    std::string_view begin = first == messages.end() ? std::string_view() : *cache.find(*first);
    write_system(body, request.system, messages, leading, take_first_point(begin), cache);
    body += ",\"messages\":[";
    MessageList list(body, system_allowed);
    for (std::size_t i = leading; i < messages.size(); ++i) {
        std::string_view content = *cache.find(messages[i]);
        if (!take_first_point(content).empty() && i != leading) {
            misplaced_cache_point();
        }
        list.add(*messages[i], content);
    }
    list.flush();
    if (list.empty()) {
        invalid_request(
            "the request has no message of a user or tool; add one with ChatRequest::add"
        );
    }
    body.push_back(']');
}

}  // namespace llmproc::providers
