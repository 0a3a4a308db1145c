// One row for each protocol: its recorded files, how an independent reader understands them, and
// one request that was recorded. A further protocol is a further row of `protocol_cases`.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/codec_checks.hpp"

#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc::testing_cassettes {

/// `FILE.sse` with what it means in `FILE.expected.json`.
struct RecordedStream {
    RecordedStream(std::string name) : file(std::move(name)) {}  // NOLINT: a name is one
    RecordedStream(std::string name, std::uint64_t unknown)
        : file(std::move(name)),
          unknown_events(unknown) {}
    std::string file;
    std::uint64_t unknown_events = 0;
};

/// `FILE.sse` that ends in an error after HTTP 200.
struct BrokenStream {
    std::string file;
    Errc code;
    std::string text;  ///< What was answered before.
    std::string word;  ///< The provider's type, code or message.
    std::string request_id = std::string();
    std::int64_t input_tokens = 0;
};

struct ProtocolCase {
    std::string codec;  ///< Also the folder of the recordings.
    Endpoint endpoint;

    std::vector<RecordedStream> streams;
    std::vector<BrokenStream> broken_streams;
    std::vector<std::string> replies;  ///< `FILE.json`

    /// A whole answer, read by another parser than the codec's.
    Meaning (*meaning)(const Json& answer) = nullptr;
    /// From where on a stream that is cut may count as whole.
    std::size_t (*complete_at)(std::string_view body) = nullptr;
    /// Where the answer says its id and its model.
    std::string id_key;
    std::string model_key;
    /// Tool arguments are objects on the wire, so their spaces mean nothing.
    bool arguments_are_objects = false;
    /// A member that a later version may add to every event, with a comma behind.
    std::string new_member;

    /// How the message of the answer must go back, read from the answer; null = it must not.
    Json (*goes_back)(const Json& answer) = nullptr;
    /// The message behind the first one in a request's body.
    Json (*second_message)(const Json& body) = nullptr;

    /// A round of tool calls and the file of its recorded body.
    ChatRequest (*tool_round)() = nullptr;
    std::string tool_round_file;
    bool tool_round_streams = false;
};

inline void PrintTo(const ProtocolCase& protocol, std::ostream* out) {
    *out << protocol.codec;
}

ProtocolCase anthropic_case();
ProtocolCase gemini_case();
ProtocolCase openai_chat_case();
ProtocolCase openai_responses_case();

inline const std::vector<ProtocolCase>& protocol_cases() {
    static const std::vector<ProtocolCase> cases{
        anthropic_case(),
        gemini_case(),
        openai_chat_case(),
        openai_responses_case()};
    return cases;
}

inline const Codec& codec_of(const ProtocolCase& protocol) {
    return *find_codec(protocol.codec);
}

}  // namespace llmproc::testing_cassettes
