// What a hostile server streams without end is never held without end. A file of its own, because it
// replaces the global operator new of its executable, to know how much memory is in use.
#include <llmproc/error.hpp>
#include <llmproc/provider.hpp>
#include "model/reply_builder.hpp"
#include "providers/stream_driver.hpp"

#include <gtest/gtest.h>

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <functional>
#include <new>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

std::atomic<std::size_t> in_use{0};
std::atomic<std::size_t> most{0};

void* counted(std::size_t size) noexcept {
    void* const memory = std::malloc(size == 0 ? 1 : size);
    if (memory != nullptr) {
        const std::size_t now = in_use += malloc_usable_size(memory);
        if (now > most) {
            most = now;
        }
    }
    return memory;
}

void uncounted(void* memory) noexcept {
    if (memory != nullptr) {
        in_use -= malloc_usable_size(memory);
    }
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
    void* const memory = counted(size);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

// The sanitizers bring their own of this one, which would not match the deletes below.
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
    return counted(size);
}

void operator delete(void* memory) noexcept {
    uncounted(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    uncounted(memory);
}

namespace llmproc {
namespace {

std::string event(const std::string& data) {
    return "data: " + data + "\n\n";
}

/// How one protocol says the same hostile things.
struct Attack {
    std::string codec;
    std::string start;
    std::string (*text)(const std::string& piece);
    std::string call;  ///< Begins a tool call.
    std::string (*arguments)(const std::string& piece);
    std::string (*call_at)(std::size_t number);
};

std::string chat_text(const std::string& piece) {
    return event(R"({"choices":[{"index":0,"delta":{"content":")" + piece + R"("}}]})");
}
std::string chat_call(const std::string& members) {
    return event(R"({"choices":[{"index":0,"delta":{"tool_calls":[{)" + members + "}]}}]}");
}
std::string chat_arguments(const std::string& piece) {
    return chat_call(R"("index":0,"function":{"arguments":")" + piece + R"("})");
}
std::string chat_call_at(std::size_t number) {
    const std::string text = std::to_string(number);
    return chat_call(R"("index":)" + text + R"(,"id":"c)" + text + R"(","function":{"name":"f"})");
}

std::string responses_text(const std::string& piece) {
    return event(
        R"({"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":")" +
        piece + R"("})"
    );
}
std::string responses_arguments(const std::string& piece) {
    return event(
        R"({"type":"response.function_call_arguments.delta","output_index":1,"delta":")" + piece +
        R"("})"
    );
}
std::string responses_call_at(std::size_t number) {
    const std::string text = std::to_string(number);
    return event(
        R"({"type":"response.output_item.added","output_index":)" + text +
        R"(,"item":{"type":"function_call","id":"i","call_id":"c)" + text + R"(","name":"f"}})"
    );
}

std::string anthropic_delta(const std::string& index, const std::string& delta) {
    return event(
        R"({"type":"content_block_delta","index":)" + index + R"(,"delta":{)" + delta + "}}"
    );
}
std::string anthropic_text(const std::string& piece) {
    return anthropic_delta("0", R"("type":"text_delta","text":")" + piece + R"(")");
}
std::string anthropic_arguments(const std::string& piece) {
    return anthropic_delta("1", R"("type":"input_json_delta","partial_json":")" + piece + R"(")");
}
std::string anthropic_call_at(std::size_t number) {
    const std::string text = std::to_string(number);
    return event(
        R"({"type":"content_block_start","index":)" + text +
        R"(,"content_block":{"type":"tool_use","id":"c)" + text + R"(","name":"f","input":{}}})"
    );
}

std::string gemini_parts(const std::string& part) {
    return event(R"({"candidates":[{"content":{"role":"model","parts":[{)" + part + "}]}}]}");
}
std::string gemini_text(const std::string& piece) {
    return gemini_parts(R"("text":")" + piece + R"(")");
}
/// Calls come whole here: pieces of one are thoughts instead.
std::string gemini_thought(const std::string& piece) {
    return gemini_parts(R"("thought":true,"text":")" + piece + R"(")");
}
std::string gemini_call_at(std::size_t number) {
    return gemini_parts(R"("functionCall":{"name":"f","id":"c)" + std::to_string(number) + R"("})");
}

