/// @file
/// Members of a stream's deltas that no event type exists for; they complete the reply.
#pragma once

#include <llmproc/provider.hpp>
#include "core/json_reader.hpp"
#include "providers/reasoning_details.hpp"

#include <string>
#include <string_view>

namespace llmproc::providers {

/// Collects reasoning_details, annotations, images and audio.
class StreamExtras {
public:
    /// Reads the member `key` if it is one of these; else consumes nothing and returns false.
    /// Pieces of images and audio are also passed on as events of type `other`.
    bool read(JsonReader& reader, std::string_view key, StreamEvents& out);
    /// Adds what was collected to the finished reply.
    void complete(ChatReply& reply) const;

private:
    /// The base64 pieces are cut anywhere, so they are simply joined.
    struct Audio {
        std::string id;
        std::string data;
        std::string transcript;
        bool present = false;
    };

    void read_audio(JsonReader& reader, StreamEvents& out);
    static std::string json_of(const Audio& audio);

    ReasoningDetails reasoning_details_;
    std::string annotations_;  ///< Elements as JSON text, comma separated.
    std::string images_;       ///< The same.
    Audio audio_;
};

}  // namespace llmproc::providers
