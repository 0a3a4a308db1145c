#include "testing/echo_parts.hpp"

#include <llmproc/testing/scripted_server.hpp>

#include <algorithm>
#include <cstddef>
#include <sstream>

namespace llmproc::testing {

std::string dump(const Json& json) {
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json arguments_value(const std::string& text) {
    Json value = Json::parse(text, nullptr, false);
    return value.is_discarded() ? Json::object() : value;
}

Reply typed_sse(const std::vector<Json>& events) {
    Reply reply;
    reply.header("Content-Type", "text/event-stream").header("Cache-Control", "no-cache");
    reply.framing(Framing::chunked);
    for (const Json& event : events) {
        const std::string type = event.value("type", "message");
        reply.piece("event: " + type + "\ndata: " + dump(event) + "\n\n");
    }
    return reply;
}

std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find(' ', at + 1), text.size());
        words.push_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

int count_words(const std::string& text) {
    std::istringstream words(text);
    int count = 0;
    for (std::string word; words >> word;) {
        ++count;
    }
    return count;
}

std::string text_of(const Json& content) {
    if (content.is_string()) {
        return content.get<std::string>();
    }
    std::string text;
    for (const Json& part : content) {
        if (part.is_object() && part.contains("text") && part["text"].is_string()) {
            text += part["text"].get<std::string>();
        }
    }
    return text;
}

Question::Question(const Json& messages, const char* content) {
    for (const Json& message : messages) {
        if (!message.is_object() || !message.contains(content)) {
            continue;
        }
        std::string text = text_of(message[content]);
        words_ += count_words(text);
        if (message.value("role", "") == "user") {
            last_ = std::move(text);
        }
    }
}

std::string_view path_of(const RecordedRequest& request) {
    const std::string_view target = request.target;
    return target.substr(0, target.find('?'));
}

Reply answered(
    const RecordedRequest& request,
    const char* id_header,
    const std::function<Reply(const Json& body)>& answer,
    const std::function<Reply(const std::string& problem)>& failed
) {
    Reply reply;
    try {
        reply = answer(Json::parse(request.body, nullptr, false));
    } catch (const Json::exception& error) {
        reply = failed(error.what());
    }
    reply.header(
        id_header,
        "req_mock_" + std::to_string(request.connection_id) + "_" + std::to_string(request.sequence)
    );
    return reply;
}

}  // namespace llmproc::testing
