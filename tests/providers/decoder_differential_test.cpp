// The decoders read JSON by our own pull reader. Here each of them is compared with a slow reading
// by nlohmann's documents: what nlohmann refuses must be refused, what it reads must be read, with
// the same events; on all cassettes and on 100,000 changed events and replies.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"
#include "providers/mutations.hpp"
#include "providers/plain_reading.hpp"
#include "support/sanitizers.hpp"
#include "wire/sse_parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using testing_cassettes::Chance;
using testing_cassettes::Document;
using testing_cassettes::mutated;
using testing_cassettes::PlainReading;
using testing_cassettes::read_cassette;
using testing_cassettes::Words;

// 100,000 with all codecs; sanitizers find what they find in a tenth.
constexpr std::size_t events_per_codec = testing::sanitized ? 2'200 : 22'000;
constexpr std::size_t replies_per_codec = testing::sanitized ? 300 : 3'000;

struct Event {
    std::string name;
    std::string data;
};

/// What nlohmann makes of a text.
struct Parsed {
    std::optional<Document> document;
    /// It refuses two things that our reader takes on purpose: an escaped half of a surrogate pair
    /// (U+FFFD here) and a number beyond double where nobody asks for it.
    bool refused_otherwise = false;
};

Parsed parse(const std::string& text) {
    Parsed parsed;
    try {
        parsed.document = Document::parse(text);
    } catch (const nlohmann::json::parse_error& error) {
        parsed.refused_otherwise = std::string_view(error.what()).find("surrogate") !=
                                   std::string_view::npos;
    } catch (const nlohmann::json::out_of_range&) {
        parsed.refused_otherwise = true;
    }
    return parsed;
}

/// Of members of the same name nlohmann keeps one; the decoders see both.
bool has_twins(const std::string& text) {
    bool twins = false;
    std::vector<std::set<std::string>> names;
    const auto watch = [&](int, Document::parse_event_t event, Document& value) {
        if (event == Document::parse_event_t::object_start) {
            names.emplace_back();
        } else if (event == Document::parse_event_t::object_end) {
            names.pop_back();
        } else if (event == Document::parse_event_t::key) {
            twins = !names.back().insert(value.get<std::string>()).second || twins;
        }
        return true;
    };
    const Document unused = Document::parse(text, watch, false);
    return twins && !unused.is_discarded();
}

/// JSON in one form, other text as it is.
std::string one_form(const std::string& text) {
    const Document document = Document::parse(text, nullptr, false);
    return document.is_discarded() ? text : document.dump();
}

/// Kept as it came, as JSON.
bool is_raw(const StreamEvent& event) {
    return event.type == StreamEvent::Type::tool_call_arguments ||
           event.type == StreamEvent::Type::other;
}

std::string shown(const Usage& usage) {
    std::string text = usage.reported ? "reported" : "none";
    for (const std::int64_t count :
         {usage.input_tokens,
          usage.output_tokens,
          usage.total_tokens,
          usage.cached_input_tokens,
          usage.cache_write_tokens,
          usage.reasoning_tokens}) {
        text += ' ' + std::to_string(count);
    }
    return text;
}

/// Ids that the decoder had to make differ from run to run.
std::string known_id(const std::string& id, std::string_view source) {
    return source.find(id) == std::string_view::npos ? "made" : id;
}

std::string shown(const StreamEvent& event, std::string_view source) {
    return std::to_string(static_cast<int>(event.type)) + '|' +
           (is_raw(event) ? one_form(event.data) : event.data) + '|' + event.tool_name + '|' +
           known_id(event.tool_call_id, source) + '|' + std::to_string(event.index) + '|' +
           shown(event.usage) + '|' + std::string(to_string(event.stop_reason));
}

std::string shown(const ChatReply& reply, std::string_view source) {
    Document message = Document::parse(reply.message.to_json());
    for (Document& block : message["content"]) {
        if (block.is_object() && block.contains("id") && block["id"].is_string()) {
            block["id"] = known_id(block["id"].get<std::string>(), source);
        }
        if (block.is_object() && block.contains("arguments") && block["arguments"].is_string()) {
            block["arguments"] = one_form(block["arguments"].get<std::string>());
        }
    }
    return message.dump() + '|' + shown(reply.usage) + '|' +
           std::string(to_string(reply.stop_reason)) + '|' + reply.raw_stop_reason + '|' +
           reply.id + '|' + reply.model;
}

/// What became of one step: a status or an error, and the events.
struct Outcome {
    std::string end;
    bool refused = false;
    StreamEvents events;
    std::string seen;
};

