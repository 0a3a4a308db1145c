#include <llmproc/error.hpp>
#include <llmproc/message.hpp>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

std::string error_of(const std::string& text) {
    try {
        static_cast<void>(Message::from_json(text));
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_json);
        return error.what();
    }
    return "accepted";
}

std::string one_block(const std::string& block) {
    return R"({"role":"assistant","content":[)" + block + "]}";
}

Message with(ContentBlock block) {
    Message message(Role::assistant, std::vector<ContentBlock>());
    message.add(std::move(block));
    return message;
}

/// Makes messages of every kind of block with awkward texts.
class RandomMessages {
public:
    explicit RandomMessages(unsigned seed) : random_(seed) {}

    Message message() {
        constexpr Role roles[] = {Role::system, Role::user, Role::assistant, Role::tool};
        Message message(roles[below(4)], std::vector<ContentBlock>());
        for (std::size_t blocks = below(6); blocks > 0; --blocks) {
            message.add(block());
        }
        return message;
    }

private:
    std::size_t below(std::size_t bound) { return random_() % bound; }
    bool flip() { return below(2) == 0; }

    std::string text() {
        const std::string pool[] = {
            "word ",
            "\"",
            "\\",
            "\n",
            "\t",
            "é",
            "日本",
            "😀",
            std::string(1, '\0'),
            "{\"a\":1}",
            "/"};
        std::string made;
        for (std::size_t parts = below(8); parts > 0; --parts) {
            made += pool[below(std::size(pool))];
        }
        return made;
    }

    RawJson raw() {
        const std::string pool[] = {
            "null",
            "{}",
            "{ \"b\" : 1.0e+2,\n\t\"a\":[ ] }",
            "12345678901234567890123.0",
            "\"\\u00e9\"",
            "{\"type\":\"text\"}",
            "{\"type\":\"new_kind\",\"x\":[1, 2]}",
            "{\"type\":1}",
            "[[[]]]",
            std::string(512, '[') + std::string(512, ']')};
        return RawJson(pool[below(std::size(pool))]);
    }

    MediaSource source() {
        switch (below(3)) {
            case 0: return MediaSource::bytes(text(), "image/png");
            case 1: return MediaSource::url(text());
            default: return MediaSource::file_id(text());
        }
    }

    TextBlock text_block() {
        TextBlock block = flip() ? TextBlock(text()) : TextBlock::refused(text());
        if (flip()) {
            block.citations = raw();
        }
        return block;
    }

    ToolResultBlock tool_result() {
        std::vector<ToolResultContent> parts;
        for (std::size_t count = below(4); count > 0; --count) {
            switch (below(4)) {
                case 0: parts.emplace_back(text_block()); break;
                case 1: parts.emplace_back(ImageBlock(source(), text())); break;
                case 2: parts.emplace_back(AudioBlock(source())); break;
                default: parts.emplace_back(DocumentBlock(source(), text())); break;
            }
        }
        return ToolResultBlock(text(), std::move(parts), flip());
    }

    ContentBlock block() {
        switch (below(10)) {
            case 0: return text_block();
            case 1: return ImageBlock(source(), text());
            case 2: return DocumentBlock(source(), text());
            case 3: {
                ThinkingBlock thinking(text(), text());
                if (flip()) {
                    thinking.opaque = raw();
                }
                return thinking;
            }
            case 4: return RedactedThinkingBlock(text());
            case 5: return ToolCallBlock(text(), text(), text());
            case 6: return AudioBlock(source());
            case 7: return CachePointBlock(text());
            case 8: return tool_result();
            default: return UnknownBlock(flip() ? std::string() : text(), raw());
        }
    }

    std::mt19937 random_;
};

TEST(MessageJsonTest, RoundTripsWithoutLoss) {
    RandomMessages random(4711);
    for (int i = 0; i < 5'000; ++i) {
        const Message message = random.message();
        const std::string text = message.to_json();
        ASSERT_TRUE(nlohmann::json::accept(text)) << text;
        const Message again = Message::from_json(text);
        ASSERT_EQ(again, message) << text;
        ASSERT_EQ(again.to_json(), text);
    }
}

TEST(MessageJsonTest, HistoriesRoundTrip) {
    RandomMessages random(4712);
    for (int i = 0; i < 200; ++i) {
        History history;
        for (int n = i % 7; n > 0; --n) {
            history.push_back(std::make_shared<const Message>(random.message()));
        }
        const std::string text = to_json(history);
        const History again = history_from_json(text);
        ASSERT_EQ(again.size(), history.size());
        for (std::size_t n = 0; n < history.size(); ++n) {
            ASSERT_EQ(*again[n], *history[n]);
        }
        ASSERT_EQ(to_json(again), text);
    }
    EXPECT_EQ(to_json(History()), "[]");
}

TEST(MessageJsonTest, RefusesANullMessage) {
    const History history(1);
    try {
        static_cast<void>(to_json(history));
        ADD_FAILURE();
    } catch (const LLMError& error) {
        EXPECT_EQ(error.errc(), Errc::invalid_argument);
    }
}