const std::vector<Attack>& attacks() {
    static const std::vector<Attack> all{
        {"openai_chat", "", chat_text, chat_call_at(0), chat_arguments, chat_call_at},
        {"openai_responses",
         "",
         responses_text,
         responses_call_at(1),
         responses_arguments,
         responses_call_at},
        {"anthropic",
         event(R"({"type":"message_start","message":{"id":"m","usage":{"input_tokens":1}}})") +
             event(
                 R"({"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"
             ),
         anthropic_text,
         anthropic_call_at(1),
         anthropic_arguments,
         anthropic_call_at},
        {"gemini", "", gemini_text, "", gemini_thought, gemini_call_at}};
    return all;
}

void PrintTo(const Attack& attack, std::ostream* out) {
    *out << attack.codec;
}

/// How an endless answer ended, and what it cost.
struct End {
    Errc code = Errc();
    std::size_t fed = 0;
    std::size_t memory = 0;  ///< At most held more than before.
};

/// Feeds `piece(0)`, `piece(1)`, ... until that is refused, at most a GiB; the reply is collected as a
/// run collects it.
End endless(
    const Attack& attack,
    std::size_t limit,
    const std::string& start,
    const std::function<std::string_view(std::size_t)>& piece
) {
    constexpr std::size_t gigabyte = std::size_t{1} << 30U;
    End end;
    const std::size_t before = in_use;
    most = before;
    providers::StreamDriver driver(
        find_codec(attack.codec)->stream_decoder(),
        wire::SseLimits(limit, limit),
        limit
    );
    ReplyBuilder builder;
    StreamEvents events;
    const auto feed = [&](std::string_view bytes) {
        end.fed += bytes.size();
        driver.feed(bytes, events);
        for (const StreamEvent& said : events) {
            builder.add(said);
        }
        events.clear();
    };
    try {
        feed(start);
        for (std::size_t i = 0; end.fed < gigabyte; ++i) {
            feed(piece(i));
        }
    } catch (const LLMError& error) {
        end.code = error.errc();
    }
    end.memory = most - before;
    return end;
}

class HostileStreamTest : public testing::TestWithParam<Attack> {
protected:
    static constexpr std::size_t limit = std::size_t{2} << 20U;

    /// Ends at the limit, and what is held is in proportion to it.
    static void expect_bounded(const End& end, std::size_t largest_piece) {
        EXPECT_EQ(end.code, Errc::body_too_large);
        EXPECT_LE(end.fed, limit + largest_piece);
        EXPECT_LE(end.memory, 8 * limit);
    }

    /// Anthropic's events of unknown types are passed over without a look inside.
    static bool not_read(const std::string& data) {
        return GetParam().codec == "anthropic" &&
               (data.front() == '[' || data.find("response.completed") != std::string::npos);
    }

    End repeated(const std::string& start, const std::string& piece) const {
        return endless(GetParam(), limit, GetParam().start + start, [&piece](std::size_t) {
            return std::string_view(piece);
        });
    }
};

TEST_P(HostileStreamTest, AGigabyteOfText) {
    const std::string piece = GetParam().text(std::string(16384, 'x'));
    expect_bounded(repeated("", piece), piece.size());
}

TEST_P(HostileStreamTest, AGigabyteOfTextWithTheDefaultLimit) {
    const std::string piece = GetParam().text(std::string(std::size_t{1} << 20U, 'x'));
    constexpr std::size_t most_bytes = providers::StreamDriver::default_max_bytes;
    const End end = endless(GetParam(), most_bytes, GetParam().start, [&piece](std::size_t) {
        return std::string_view(piece);
    });
    EXPECT_EQ(end.code, Errc::body_too_large);
    EXPECT_LE(end.fed, most_bytes + piece.size());
    EXPECT_LE(end.memory, 4 * most_bytes);
}

TEST_P(HostileStreamTest, EmptyDeltas) {
    const std::string piece = GetParam().text("");
    expect_bounded(repeated("", piece), piece.size());
}

TEST_P(HostileStreamTest, TextOfOneLetterEach) {
    const std::string piece = GetParam().text("x");
    expect_bounded(repeated("", piece), piece.size());
}

TEST_P(HostileStreamTest, PiecesOfOneCallWithoutEnd) {
    const std::string piece = GetParam().arguments("x");
    expect_bounded(repeated(GetParam().call, piece), piece.size());
}

