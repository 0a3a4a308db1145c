// Random conversations are encoded and read by another reader: it finds the same meaning.
#include <llmproc/json.hpp>
#include <llmproc/provider.hpp>
#include "providers/cassette.hpp"
#include "providers/request_facts.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <ostream>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace llmproc {
namespace {

using testing_cassettes::Dialect;
using testing_cassettes::Facts;
using testing_cassettes::facts_of;

class Generator {
public:
    Generator(unsigned seed, const Dialect& dialect) : random_(seed), dialect_(dialect) {}

    ChatRequest request() {
        ChatRequest request;
        request.model = "some-model";
        if (chance(2)) {
            request.system = text();
        }
        const std::size_t turns = 1 + below(4);
        for (std::size_t i = 0; i < turns; ++i) {
            request.add(user_message());
            if (i + 1 < turns || chance(4)) {
                add_answer(request);
            }
        }
        request.params.max_tokens = 1 + static_cast<std::int64_t>(below(100000));
        if (dialect_.sampling && chance(2)) {
            request.params.temperature = 0.125 * static_cast<double>(below(9));
        }
        if (chance(3)) {
            request.params.response_schema = RawJson(schema());
        }
        add_tools(request);
        return request;
    }

private:
    std::size_t below(std::size_t limit) {
        return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
    }
    bool chance(std::size_t one_in) { return below(one_in) == 0; }

    /// With everything that must be escaped in JSON or takes several bytes.
    std::string text() {
        static const std::array<std::string, 14> pieces{
            "word",
            " ",
            "\n",
            "\"",
            "\\",
            "\t\r\x01\x7f",
            std::string(1, '\0'),
            "\xc3\xbc",
            "\xe2\x80\xa8",
            "\xf0\x9f\x8c\x9e",
            "{\"a\":1}",
            "</script>",
            "data: [DONE]\n\n",
            "error"};
        std::string value = "t";  // an empty text is no text for some providers
        for (std::size_t i = below(6); i > 0; --i) {
            value += pieces[below(pieces.size())];
        }
        return value;
    }

    std::string id() { return "id-" + std::to_string(++ids_); }
    std::string name() { return "tool_" + std::to_string(below(5)); }

    MediaSource source(const std::string& type, const std::string& host) {
        if (chance(2)) {
            return MediaSource::bytes(text(), type);
        }
        return MediaSource::url("https://" + host + "/a?b=c&d=%20" + std::to_string(below(9)));
    }

    ImageBlock image() {
        const std::array<std::string, 3> details{"", "low", "high"};
        const bool stored = dialect_.image_ids && chance(3);
        return ImageBlock(
            stored ? MediaSource::file_id(id()) : source("image/png", "images.example.com"),
            details[below(details.size())]
        );
    }

    DocumentBlock document() {
        if (dialect_.document_ids && chance(3)) {
            return DocumentBlock(MediaSource::file_id(id()));
        }
        MediaSource from = dialect_.document_urls ? source("application/pdf", "docs.example.com")
                                                  : MediaSource::bytes(text(), "application/pdf");
        return DocumentBlock(std::move(from), "name " + text());
    }

    Message user_message() {
        Message message(Role::user, text());
        while (chance(3)) {
            message.add(chance(2) ? ContentBlock(image()) : ContentBlock(document()));
        }
        if (dialect_.sound && chance(4)) {
            message.add(AudioBlock(MediaSource::bytes(text(), chance(2) ? "audio/wav" : "audio/mp3")
            ));
        }
        if (chance(6)) {  // most protocols have nothing to say for it
            message.add(CachePointBlock());
        }
        if (chance(3)) {
            message.add(TextBlock(text()));
        }
        return message;
    }