TEST(MessageJsonTest, HasTheDocumentedShapes) {
    TextBlock cited = TextBlock::refused("t");
    cited.citations = RawJson("[ 1 ]");
    ThinkingBlock thinking("t", "s");
    thinking.opaque = RawJson("{}");
    const std::vector<std::pair<ContentBlock, std::string>> shapes = {
        {TextBlock("t"), R"({"type":"text","text":"t"})"},
        {cited, R"({"type":"text","text":"t","refusal":true,"citations":[ 1 ]})"},
        {ImageBlock(MediaSource::bytes("foo", "image/png"), "low"),
         R"({"type":"image","source":{"kind":"base64","media_type":"image/png","data":"Zm9v"},"detail":"low"})"},
        {ImageBlock(MediaSource::url("u")),
         R"({"type":"image","source":{"kind":"url","data":"u"}})"},
        {DocumentBlock(MediaSource::file_id("f"), "n"),
         R"({"type":"document","source":{"kind":"file_id","data":"f"},"name":"n"})"},
        {AudioBlock(MediaSource::bytes("foo", "audio/wav")),
         R"({"type":"audio","source":{"kind":"base64","media_type":"audio/wav","data":"Zm9v"}})"},
        {CachePointBlock(), R"({"type":"cache_point"})"},
        {CachePointBlock("1h"), R"({"type":"cache_point","ttl":"1h"})"},
        {ToolResultBlock("i", {AudioBlock(MediaSource::url("u"))}),
         R"({"type":"tool_result","call_id":"i","content":[{"type":"audio","source":{"kind":"url","data":"u"}}],"is_error":false})"},
        {thinking, R"({"type":"thinking","text":"t","signature":"s","opaque":{}})"},
        {RedactedThinkingBlock("d"), R"({"type":"redacted_thinking","data":"d"})"},
        {ToolCallBlock("i", "n", "{\"a\":1}"),
         R"({"type":"tool_call","id":"i","name":"n","arguments":"{\"a\":1}"})"},
        {ToolResultBlock("i", "t", true),
         R"({"type":"tool_result","call_id":"i","content":[{"type":"text","text":"t"}],"is_error":true})"},
        {UnknownBlock("gemini", RawJson("{ \"x\":1 }")),
         R"({"type":"unknown","provider":"gemini","raw":{ "x":1 }})"},
    };
    for (const auto& [block, json] : shapes) {
        EXPECT_EQ(with(block).to_json(), one_block(json));
        EXPECT_EQ(Message::from_json(one_block(json)), with(block));
    }
}

TEST(MessageJsonTest, KeepsBlocksOfUnknownTypeAsTheirText) {
    const std::string block = "{\"type\" : \"hologram\", \"n\":1.50, \"x\":{\"type\":\"text\"}}";
    const Message message = Message::from_json(one_block(block));
    const auto& unknown = std::get<UnknownBlock>(message.content().at(0));
    EXPECT_EQ(unknown.provider, "");
    EXPECT_EQ(unknown.raw.text(), block);
    EXPECT_EQ(message.to_json(), one_block(block));
}

TEST(MessageJsonTest, ReadsMembersInAnyOrderAndSkipsNewOnes) {
    const Message message = Message::from_json(
        R"({"new":[{}],"content":[{"text":"t","later":{"a":[1]},"type":"text"}],"role":"user"})"
    );
    EXPECT_EQ(message, Message::user("t"));
}

TEST(MessageJsonTest, ReadsPlainTextAsContent) {
    EXPECT_EQ(Message::from_json(R"({"role":"user","content":"h\u00e9"})"), Message::user("hé"));
}

TEST(MessageJsonTest, NamesWhatIsWrong) {
    const std::vector<std::pair<std::string, std::string>> table = {
        {"", "expected an object"},
        {"[]", "expected an object"},
        {R"({"role":"user"})", "members \"role\" and \"content\""},
        {R"({"role":"king","content":[]})", "offset 8: expected a role"},
        {R"({"role":"user","content":1})", "expected an array"},
        {one_block("1"), "content block with a string member \"type\""},
        {one_block("{}"), "content block with a string member \"type\""},
        {one_block(R"({"type":1})"), "content block with a string member \"type\""},
        {one_block(R"({"type":"text"})"), "member \"text\" in the text block"},
        {one_block(R"({"type":"text","text":1})"), "expected a string"},
        {one_block(R"({"type":"image"})"), "member \"source\" in the image block"},
        {one_block(R"({"type":"document"})"), "member \"source\" in the document block"},
        {one_block(R"({"type":"image","source":{"kind":"disk","data":""}})"), "a source kind"},
        {one_block(R"({"type":"image","source":{"kind":"url"}})"), "members \"kind\" and \"data\""},
        {one_block(R"({"type":"thinking"})"), "member \"text\" in the thinking block"},
        {one_block(R"({"type":"redacted_thinking"})"), "member \"data\""},
        {one_block(R"({"type":"tool_call","name":"n"})"), "member \"id\""},
        {one_block(R"({"type":"tool_call","id":"n"})"), "member \"name\""},
        {one_block(R"({"type":"tool_result","content":[]})"), "member \"call_id\""},
        {one_block(R"({"type":"tool_result","call_id":"c"})"), "member \"content\""},
        {one_block(R"({"type":"tool_result","call_id":"c","content":[{"type":"thinking"}]})"),
         "a text, image, document or audio block"},
        {one_block(R"({"type":"unknown","provider":"p"})"), "member \"raw\""},
        {R"({"role":"user","content":[]} x)", "expected the end of the text"},
    };
    for (const auto& [text, expected] : table) {
        EXPECT_NE(error_of(text).find(expected), std::string::npos)
            << text << "\n  gave: " << error_of(text);
    }
}

TEST(MessageJsonTest, EveryProperPrefixIsRefused) {
    const std::string text = with(ToolResultBlock("c", "text", true)).to_json();
    for (std::size_t length = 0; length < text.size(); ++length) {
        EXPECT_THROW(static_cast<void>(Message::from_json(text.substr(0, length))), LLMError);
        EXPECT_THROW(static_cast<void>(history_from_json("[" + text.substr(0, length))), LLMError);
    }
}

}  // namespace
}  // namespace llmproc
