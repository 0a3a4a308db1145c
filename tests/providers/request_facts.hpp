// What a request says, as a list of facts: once from the request of this library, once read from the
// body of each protocol as docs of the providers describe it.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/json.hpp>

#include <initializer_list>
#include <iosfwd>
#include <string>
#include <vector>

namespace llmproc::testing_cassettes {

/// One fact is one line; the order counts.
using Facts = std::vector<std::string>;

/// What a protocol can say.
struct Dialect {
    std::string codec;
    bool signed_thinking = false;  ///< Thinking goes back with its signature.
    bool plain_thinking = false;   ///< Thinking without one goes back as well.
    bool redacted_thinking = false;
    bool error_flag = false;       ///< Results of tools have one; else their text says it.
    bool media_in_results = true;  ///< Else it follows in a user message.
    bool image_detail = false;
    bool document_names = true;
    bool document_urls = true;
    bool document_ids = false;  ///< Files of the provider's own.
    bool image_ids = false;
    bool sound = false;
    bool cache_points = false;
    bool strict = false;           ///< Tools may be strict, and their calls one by one.
    bool always_strict = false;    ///< Says also that a tool is not strict.
    bool calls_in_choice = false;  ///< One by one is a part of the choice of tools.
    bool sampling = true;
    bool arguments_are_text = false;
    Facts (*read)(const Json& body) = nullptr;
};

void PrintTo(const Dialect& dialect, std::ostream* out);

const std::vector<Dialect>& dialects();

/// What of the request the protocol can say.
Facts facts_of(const ChatRequest& request, const Dialect& dialect);

std::string fact(std::initializer_list<std::string> words);
std::string strict_word(bool strict);
std::string parallel_fact(bool parallel);
/// The string of that name; throws without one.
std::string text_at(const Json& object, const char* key);
[[noreturn]] void unexpected(const Json& value);
void add_limits(Facts& facts, const Json& settings, const char* limit);

Facts read_openai_chat(const Json& body);
Facts read_openai_responses(const Json& body);
Facts read_anthropic(const Json& body);
Facts read_gemini(const Json& body);

}  // namespace llmproc::testing_cassettes
