// Every protocol with every kind of media from every place, in a user's message and in a tool's
// result: the exact part, or a refusal that names the protocol and the way out.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <ostream>
#include <string>
#include <variant>
#include <vector>

namespace llmproc {
namespace {

/// What one block of one protocol becomes; a text that begins with "!" is what the refusal says.
struct Cell {
    const char* block;
    const char* from;
    std::string in_message;
    std::string in_result;
};

struct Protocol {
    const char* codec;
    const char* words;
    /// Where the part stands in the body.
    std::function<Json(const Json& body)> part_of_message;
    std::function<Json(const Json& body)> part_of_result;
    std::vector<Cell> cells;
};

void PrintTo(const Protocol& protocol, std::ostream* out) {
    *out << protocol.codec;
}

Cell both(const char* block, const char* from, const std::string& expected) {
    return {block, from, expected, expected};
}

const char* const sound = "! cannot carry sound";

Protocol chat() {
    const std::string no_sound_source =
        "! cannot carry sound by address or file id; send its bytes";
    return {
        "openai_chat",
        "Chat Completions",
        [](const Json& body) { return body.at("messages").back().at("content").at(0); },
        // Results hold text only: media follow in a message of the user.
        [](const Json& body) { return body.at("messages").back().at("content").at(1); },
        {
            both(
                "image",
                "bytes",
                R"({"type":"image_url","image_url":{"url":"data:image/png;base64,AAEC"}})"
            ),
            both("image", "url", R"({"type":"image_url","image_url":{"url":"https://h/x"}})"),
            both("image", "file_id", "! cannot carry an image by file id; send its bytes"),
            both(
                "document",
                "bytes",
                R"({"type":"file","file":{"filename":"a.pdf",)"
                R"("file_data":"data:application/pdf;base64,AAEC"}})"
            ),
            both("document", "url", "! cannot carry a document by address; send its bytes"),
            both("document", "file_id", R"({"type":"file","file":{"file_id":"file-1"}})"),
            both(
                "audio",
                "bytes",
                R"({"type":"input_audio","input_audio":{"data":"AAEC","format":"wav"}})"
            ),
            both("audio", "url", no_sound_source),
            both("audio", "file_id", no_sound_source),
        }};
}

Protocol responses() {
    return {
        "openai_responses",
        "OpenAI Responses",
        [](const Json& body) { return body.at("input").back().at("content").at(0); },
        [](const Json& body) { return body.at("input").back().at("output").at(0); },
        {
            both(
                "image",
                "bytes",
                R"({"type":"input_image","image_url":"data:image/png;base64,AAEC"})"
            ),
            both("image", "url", R"({"type":"input_image","image_url":"https://h/x"})"),
            both("image", "file_id", R"({"type":"input_image","file_id":"file-1"})"),
            both(
                "document",
                "bytes",
                R"({"type":"input_file","filename":"a.pdf",)"
                R"("file_data":"data:application/pdf;base64,AAEC"})"
            ),
            both("document", "url", R"({"type":"input_file","file_url":"https://h/x"})"),
            both("document", "file_id", R"({"type":"input_file","file_id":"file-1"})"),
            both("audio", "bytes", sound),
            both("audio", "url", sound),
            both("audio", "file_id", sound),
        }};
}

Protocol anthropic() {
    const auto source = [](const std::string& before, const std::string& from, const char* after) {
        return R"({"type":")" + before + R"(","source":)" + from + after + "}";
    };
    const std::string url = R"({"type":"url","url":"https://h/x"})";
    const std::string file = R"({"type":"file","file_id":"file-1"})";
    const char* const title = R"(,"title":"a.pdf")";
    return {
        "anthropic",
        "Anthropic Messages",
        [](const Json& body) { return body.at("messages").back().at("content").at(0); },
        [](const Json& body) {
            return body.at("messages").back().at("content").at(0).at("content").at(0);
        },
        {
            both(
                "image",
                "bytes",
                source("image", R"({"type":"base64","media_type":"image/png","data":"AAEC"})", "")
            ),
            both("image", "url", source("image", url, "")),
            both("image", "file_id", source("image", file, "")),
            both(
                "document",
                "bytes",
                source(
                    "document",
                    R"({"type":"base64","media_type":"application/pdf","data":"AAEC"})",
                    title
                )
            ),
            both("document", "url", source("document", url, title)),
            both("document", "file_id", source("document", file, title)),
            both("audio", "bytes", sound),
            both("audio", "url", sound),
            both("audio", "file_id", sound),
        }};
}

Protocol gemini() {
    const auto inline_data = [](const std::string& type) {
        return R"({"inlineData":{"mimeType":")" + type + R"(","data":"AAEC"}})";
    };
    const std::string url = R"({"fileData":{"fileUri":"https://h/x"}})";
    const std::string file = R"({"fileData":{"fileUri":"file-1"}})";
    const std::string only_bytes =
        "! cannot carry an address or file id in a tool result; send the bytes";
    return {
        "gemini",
        "Gemini",
        [](const Json& body) { return body.at("contents").back().at("parts").at(0); },
        [](const Json& body) {
            const Json& part = body.at("contents").back().at("parts").at(0);
            return part.at("functionResponse").at("parts").at(0);
        },
        {
            both("image", "bytes", inline_data("image/png")),
            {"image", "url", url, only_bytes},
            {"image", "file_id", file, only_bytes},
            both("document", "bytes", inline_data("application/pdf")),
            {"document", "url", url, only_bytes},
            {"document", "file_id", file, only_bytes},
            both("audio", "bytes", inline_data("audio/wav")),
            {"audio", "url", url, only_bytes},
            {"audio", "file_id", file, only_bytes},
        }};
}

MediaSource source_of(const Cell& cell) {
    const std::string from = cell.from;
    if (from == "url") {
        return MediaSource::url("https://h/x");
    }
    if (from == "file_id") {
        return MediaSource::file_id("file-1");
    }
    const std::string block = cell.block;
    const char* const type = block == "image"      ? "image/png"
                             : block == "document" ? "application/pdf"
                                                   : "audio/wav";
    return MediaSource::bytes(std::string_view("\0\1\2", 3), type);
}

/// The block as a part of a message or of a tool's result.
template <typename Part>
Part block_of(const Cell& cell) {
    const std::string block = cell.block;
    if (block == "image") {
        return ImageBlock(source_of(cell));
    }
    if (block == "document") {
        return DocumentBlock(source_of(cell), "a.pdf");
    }
    return AudioBlock(source_of(cell));
}

ChatRequest message_with(const Cell& cell) {
    ChatRequest request;
    request.add(Message::user({block_of<ContentBlock>(cell), TextBlock("What is it?")}));
    return request;
}

ChatRequest result_with(const Cell& cell) {
    ChatRequest request("Look.");
    request.add(Message(Role::assistant, {ToolCallBlock("call_1", "look", "{}")}));
    request.add(
        Message::tool_results({ToolResultBlock("call_1", {block_of<ToolResultContent>(cell)})})
    );
    return request;
}

Json body_of(const Protocol& protocol, const ChatRequest& request) {
    Endpoint endpoint;
    endpoint.base_url = "https://h/v1";
    endpoint.model = "m";
    EncodeCache cache;
    return parse_json(find_codec(protocol.codec)->encode(request, endpoint, false, cache).body);
}

void check_refusal(
    const Protocol& protocol,
    const ChatRequest& request,
    const std::string& expected
) {
    try {
        FAIL() << body_of(protocol, request);
    } catch (const LLMError& error) {
        const std::string said = protocol.words + expected.substr(1);
        EXPECT_EQ(error.errc(), Errc::not_supported);
        EXPECT_EQ(error.message().substr(0, said.size()), said);
        EXPECT_NE(error.message().find("; "), std::string::npos) << "no remedy";
    }
}

class MediaTest : public ::testing::TestWithParam<Protocol> {};

TEST_P(MediaTest, InAMessageOfTheUser) {
    const Protocol& protocol = GetParam();
    for (const Cell& cell : protocol.cells) {
        SCOPED_TRACE(std::string(cell.block) + " by " + cell.from);
        const ChatRequest request = message_with(cell);
        if (cell.in_message.starts_with('!')) {
            check_refusal(protocol, request, cell.in_message);
        } else {
            const Json part = protocol.part_of_message(body_of(protocol, request));
            EXPECT_EQ(part, parse_json(cell.in_message));
        }
    }
}

TEST_P(MediaTest, InAResultOfATool) {
    const Protocol& protocol = GetParam();
    for (const Cell& cell : protocol.cells) {
        SCOPED_TRACE(std::string(cell.block) + " by " + cell.from);
        const ChatRequest request = result_with(cell);
        if (cell.in_result.starts_with('!')) {
            check_refusal(protocol, request, cell.in_result);
        } else {
            const Json part = protocol.part_of_result(body_of(protocol, request));
            EXPECT_EQ(part, parse_json(cell.in_result));
        }
    }
}

/// The table is whole: a new kind or place needs its row.
TEST_P(MediaTest, HasACellForEachKindAndPlace) {
    std::vector<std::string> names;
    for (const Cell& cell : GetParam().cells) {
        names.push_back(std::string(cell.block) + "/" + cell.from);
    }
    std::vector<std::string> expected;
    for (const char* const block : {"image", "document", "audio"}) {
        for (const char* const from : {"bytes", "url", "file_id"}) {
            expected.push_back(std::string(block) + "/" + from);
        }
    }
    EXPECT_EQ(names, expected);
}

TEST_P(MediaTest, OfTheAssistantIsNeverDroppedSilently) {
    const Protocol& protocol = GetParam();
    for (const Cell& cell : protocol.cells) {
        SCOPED_TRACE(std::string(cell.block) + " by " + cell.from);
        ChatRequest request("Draw.");
        request.add(Message(Role::assistant, {block_of<ContentBlock>(cell)}));
        request.add(Message::user("Again."));
        if (std::string(protocol.codec) != "gemini") {
            check_refusal(protocol, request, "! cannot carry media of the assistant");
        } else {
            // Models answer with images and sound there.
            const Json contents = body_of(protocol, request).at("contents");
            EXPECT_EQ(contents.at(1).at("parts").at(0), parse_json(cell.in_message));
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    Protocols,
    MediaTest,
    ::testing::Values(chat(), responses(), anthropic(), gemini()),
    [](const auto& cell) { return std::string(cell.param.codec); }
);

TEST(MediaOfChatCompletionsTest, SoundIsNamedByItsFormat) {
    const Protocol protocol = chat();
    const auto format = [&](const char* type) {
        ChatRequest request;
        request.add(Message::user({AudioBlock(MediaSource::bytes("x", type))}));
        const Json part = protocol.part_of_message(body_of(protocol, request));
        return part.at("input_audio").at("format").get<std::string>();
    };
    EXPECT_EQ(format("audio/wav"), "wav");
    EXPECT_EQ(format("audio/x-wav"), "wav");
    EXPECT_EQ(format("audio/mpeg"), "mp3");
    EXPECT_EQ(format("audio/mp3"), "mp3");
    for (const char* const type : {"audio/ogg", ""}) {
        ChatRequest request;
        request.add(Message::user({AudioBlock(MediaSource::bytes("x", type))}));
        check_refusal(protocol, request, "! cannot carry sound of the type \"" + std::string(type));
    }
}

}  // namespace
}  // namespace llmproc