    /// What a model said and, if it called tools, what they answered.
    void add_answer(ChatRequest& request) {
        Message message(Role::assistant, std::vector<ContentBlock>());
        if (chance(2)) {
            message.add(ThinkingBlock(text(), chance(2) ? text() : std::string()));
        }
        if (chance(4)) {
            message.add(RedactedThinkingBlock(text()));
        }
        if (chance(4)) {  // means nothing to any other protocol
            message.add(UnknownBlock("another_protocol", RawJson(R"({"type":"new","x":[1]})")));
        }
        message.add(TextBlock(text()));
        std::vector<std::string> calls;
        while (calls.size() < 3 && chance(2)) {
            calls.push_back(id());
            message.add(ToolCallBlock(calls.back(), name(), arguments()));
        }
        request.add(std::move(message));
        const bool together = chance(2);
        Message results(Role::tool, std::vector<ContentBlock>());
        for (const std::string& call : calls) {
            if (together) {
                results.add(result(call));
            } else {
                request.add(Message::tool_results({result(call)}));
            }
        }
        if (together && !calls.empty()) {
            request.add(std::move(results));
        }
        if (!calls.empty() && chance(2)) {
            request.add(Message::assistant(text()));
        }
    }

    ToolResultBlock result(const std::string& call) {
        std::vector<ToolResultContent> parts{TextBlock(text())};
        if (chance(3)) {
            parts.emplace_back(
                ImageBlock(MediaSource::bytes(text(), "image/png"), chance(2) ? "low" : "")
            );
        }
        return ToolResultBlock(call, std::move(parts), chance(3));
    }

    std::string arguments() {
        if (chance(5)) {
            return {};
        }
        return Json{{"z", text()}, {"a", {1, 2.5, nullptr, true}}, {"n", below(1000)}}.dump();
    }

    std::string schema() {
        return Json{
            {"type", "object"},
            {"properties", {{"p" + std::to_string(below(9)), {{"type", "string"}}}}},
            {"description", text()},
            {"additionalProperties", false}}
            .dump();
    }

    void add_tools(ChatRequest& request) {
        for (std::size_t i = below(4); i > 0; --i) {
            request.tools.emplace_back("tool_" + std::to_string(i), text(), RawJson(schema()));
            if (chance(3)) {
                request.tools.back().strict = chance(2);
            }
        }
        if (dialect_.strict && !request.tools.empty() && chance(3)) {
            request.parallel_tool_calls = chance(2);
        }
        if (request.tools.empty() || chance(2)) {
            return;
        }
        switch (below(4)) {
            case 0: request.tool_choice = ToolChoice(ToolChoice::Mode::automatic); return;
            case 1: request.tool_choice = ToolChoice(ToolChoice::Mode::none); return;
            case 2: request.tool_choice = ToolChoice(ToolChoice::Mode::required); return;
            default: request.tool_choice = ToolChoice::tool("tool_1"); return;
        }
    }

    std::mt19937 random_;
    const Dialect& dialect_;
    int ids_ = 0;
};

class RequestPropertyTest : public ::testing::TestWithParam<Dialect> {};

TEST_P(RequestPropertyTest, AnotherReaderFindsTheSameMeaning) {
    const Dialect& dialect = GetParam();
    const Codec& codec = *find_codec(dialect.codec);
    const Endpoint endpoint =
        testing_cassettes::endpoint_of_row("", "https://host.example/v1", "some-model");
    for (unsigned seed = 0; seed < 400; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        const ChatRequest request = Generator(seed, dialect).request();
        const Facts wanted = facts_of(request, dialect);
        EncodeCache cache;
        for (int turn = 0; turn < 2; ++turn) {  // the second time from the cache
            const HttpRequest http = codec.encode(request, endpoint, turn == 0, cache);
            const Facts found = dialect.read(parse_json(http.body));
            for (std::size_t i = 0; i < std::min(found.size(), wanted.size()); ++i) {
                ASSERT_EQ(found[i], wanted[i]);
            }
            ASSERT_EQ(found.size(), wanted.size());
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    All,
    RequestPropertyTest,
    ::testing::ValuesIn(testing_cassettes::dialects()),
    [](const ::testing::TestParamInfo<Dialect>& dialect) { return dialect.param.codec; }
);

}  // namespace
}  // namespace llmproc