TEST_P(HostileStreamTest, CallsWithoutEnd) {
    std::string piece;
    const End end = endless(GetParam(), limit, GetParam().start, [&](std::size_t number) {
        piece = GetParam().call_at(number + 1);
        return std::string_view(piece);
    });
    EXPECT_TRUE(end.code == Errc::body_too_large || end.code == Errc::malformed_response);
    EXPECT_LE(end.memory, 8 * limit);
}

TEST_P(HostileStreamTest, OneLineWithoutEnd) {
    const std::string piece(16384, 'x');
    expect_bounded(repeated("data: ", piece), piece.size());
}

TEST_P(HostileStreamTest, OneEventOfLinesWithoutEnd) {
    const std::string piece = "data: x\n";
    expect_bounded(repeated("", piece), piece.size());
}

TEST_P(HostileStreamTest, CommentsAndUnknownEventsWithoutEnd) {
    const std::string piece = ": still there\n\nevent: news\ndata: {\"type\":\"news\"}\n\n";
    const End end = repeated("", piece);
    expect_bounded(end, piece.size());
    EXPECT_LE(end.memory, std::size_t{1} << 20U) << "they mean nothing, so nothing is kept";
}

TEST_P(HostileStreamTest, LongIdsWithoutEnd) {
    const std::string piece = "id: " + std::string(16384, 'x') + "\nretry: 99999999999999999999\n";
    const End end = repeated("", piece);
    expect_bounded(end, piece.size());
    EXPECT_LE(end.memory, std::size_t{1} << 20U);
}

TEST_P(HostileStreamTest, JsonOfAnyDepthIsRefusedWhereItIsRead) {
    for (const char* open : {"[", "{\"a\":"}) {
        std::string deep;
        for (int i = 0; i < 10000; ++i) {
            deep += open;
        }
        for (const std::string& data :
             {deep,
              R"({"choices":)" + deep,
              R"({"candidates":)" + deep,
              R"({"type":)" + deep,
              R"({"type":"response.completed","response":)" + deep,
              R"({"type":"message_start","message":)" + deep,
              R"({"error":)" + deep}) {
            const End end = repeated("", event(data));
            EXPECT_EQ(end.code, not_read(data) ? Errc::body_too_large : Errc::malformed_response)
                << data.substr(0, 40);
            EXPECT_LE(end.memory, 8 * limit);
        }
    }
}

TEST_P(HostileStreamTest, AbsurdIndexesAreRefusedOrNamesOnly) {
    for (const std::size_t number : {std::size_t{4294967295}, std::size_t{1} << 62U}) {
        const std::string piece = GetParam().call_at(number);
        const End end = repeated("", piece);
        EXPECT_EQ(end.code, Errc::malformed_response);
        // Anthropic's are names, which may be any number but not come twice; Gemini has none, there
        // the number of calls ends it.
        if (GetParam().codec != "gemini") {
            const std::size_t times = GetParam().codec == "anthropic" ? 2 : 1;
            EXPECT_EQ(end.fed, GetParam().start.size() + times * piece.size());
        }
        EXPECT_LE(end.memory, 8 * limit);
    }
}

TEST_P(HostileStreamTest, InvalidUtf8IsRefusedOrReplacedButNeverKept) {
    const std::string bytes("a\xff\xc0\x80\xed\xa0\x80\xf5z", 9);
    providers::StreamDriver driver(
        find_codec(GetParam().codec)->stream_decoder(),
        wire::SseLimits()
    );
    StreamEvents events;
    try {
        driver.feed(GetParam().start + GetParam().text(bytes), events);
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::malformed_response);
        EXPECT_EQ(error.message().find('\xff'), std::string::npos);
    }
    ReplyBuilder builder;
    for (const StreamEvent& said : events) {
        builder.add(said);
    }
    const Message message = builder.finish().message;
    const std::string kept = message.to_json();
    EXPECT_EQ(kept.find('\xff'), std::string::npos);
    EXPECT_EQ(Message::from_json(kept).to_json(), kept);
}

INSTANTIATE_TEST_SUITE_P(
    All,
    HostileStreamTest,
    testing::ValuesIn(attacks()),
    [](const testing::TestParamInfo<Attack>& attack) { return attack.param.codec; }
);

}  // namespace
}  // namespace llmproc