template <class Step>
Outcome outcome_of(std::string_view source, Step step) {
    Outcome outcome;
    try {
        outcome.end = step(outcome.events);
    } catch (const LLMError& error) {
        outcome.end = "error " + std::to_string(static_cast<int>(error.errc()));
        outcome.refused = true;
    }
    for (const StreamEvent& event : outcome.events) {
        outcome.seen += shown(event, source) + '\n';
    }
    outcome.seen += outcome.end;
    return outcome;
}

Words words_of(const StreamEvents& events) {
    Words words;
    for (const StreamEvent& event : events) {
        if (event.type == StreamEvent::Type::text) {
            words.text += event.data;
        } else if (event.type == StreamEvent::Type::refusal) {
            words.refusal += event.data;
        } else if (event.type == StreamEvent::Type::thinking && event.data != "\n\n") {
            words.thinking += event.data;
        }
    }
    return words;
}

std::vector<Event> events_of(const std::string& body) {
    wire::SseParser parser;
    std::vector<Event> events;
    SseEvent event;
    parser.feed(body);
    while (parser.next(event)) {
        events.push_back({std::string(event.event), std::string(event.data)});
    }
    return events;
}

class DecoderDifferentialTest : public ::testing::TestWithParam<std::string> {
protected:
    void SetUp() override {
        const std::filesystem::path folder = std::filesystem::path(LLMPROC_CASSETTE_DIR) /
                                             GetParam();
        std::set<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(folder)) {
            names.insert(entry.path().filename().string());
        }
        for (const std::string& name : names) {
            if (name.ends_with(".sse")) {
                streams_.push_back(events_of(read_cassette(GetParam(), name)));
            } else if (name.find("-response") != std::string::npos && name.ends_with(".json")) {
                replies_.push_back(read_cassette(GetParam(), name));
            }
        }
        ASSERT_GE(streams_.size(), 4U);
        ASSERT_GE(replies_.size(), 2U);
    }

    /// Whether the decoder reads the data of such an event at all.
    bool looks_into(const Event& event) const {
        const std::size_t begin = event.data.find_first_not_of(" \t\r\n");
        if (begin == std::string::npos || event.data[begin] != '{') {
            return false;
        }
        return GetParam() != "anthropic" || event.name.starts_with("message_") ||
               event.name.starts_with("content_block_") || event.name == "error";
    }

    /// Of the deltas only: at the end some protocols repeat what nobody has said yet.
    bool has_words_of_its_own(const Event& event, const Document& document) const {
        if (GetParam() == "openai_responses") {
            const std::string type = testing_cassettes::words_at(document, "type");
            return (type.empty() ? event.name : type).ends_with(".delta");
        }
        return document.dump().find("reasoning_details") == std::string::npos;
    }

    /// Decodes a stream by both readings, `change`d from its event `first` on.
    template <class Change>
    void compare_stream(const std::vector<Event>& events, std::size_t first, Change change);
    /// Compares one event; whether the stream goes on.
    bool compare_event(const Event& event);
    void compare_reply(const std::string& body);

    std::vector<std::vector<Event>> streams_;
    std::vector<std::string> replies_;
    const Codec& codec_ = *find_codec(GetParam());

    // Of the stream that is being compared.
    std::unique_ptr<StreamDecoder> fast_;
    std::unique_ptr<StreamDecoder> slow_;
    std::optional<PlainReading> plain_;
    std::string source_;

    std::size_t compared_ = 0;
    std::size_t accepted_ = 0;
    std::size_t left_out_ = 0;
};

std::string status_name(DecodeStatus status) {
    return "status " + std::to_string(static_cast<int>(status));
}

bool DecoderDifferentialTest::compare_event(const Event& event) {
    ++compared_;
    const Parsed parsed = parse(event.data);
    const std::string canonical = parsed.document ? parsed.document->dump() : std::string();
    source_ += event.data + canonical;
    const Outcome fast = outcome_of(source_, [&](StreamEvents& out) {
        return status_name(fast_->feed(SseEvent(event.name, event.data), out));
    });
    if (!parsed.document) {
        left_out_ += parsed.refused_otherwise ? 1 : 0;
        if (!parsed.refused_otherwise && looks_into(event)) {
            EXPECT_TRUE(fast.refused) << "invalid JSON was read: " << event.data;
        }
        return false;
    }
    const Outcome slow = outcome_of(source_, [&](StreamEvents& out) {
        return status_name(slow_->feed(SseEvent(event.name, canonical), out));
    });
    const Words words = plain_->read(event.name, *parsed.document);
    const bool same_words = fast.refused || !has_words_of_its_own(event, *parsed.document) ||
                            words_of(fast.events) == words;
    if (fast.seen != slow.seen || !same_words) {
        if (has_twins(event.data)) {
            ++left_out_;
            return false;
        }
        EXPECT_EQ(fast.seen, slow.seen) << event.data;
        EXPECT_TRUE(same_words) << event.data << "\nread as: " << words_of(fast.events).text << '|'
                                << words_of(fast.events).thinking << "\nplainly: " << words.text
                                << '|' << words.thinking;
        return false;
    }
    accepted_ += fast.refused ? 0 : 1;
    return !fast.refused;
}

