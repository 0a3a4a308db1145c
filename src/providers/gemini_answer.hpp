/// @file
/// A Gemini answer, whole or in chunks: both have the same shape.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/provider.hpp>
#include "core/json_reader.hpp"
#include "providers/gemini_parts.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::providers {

/// Takes the response objects of one answer in order.
class GeminiAnswer {
public:
    /// Reads one response object and appends its events to `out`; whether anything in it was known.
    /// Throws LLMError: what the object reports, or malformed_response.
    bool read(std::string_view object, StreamEvents& out);

    /// Whether the model said why it ended, or the prompt was blocked.
    bool ended() const noexcept { return !finish_reason_.empty() || !block_reason_.empty(); }
    /// Whether there was a candidate or a reason for none.
    bool answered() const noexcept { return has_candidate_ || !block_reason_.empty(); }
    /// Whether the server wants the rest to be asked for by continuationToken.
    bool to_be_continued() const noexcept { return finish_reason_ == "CONTINUATION"; }
    StopReason stop_reason() const;
    /// The provider's own word.
    const std::string& raw_stop_reason() const noexcept {
        return finish_reason_.empty() ? block_reason_ : finish_reason_;
    }
    const Usage& usage() const noexcept { return usage_; }
    /// Sets id, model and message.
    void complete(ChatReply& reply) const;

private:
    /// A candidate's members as they came, until it is known whose they are.
    struct Candidate;

    void read_candidates(JsonReader& reader, StreamEvents& out);
    void read_candidate(JsonReader& reader, StreamEvents& out);
    void read_content(JsonReader& reader, StreamEvents& out);
    void read_feedback(JsonReader& reader);
    void keep(const Candidate& candidate, StreamEvents& out);
    void keep_citations(std::string_view metadata);
    std::string citations() const;
    std::string notes() const;

    GeminiParts parts_;
    Usage usage_;
    std::string id_;
    std::string model_;
    std::string finish_reason_;
    std::string block_reason_;
    bool has_candidate_ = false;
    // JSON texts; empty if there are none.
    std::string citation_list_name_;
    std::string citation_list_;
    std::string grounding_;
    std::string url_context_;
    std::string finish_message_;
    std::string safety_ratings_;
    std::string prompt_feedback_;
};

}  // namespace llmproc::providers
