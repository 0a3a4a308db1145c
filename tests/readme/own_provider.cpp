// The code of docs/adding_a_provider.md, run against the scripted server: a protocol that the library
// does not know, added with public headers alone. tests/package builds it against an installed copy.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/llmproc.hpp>
#include <llmproc/provider.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <cstdint>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace {

using llmproc::Errc;
using llmproc::Json;
using llmproc::LLMError;
using llmproc::StreamEvent;

/// Runs `read`; JSON of another shape than the protocol promises is a malformed answer.
template <class Read>
auto reading(Read read) {
    try {
        return read();
    } catch (const Json::exception& problem) {
        throw LLMError(Errc::malformed_response, std::string("parrot: ") + problem.what());
    } catch (const LLMError& problem) {
        const bool json = problem.errc() == Errc::invalid_json;
        if (!json) {
            throw;  // with all that is known of it
        }
        throw LLMError(Errc::malformed_response, problem.message());
    }
}

llmproc::StopReason stop_reason_of(std::string_view word) {
    if (word == "done") {
        return llmproc::StopReason::end_turn;
    }
    return word == "cut" ? llmproc::StopReason::max_tokens : llmproc::StopReason::unknown;
}

llmproc::Usage usage_of(const Json& cost) {
    llmproc::Usage usage;
    usage.input_tokens = cost.at("heard").get<std::int64_t>();
    usage.output_tokens = cost.at("said").get<std::int64_t>();
    usage.total_tokens = usage.input_tokens + usage.output_tokens;
    usage.reported = true;
    return usage;
}

LLMError trouble(const Json& answer, std::optional<int> status) {
    llmproc::Diagnostics diagnostics;
    diagnostics.status = status;
    diagnostics.provider_type = answer.value("trouble", std::string());
    diagnostics.provider_message = answer.value("reason", std::string());
    Errc code = Errc::invalid_request;
    if (diagnostics.provider_type == "who_are_you") {
        code = Errc::authentication_failed;
    } else if (diagnostics.provider_type == "not_so_fast") {
        code = Errc::rate_limited;
    } else if (diagnostics.provider_type == "asleep" || status.value_or(0) >= 500) {
        code = Errc::overloaded;
    }
    return {code, "the parrot says: " + diagnostics.provider_message, diagnostics};
}

class ParrotStream final : public llmproc::StreamDecoder {
public:
    llmproc::DecodeStatus feed(const llmproc::SseEvent& event, llmproc::StreamEvents& out)
        override {
        return reading([&] {
            const Json data = llmproc::parse_json(event.data);
            if (event.event == "word") {
                out.emplace_back(StreamEvent::Type::text, data.at("word").get<std::string>());
                return llmproc::DecodeStatus::ok;
            }
            if (event.event == "trouble") {
                throw trouble(data, std::nullopt);
            }
            if (event.event == "end") {
                end_ = data.at("end").get<std::string>();
                usage_ = usage_of(data.at("cost"));
                return llmproc::DecodeStatus::done;
            }
            return llmproc::DecodeStatus::unknown;  // skipped and logged, not an error
        });
    }

    void finish(llmproc::StreamEvents& out) override {
        if (!end_) {
            throw LLMError(Errc::truncated_stream, "parrot: the stream stopped before its end");
        }
        out.push_back(StreamEvent::token_usage(usage_));
        out.push_back(StreamEvent::stopped(stop_reason_of(*end_), *end_));
    }

    llmproc::Usage usage() const override { return usage_; }

private:
    std::optional<std::string> end_;
    llmproc::Usage usage_;
};

class ParrotCodec final : public llmproc::Codec {
public:
    std::string_view name() const noexcept override { return "parrot"; }

    llmproc::HttpRequest encode(
        const llmproc::ChatRequest& request,
        const llmproc::Endpoint& endpoint,
        bool stream,
        llmproc::EncodeCache& cache
    ) const override {
        std::string says = request.system.empty() ? "" : line("system", request.system);
        for (const auto& message : request.messages) {
            const std::string* text = cache.find(message);  // encoded in an earlier turn
            if (text == nullptr) {
                text = &cache.store(message, encode_message(*message));
            }
            says += (says.empty() ? "" : ",") + *text;
        }
        const std::string& model = request.model.empty() ? endpoint.model : request.model;
        llmproc::HttpRequest result = call("/speak", endpoint);
        result.body = "{\"model\":" + llmproc::dump_json(model) + ",\"says\":[" + says +
                      "],\"stream\":" + (stream ? "true" : "false") + "}";
        for (const auto& [name, value] : request.params.extra_headers) {
            result.headers.set(name, value);
        }
        return result;
    }

