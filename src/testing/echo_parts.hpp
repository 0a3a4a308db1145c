/// @file
/// What the echoes of all protocols share.
#pragma once

#include <llmproc/testing/reply.hpp>

#include <nlohmann/json.hpp>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::testing {

class RecordedRequest;

using Json = nlohmann::ordered_json;

/// Time stamp of all answers.
constexpr std::int64_t mock_created = 1'795'219'200;
constexpr const char* mock_model = "mock-model";

/// JSON text. What is not UTF-8 is a fault of the test, which shall see it, not an exception.
std::string dump(const Json& json);
/// Arguments of a tool call as a value; text that is not JSON becomes an empty object.
Json arguments_value(const std::string& text);

/// A stream whose events are named by their "type".
Reply typed_sse(const std::vector<Json>& events);

/// Words with the blanks before them, so that joining gives the text again.
std::vector<std::string> words_of(const std::string& text);
int count_words(const std::string& text);
/// The text of a message's content: a string, or an array of parts of which some have a text.
std::string text_of(const Json& content);

/// The conversation in a request, whatever its protocol.
class Question {
public:
    /// `messages` are objects with a role and a content under the name `content`.
    Question(const Json& messages, const char* content);

    std::string answer() const { return "You said: " + last_; }
    int words() const noexcept { return words_; }

private:
    std::string last_;
    int words_ = 0;
};

/// The part of the target before the query.
std::string_view path_of(const RecordedRequest& request);

/// The body as JSON given to `answer`; its exceptions become `failed`. Adds a request id to the
/// reply under the name `id_header`.
Reply answered(
    const RecordedRequest& request,
    const char* id_header,
    const std::function<Reply(const Json& body)>& answer,
    const std::function<Reply(const std::string& problem)>& failed
);

}  // namespace llmproc::testing
