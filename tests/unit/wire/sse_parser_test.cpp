#include "wire/sse_parser.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <ostream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace llmproc::wire {
namespace {

struct Event {
    std::string event, data;
    std::optional<std::string> id;
    bool operator==(const Event&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Event& event) {
    return out << "{" << event.event << "|" << event.data << "|" << event.id.value_or("-") << "}";
}

Event copy(const SseEvent& event) {
    Event result{std::string(event.event), std::string(event.data), std::nullopt};
    if (event.id) {
        result.id = std::string(*event.id);
    }
    return result;
}

void feed(SseParser& parser, std::string_view bytes, std::vector<Event>& events) {
    // An own allocation of exact size, gone at once: a view that outlives it is seen by ASan.
    const auto owned = std::make_unique<char[]>(bytes.size());
    bytes.copy(owned.get(), bytes.size());
    parser.feed(std::string_view(owned.get(), bytes.size()));
    SseEvent event;
    while (parser.next(event)) {
        events.push_back(copy(event));
    }
}

struct Outcome {
    std::vector<Event> events;
    std::optional<Event> pending;
    std::string last_id;
    std::optional<std::chrono::milliseconds> retry;
    SseStatus status = SseStatus::ok;
    bool operator==(const Outcome&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
    for (const auto& event : outcome.events) {
        out << event;
    }
    return out << " pending " << outcome.pending.value_or(Event{"-", "-", {}}) << " id "
               << outcome.last_id << (outcome.status == SseStatus::ok ? " ok" : " too large");
}

Outcome parse(const std::vector<std::string_view>& pieces, SseLimits limits = SseLimits()) {
    SseParser parser(limits);
    Outcome outcome;
    for (const auto piece : pieces) {
        feed(parser, piece, outcome.events);
    }
    SseEvent event;
    if (parser.finish() == SseTail::pending_event && parser.take_pending(event)) {
        outcome.pending = copy(event);
    }
    outcome.last_id = parser.last_event_id();
    outcome.retry = parser.retry();
    outcome.status = parser.status();
    return outcome;
}

std::vector<std::string_view> cut(std::string_view text, std::size_t size) {
    std::vector<std::string_view> pieces;
    for (std::size_t i = 0; i < text.size(); i += size) {
        pieces.push_back(text.substr(i, size));
    }
    return pieces;
}

void expect_same_for_any_split(std::string_view text, const Outcome& expected, SseLimits limits) {
    for (std::size_t i = 0; i <= text.size(); ++i) {
        EXPECT_EQ(parse({text.substr(0, i), text.substr(i)}, limits), expected) << "split " << i;
        EXPECT_EQ(parse({text.substr(0, i), "", text.substr(i)}, limits), expected);
    }
    EXPECT_EQ(parse(cut(text, 1), limits), expected) << "byte by byte";
    std::mt19937 random(7);
    for (int round = 0; round < 20; ++round) {
        std::vector<std::string_view> pieces;
        for (auto rest = text; !rest.empty();) {
            const auto size = std::min<std::size_t>(rest.size(), random() % 9);
            pieces.push_back(rest.substr(0, size));
            rest.remove_prefix(size);
        }
        EXPECT_EQ(parse(pieces, limits), expected) << "round " << round;
    }
}

std::string read_file(const std::string& path) {
    std::ifstream file(std::string(LLMPROC_CASSETTE_DIR) + path, std::ios::binary);
    EXPECT_TRUE(file.good()) << path;
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::vector<Event> expected_events(const nlohmann::json& list, bool with_ids) {
    std::vector<Event> events;
    for (const auto& entry : list) {
        const auto& name = entry.at("event");
        Event event{name.is_null() ? "" : name.get<std::string>(), entry.at("data"), {}};
        if (with_ids && entry.contains("id")) {
            event.id = entry.at("id").get<std::string>();
        }
        events.push_back(std::move(event));
    }
    return events;
}

TEST(SseParserTest, Trap20_YieldsTheStandardsEventsForAnySplit) {
    int count = 0;
    for (const auto& entry : nlohmann::json::parse(read_file("/sse/sse-framing-cases.json"))) {
        SCOPED_TRACE(entry.at("name").get<std::string>());
        ++count;
        const auto text = entry.at("input").get<std::string>();
        const auto outcome = parse({text});
        EXPECT_EQ(outcome.events, expected_events(entry.at("whatwg"), true));
        EXPECT_EQ(outcome.retry.has_value(), entry.contains("retry"));
        if (entry.contains("retry")) {
            EXPECT_EQ(outcome.retry->count(), entry.at("retry").get<long>());
        }
        expect_same_for_any_split(text, outcome, SseLimits());
    }
    EXPECT_EQ(count, 34);
}

TEST(SseParserTest, GivesTheTailThatTheOpenAiSdkDelivers) {
    int tails = 0;
    for (const auto& entry : nlohmann::json::parse(read_file("/sse/sse-framing-cases.json"))) {
        SCOPED_TRACE(entry.at("name").get<std::string>());
        auto outcome = parse({entry.at("input").get<std::string>()});
        for (auto& event : outcome.events) {
            event.id.reset();
        }
        if (outcome.pending) {
            ++tails;
            outcome.events.push_back(*outcome.pending);
        }
        // The one difference that is meant: an event without data is dropped, as the standard has it.
        if (entry.at("name") == "event without data") {
            EXPECT_TRUE(outcome.events.empty());
            continue;
        }
        EXPECT_EQ(outcome.events, expected_events(entry.at("openai_sdk"), false));
    }
    EXPECT_EQ(tails, 4);
}

TEST(SseParserTest, ReadsRecordedStreamsAtAnySplit) {
    for (const std::string name : {"", "-compat", "-error", "-refusal", "-tools"}) {
        const auto text = read_file("/openai_chat/openai-chat-stream" + name + ".sse");
        const auto whole = parse({text});
        EXPECT_GT(whole.events.size(), 2U) << name;
        expect_same_for_any_split(text, whole, SseLimits());
    }
}

TEST(SseParserTest, DropsTheByteOrderMarkAtTheStartOnly) {
    const std::string text = "\xEF\xBB\xBF"
                             "data: 1\n\n\xEF\xBB\xBF"
                             "data: 2\n\ndata: 3\n\n";
    const auto outcome = parse({text});
    EXPECT_EQ(outcome.events, (std::vector<Event>{{"", "1", {}}, {"", "3", {}}}));
    expect_same_for_any_split(text, outcome, SseLimits());
    const std::string half = "\xEF\xBB"
                             "data: 1\n\ndata: 2\n\n";
    EXPECT_EQ(parse({half}).events, (std::vector<Event>{{"", "2", {}}}));
    expect_same_for_any_split(half, parse({half}), SseLimits());
}

TEST(SseParserTest, DispatchesAtACrWithoutWaitingForItsLf) {
    SseParser parser;
    std::vector<Event> events;
    feed(parser, "data: 1\r\n\r", events);
    EXPECT_EQ(events.size(), 1U);
    feed(parser, "\n", events);
    feed(parser, "data: 2\r\n\r\n", events);
    EXPECT_EQ(events, (std::vector<Event>{{"", "1", {}}, {"", "2", {}}}));
}

TEST(SseParserTest, KeepsTheLastEventIdAndIgnoresBadRetries) {
    const auto outcome = parse(
        {"id: 7\n\ndata: 1\n\nid: 8\nretry: 5\nretry:\nretry: 99999999999999999999\n"
         "retry: -1\ndata: 2\n\nid: 9\n"}
    );
    EXPECT_EQ(outcome.events, (std::vector<Event>{{"", "1", {}}, {"", "2", "8"}}));
    EXPECT_EQ(outcome.last_id, "8") << "the id of an event that never ended does not count";
    EXPECT_EQ(outcome.retry, std::chrono::milliseconds(5));
    EXPECT_EQ(parse({"id: 7\ndata: 1\n\nid:\ndata: 2\n\n"}).last_id, "");
}

TEST(SseParserTest, Trap19_CommentsAreNoEvents) {
    SseParser parser;
    std::vector<Event> events;
    feed(parser, ": keep", events);
    feed(parser, "-alive\n", events);
    feed(parser, ":\n\n", events);
    EXPECT_TRUE(events.empty());
}

TEST(SseParserTest, EventsInsideOneReadAreViewsIntoIt) {
    const std::string text = "event: e\ndata: one\n\ndata: two\n\n";
    SseParser parser;
    parser.feed(text);
    SseEvent event;
    for (const std::size_t position : {text.find("one"), text.find("two")}) {
        ASSERT_TRUE(parser.next(event));
        EXPECT_EQ(event.data.data(), text.data() + position);
    }
    EXPECT_FALSE(parser.next(event));
}

TEST(SseParserTest, EnforcesItsLimitsForAnySplit) {
    const SseLimits limits(10, 8);
    const std::vector<std::pair<std::string, SseStatus>> rows = {
        {"data: 1234\n\n", SseStatus::ok},
        {"data: 12345\n\n", SseStatus::too_large},
        {"data: ok\n\n: 456789012345", SseStatus::too_large},
        {"data:123\ndata:4567\n\n", SseStatus::ok},
        {"data:123\ndata:45678\n\n", SseStatus::too_large},
        {"data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n", SseStatus::ok},
        {"data\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\ndata\n\n", SseStatus::too_large},
        {"data:1234\n\ndata:12345\n\ndata:ok\n\n", SseStatus::ok},
        {"data:123\ndata:45678", SseStatus::too_large},
    };
    for (const auto& [text, status] : rows) {
        SCOPED_TRACE(text);
        const auto outcome = parse({text}, limits);
        EXPECT_EQ(outcome.status, status);
        expect_same_for_any_split(text, outcome, limits);
    }
}

TEST(SseParserTest, StopsForGoodOnceSomethingWasTooLarge) {
    SseParser parser(SseLimits(4, 4));
    std::vector<Event> events;
    feed(parser, "data: too long", events);
    EXPECT_EQ(parser.status(), SseStatus::too_large);
    feed(parser, "\n\ndata\n\n", events);
    EXPECT_TRUE(events.empty());
    EXPECT_EQ(parser.finish(), SseTail::pending_event);
    SseEvent event;
    EXPECT_FALSE(parser.take_pending(event));
}

TEST(SseParserTest, GivesThePendingEventOnce) {
    SseParser parser;
    std::vector<Event> events;
    feed(parser, "data: 1\n\nevent: e\ndata: 2\ndata: 3", events);
    SseEvent event;
    EXPECT_FALSE(parser.take_pending(event)) << "not before finish";
    EXPECT_EQ(parser.finish(), SseTail::pending_event);
    ASSERT_TRUE(parser.take_pending(event));
    EXPECT_EQ(copy(event), (Event{"e", "2\n3", {}}));
    EXPECT_FALSE(parser.take_pending(event));
    EXPECT_FALSE(parser.next(event));
}

TEST(SseParserTest, TellsACleanEnd) {
    for (const std::string text : {"", "\n", "data: 1\n\n", "data: 1\n\n: bye", "id: 4\n", "foo"}) {
        SseParser parser;
        std::vector<Event> events;
        feed(parser, text, events);
        EXPECT_EQ(parser.finish(), SseTail::clean) << text;
    }
}

TEST(SseParserTest, RefusesToLoseBytes) {
    SseParser parser;
    parser.feed("data: 1\n\ndata: 2\n\n");
    EXPECT_THROW(parser.feed("x"), std::logic_error);
    EXPECT_THROW(static_cast<void>(parser.finish()), std::logic_error);
    SseEvent event;
    while (parser.next(event)) {}
    EXPECT_EQ(parser.finish(), SseTail::clean);
    EXPECT_THROW(parser.feed("x"), std::logic_error);
}

TEST(SseParserTest, SurvivesRandomBytesWithTheSameResultForAnySplit) {
    constexpr std::string_view alphabet("\r\n: \0ab\xEF\xBB\xBF", 10);
    const std::vector<std::string> words = {"data", "data:", "event: ", "id:", "retry: 1", "\r\n"};
    std::mt19937 random(42);
    for (int round = 0; round < 300; ++round) {
        std::string text;
        const auto size = random() % 40;
        while (text.size() < size) {
            const auto pick = random();
            if (pick % 3 == 0) {
                text += words[random() % words.size()];
            } else {
                text += pick % 7 == 0 ? static_cast<char>(random() & 0xFFU)
                                      : alphabet[random() % alphabet.size()];
            }
        }
        const SseLimits limits(random() % 2 == 0 ? 1000 : 7, random() % 2 == 0 ? 1000 : 5);
        const auto outcome = parse({text}, limits);
        for (std::size_t i = 0; i <= text.size(); ++i) {
            ASSERT_EQ(
                parse(
                    {std::string_view(text).substr(0, i), std::string_view(text).substr(i)},
                    limits
                ),
                outcome
            ) << nlohmann::json::binary({text.begin(), text.end()}).dump();
        }
        ASSERT_EQ(parse(cut(text, 1), limits), outcome);
    }
}

}  // namespace
}  // namespace llmproc::wire