    llmproc::ChatReply decode(const llmproc::HttpResponse& response) const override {
        return reading([&] {
            const Json answer = llmproc::parse_json(response.body);
            if (answer.contains("trouble")) {
                throw trouble(answer, std::nullopt);  // some servers report errors with status 200
            }
            llmproc::ChatReply reply;
            reply.message = llmproc::Message::assistant(answer.at("words").get<std::string>());
            reply.raw_stop_reason = answer.at("end").get<std::string>();
            reply.stop_reason = stop_reason_of(reply.raw_stop_reason);
            reply.usage = usage_of(answer.at("cost"));
            return reply;
        });
    }

    LLMError decode_error(const llmproc::HttpResponse& response) const override {
        try {
            return trouble(llmproc::parse_json(response.body), response.status);
        } catch (const std::exception&) {  // a proxy's page, for example
            return trouble(Json::object(), response.status);
        }
    }

    std::unique_ptr<llmproc::StreamDecoder> stream_decoder() const override {
        return std::make_unique<ParrotStream>();
    }

private:
    static llmproc::HttpRequest call(const std::string& path, const llmproc::Endpoint& endpoint) {
        const std::string& base = endpoint.base_url;
        const std::size_t query = base.find('?');
        const std::size_t prefix = base.find('/', base.find("://") + 3);
        llmproc::HttpRequest request("POST", path);
        if (prefix < query) {
            request.target = base.substr(prefix, query - prefix) + path;
        }
        if (query != std::string::npos) {
            request.target += base.substr(query);
        }
        request.headers.add("content-type", "application/json");
        if (!endpoint.api_key.empty()) {
            request.headers.add("x-cracker", std::string(endpoint.api_key.reveal()));
        }
        return request;
    }

    static std::string line(std::string_view who, const std::string& words) {
        return llmproc::dump_json({{"who", who}, {"words", words}});
    }

    static std::string encode_message(const llmproc::Message& message) {
        for (const llmproc::ContentBlock& block : message.content()) {
            const bool foreign = std::holds_alternative<llmproc::UnknownBlock>(block) ||
                                 std::holds_alternative<llmproc::ThinkingBlock>(block) ||
                                 std::holds_alternative<llmproc::RedactedThinkingBlock>(block);
            if (!foreign && !std::holds_alternative<llmproc::TextBlock>(block)) {
                throw LLMError(Errc::not_supported, "parrots only repeat words; send text");
            }
        }
        return line(llmproc::to_string(message.role()), message.text());
    }
};

void register_parrot() {
    llmproc::ProviderProfile profile;
    profile.name = "parrot";
    profile.base_url = "https://api.parrot.example/v1";
    profile.api_key_env = "PARROT_API_KEY";
    llmproc::register_provider(profile, std::make_shared<const ParrotCodec>());
}

void register_compatible_server() {
    llmproc::ProviderProfile profile;
    profile.name = "example";
    profile.codec = "openai_chat";
    profile.base_url = "https://llm.example/v1";
    profile.api_key_env = "EXAMPLE_API_KEY";
    profile.quirks.stream_usage = false;
    llmproc::register_provider(profile);
}

// --- the other side ------------------------------------------------------------------------------

void require(bool holds, const std::string& what) {
    if (!holds) {
        throw std::runtime_error("does not hold: " + what);
    }
}

using llmproc::testing::RecordedRequest;
using llmproc::testing::Reply;

Reply word_by_word(const std::string& words) {
    Reply reply;
    reply.header("content-type", "text/event-stream");
    reply.piece("event: hello\ndata: {\"new\":true}\n\n");
    for (std::size_t begin = 0; begin < words.size(); begin += 4) {
        const Json word{{"word", words.substr(begin, 4)}};
        reply.piece("event: word\ndata: " + llmproc::dump_json(word) + "\n\n");
    }
    reply.piece("event: end\ndata: {\"end\":\"done\",\"cost\":{\"heard\":4,\"said\":2}}\n\n");
    return reply;
}

/// Repeats the last words.
Reply parrot(const RecordedRequest& request) {
    if (request.header("x-cracker") != "cr-1") {
        return Reply::json(R"({"trouble":"who_are_you","reason":"no cracker, no words"})")
            .with_status(401);
    }
    const Json body = llmproc::parse_json(request.body);
    const auto words = body.at("says").back().at("words").get<std::string>();
    if (body.at("stream").get<bool>()) {
        return word_by_word(words);
    }
    const Json answer{{"words", words}, {"end", "done"}, {"cost", {{"heard", 4}, {"said", 2}}}};
    return Reply::json(llmproc::dump_json(answer));
}

template <class Call>
LLMError failure_of(Call call) {
    try {
        call();
    } catch (const LLMError& error) {
        return error;
    }
    throw std::runtime_error("a call that must fail did not");
}

template <class Call>
Errc error_of(Call call) {
    return failure_of(call).errc();
}