template <class Change>
void DecoderDifferentialTest::compare_stream(
    const std::vector<Event>& events,
    std::size_t first,
    Change change
) {
    fast_ = codec_.stream_decoder();
    slow_ = codec_.stream_decoder();
    plain_.emplace(GetParam());
    source_.clear();
    StreamEvents ignored;
    for (std::size_t i = 0; i < events.size(); ++i) {
        const Event& event = events[i];
        if (i >= first) {
            if (!compare_event({event.name, change(event.data)})) {
                return;
            }
            continue;
        }
        source_ += event.data;
        fast_->feed(SseEvent(event.name, event.data), ignored);
        slow_->feed(SseEvent(event.name, event.data), ignored);
        const Parsed parsed = parse(event.data);
        if (parsed.document) {
            static_cast<void>(plain_->read(event.name, *parsed.document));
        }
    }
    const auto end = [&](StreamDecoder& decoder) {
        return outcome_of(source_, [&](StreamEvents& out) {
            decoder.finish(out);
            ChatReply reply;
            decoder.complete(reply);
            return shown(reply, source_);
        });
    };
    EXPECT_EQ(end(*fast_).seen, end(*slow_).seen);
}

void DecoderDifferentialTest::compare_reply(const std::string& body) {
    ++compared_;
    const Parsed parsed = parse(body);
    const std::string canonical = parsed.document ? parsed.document->dump() : std::string();
    const auto decoded = [&](const std::string& text) {
        return outcome_of(body, [&](StreamEvents&) {
            HttpResponse response(200);
            response.body = text;
            return shown(codec_.decode(response), body + canonical);
        });
    };
    const Outcome fast = decoded(body);
    if (parsed.refused_otherwise || (parsed.document && has_twins(body))) {
        ++left_out_;
        return;
    }
    if (!parsed.document) {
        EXPECT_TRUE(fast.refused) << body;
        return;
    }
    accepted_ += fast.refused ? 0 : 1;
    EXPECT_EQ(fast.seen, decoded(canonical).seen) << body;
}

TEST_P(DecoderDifferentialTest, ReadsEveryCassetteAsNlohmannDoes) {
    const auto unchanged = [](const std::string& data) { return data; };
    for (const std::vector<Event>& events : streams_) {
        const std::size_t before = compared_;
        compare_stream(events, 0, unchanged);
        // All but an event that is no JSON ("[DONE]") or reports an error, which is the last.
        EXPECT_GE(compared_ - before + 1, events.size());
    }
    for (const std::string& body : replies_) {
        compare_reply(body);
    }
    EXPECT_GE(accepted_, 20U);
    EXPECT_EQ(left_out_, 0U);
}

TEST_P(DecoderDifferentialTest, ReadsChangedEventsAsNlohmannDoes) {
    Chance chance(0x9e3779b97f4a7c15ULL);
    const auto change = [&](const std::string& data) { return mutated(data, chance); };
    while (compared_ < events_per_codec && !HasFailure()) {
        const std::vector<Event>& events = streams_[chance.below(streams_.size())];
        // An error ends its stream, so what comes before the last event is never one.
        compare_stream(events, chance.below(events.size()), change);
    }
    EXPECT_GT(accepted_ * 5, compared_) << "most changes must not only break the JSON";
    EXPECT_LT(left_out_ * 20, compared_);
}

TEST_P(DecoderDifferentialTest, ReadsChangedRepliesAsNlohmannDoes) {
    Chance chance(0xd1b54a32d192ed03ULL);
    while (compared_ < replies_per_codec && !HasFailure()) {
        compare_reply(mutated(replies_[chance.below(replies_.size())], chance));
    }
    EXPECT_GT(accepted_ * 5, compared_);
    EXPECT_LT(left_out_ * 20, compared_);
}

INSTANTIATE_TEST_SUITE_P(
    Codecs,
    DecoderDifferentialTest,
    ::testing::Values("openai_chat", "openai_responses", "anthropic", "gemini"),
    testing_cassettes::test_name
);

}  // namespace
}  // namespace llmproc
