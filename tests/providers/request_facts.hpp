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
    bool sampling = true;
    bool arguments_are_text = false;
    Facts (*read)(const Json& body) = nullptr;
};

void PrintTo(const Dialect& dialect, std::ostream* out);

const std::vector<Dialect>& dialects();

/// What of the request the protocol can say.
Facts facts_of(const ChatRequest& request, const Dialect& dialect);

std::string fact(std::initializer_list<std::string> words);

Facts read_openai_chat(const Json& body);
Facts read_openai_responses(const Json& body);
Facts read_anthropic(const Json& body);
Facts read_gemini(const Json& body);

}  // namespace llmproc::testing_cassettes