class Talk {
public:
    Talk() {
        server_.handle(parrot);
        process_.emplace(program("cr-1").start_sync());
    }

    llmproc::LLMProgram program(const std::string& key) const {
        return llmproc::LLMProgram::from_toml_string(
            "[model]\nname = \"grey\"\nprovider = \"parrot\"\nbase_url = \"" + server_.base_url() +
            "?tenant=7\"\nallow_inline_key = true\napi_key = \"" + key +
            "\"\n[prompt]\nsystem = \"Be loud.\"\n[retry]\ninitial_delay = 0\n" +
            "[connection]\nca_file = \"" + server_.ca_file() + "\"\n"
        );
    }

    void whole_and_streamed() {
        const llmproc::RunResult first = process_->run("hello");
        require(first.text() == "hello", "the reply's text");
        require(first.stop_reason() == llmproc::StopReason::end_turn, "the stop reason");
        require(first.usage().total_tokens == 6, "the usage");
        std::string text;
        llmproc::SyncStream stream = process_->stream("pretty bird");
        for (const StreamEvent& event : stream) {
            text += event.text();
        }
        require(text == "pretty bird", "the streamed text");
        require(stream.result().usage().output_tokens == 2, "the streamed usage");
        require(process_->count_tokens().input_tokens > 0, "an estimate of tokens");
        const RecordedRequest sent = server_.requests().at(1);
        require(sent.target == "/v1/speak?tenant=7", "the path below the base URL");
        require(
            llmproc::parse_json(sent.body) == llmproc::parse_json(R"({"model":"grey","says":[
                {"who":"system","words":"Be loud."},{"who":"user","words":"hello"},
                {"who":"assistant","words":"hello"},{"who":"user","words":"pretty bird"}],
                "stream":true})"),
            "the second request holds the first turn: " + sent.body
        );
    }

    void errors() {
        llmproc::SyncLLMProcess stranger = program("none").start_sync();
        require(
            error_of([&] { stranger.run("hello"); }) == Errc::authentication_failed,
            "a refused key"
        );
        server_.push(Reply::json(R"({"trouble":"asleep","reason":"zzz"})").with_status(503));
        const llmproc::RunResult woken = process_->run("again");
        require(woken.text() == "again" && woken.attempts() == 2, "an overload is retried");
        server_.push(Reply::json(R"({"trouble":"no_such_word","reason":"?"})"));
        const LLMError inside = failure_of([&] { process_->run("x"); });
        require(
            inside.errc() == Errc::invalid_request &&
                inside.diagnostics().provider_type == "no_such_word",
            "an error in a 200"
        );
        server_.push(Reply::json(R"({"words":7})"));
        require(error_of([&] { process_->run("x"); }) == Errc::malformed_response, "a bad reply");
        llmproc::Message picture = llmproc::Message::user("look");
        picture.add(llmproc::ImageBlock(llmproc::MediaSource::url("https://h/i.png")));
        require(error_of([&] { process_->run(picture); }) == Errc::not_supported, "a picture");
        require(error_of([&] { process_->embed({"x"}); }) == Errc::not_supported, "embeddings");
        require(error_of([&] { process_->list_models(); }) == Errc::not_supported, "models");
    }

    void broken_streams() {
        const auto stream_of = [](const std::string& bytes) {
            return Reply().header("content-type", "text/event-stream").piece(bytes);
        };
        const auto fails_with = [&](const std::string& bytes) {
            server_.push(stream_of(bytes));
            return error_of([&] { process_->stream("x").result(); });
        };
        const std::string word = "event: word\ndata: {\"word\":\"a\"}\n\n";
        require(fails_with(word) == Errc::truncated_stream, "a stream without its end");
        require(
            fails_with(word + "event: word\ndata: {\"wo\n\n") == Errc::malformed_response,
            "a broken event"
        );
        require(
            fails_with(word + "event: trouble\ndata: {\"trouble\":\"not_so_fast\"}\n\n") ==
                Errc::rate_limited,
            "an error in a stream"
        );
        require(process_->messages().size() == 6, "failures left the conversation as it was");
        require(process_->run("fine").text() == "fine", "and it goes on");
    }

private:
    llmproc::testing::ScriptedServer server_;
    std::optional<llmproc::SyncLLMProcess> process_;
};

}  // namespace

int main() {
    try {
        register_parrot();
        register_compatible_server();
        require(error_of(register_parrot) == Errc::invalid_argument, "a name is taken once");
        Talk talk;
        talk.whole_and_streamed();
        talk.errors();
        talk.broken_streams();
        const auto program = llmproc::LLMProgram::from_toml_string(
            "[model]\nname = \"m\"\nprovider = \"example\"\n"
        );
        require(program.base_url() == "https://llm.example/v1", "a row is an address");
        std::cout << "the parrot speaks\n";
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
