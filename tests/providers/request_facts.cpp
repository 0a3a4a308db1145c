#include "providers/request_facts.hpp"

#include <ostream>
#include <stdexcept>
#include <variant>

namespace llmproc::testing_cassettes {

namespace {

class Teller {
public:
    explicit Teller(const Dialect& dialect) : dialect_(dialect) {}

    void tell(const Message& message) {
        if (message.role() != Role::tool) {
            tell_later();
        }
        const std::string who(to_string(message.role()));
        for (const ContentBlock& block : message.content()) {
            tell_block(who, block);
        }
    }

    void tell_later() {
        facts_.insert(facts_.end(), later_.begin(), later_.end());
        later_.clear();
    }

    Facts& facts() { return facts_; }

private:
    void tell_block(const std::string& who, const ContentBlock& block) {
        if (const auto* text = std::get_if<TextBlock>(&block)) {
            facts_.push_back(fact({who, "text", text->text}));
        } else if (const auto* image = std::get_if<ImageBlock>(&block)) {
            facts_.push_back(told(who, *image));
        } else if (const auto* document = std::get_if<DocumentBlock>(&block)) {
            facts_.push_back(told(who, *document));
        } else if (const auto* audio = std::get_if<AudioBlock>(&block)) {
            facts_.push_back(fact({who, "sound", source_of(audio->source)}));
        } else if (std::holds_alternative<CachePointBlock>(block)) {
            if (dialect_.cache_points) {
                facts_.push_back("cache point");
            }
        } else if (const auto* thinking = std::get_if<ThinkingBlock>(&block)) {
            const bool has_signature = !thinking->signature.empty();
            if (has_signature ? dialect_.signed_thinking : dialect_.plain_thinking) {
                facts_.push_back(fact({who, "thinking", thinking->text, thinking->signature}));
            }
        } else if (const auto* redacted = std::get_if<RedactedThinkingBlock>(&block)) {
            if (dialect_.redacted_thinking) {
                facts_.push_back(fact({who, "redacted", redacted->data}));
            }
        } else if (const auto* call = std::get_if<ToolCallBlock>(&block)) {
            facts_.push_back(fact({who, "call", call->id, call->name, arguments(call->arguments)}));
        } else if (const auto* result = std::get_if<ToolResultBlock>(&block)) {
            tell_result(*result);
        }
    }

    std::string arguments(const std::string& text) const {
        if (text.empty()) {
            return "{}";
        }
        return dialect_.arguments_are_text ? text : parse_json(text).dump();
    }

    static std::string source_of(const MediaSource& source) {
        switch (source.kind) {
            case MediaSource::Kind::url: return "url " + source.data;
            case MediaSource::Kind::file_id: return "id " + source.data;
            case MediaSource::Kind::base64: break;
        }
        return source.media_type + " " + source.data;
    }

    std::string told(const std::string& who, const ImageBlock& image) const {
        return fact(
            {who,
             "image",
             source_of(image.source),
             dialect_.image_detail ? image.detail : std::string()}
        );
    }

    std::string told(const std::string& who, const DocumentBlock& document) const {
        const bool bytes = document.source.kind == MediaSource::Kind::base64;
        const bool named = dialect_.document_names && bytes;
        return fact(
            {who, "document", source_of(document.source), named ? document.name : std::string()}
        );
    }

    void tell_result(const ToolResultBlock& result) {
        const bool flag = dialect_.error_flag && result.is_error;
        facts_.push_back(fact({"result", result.call_id, flag ? "failed" : ""}));
        bool titled = false;
        for (const ToolResultContent& part : result.content) {
            if (const auto* text = std::get_if<TextBlock>(&part)) {
                const bool marked = result.is_error && !dialect_.error_flag;
                facts_.push_back(fact({"result", "text", (marked ? "error: " : "") + text->text}));
                continue;
            }
            const auto& image = std::get<ImageBlock>(part);
            if (dialect_.media_in_results) {
                facts_.push_back(told("result", image));
                continue;
            }
            if (!titled) {
                later_.push_back(
                    fact({"user", "text", "Result of the tool call " + result.call_id + ":"})
                );
                titled = true;
            }
            later_.push_back(told("user", image));
        }
    }

    const Dialect& dialect_;
    Facts facts_;
    Facts later_;
};

std::string strictness(const ToolSpec& tool, const Dialect& dialect) {
    if (!dialect.strict || (!tool.strict && !dialect.always_strict)) {
        return {};
    }
    return strict_word(tool.strict.value_or(false));
}

/// Where no tool may be called, nobody asks how.
bool calls_nothing(const ChatRequest& request, const Dialect& dialect) {
    return dialect.calls_in_choice && request.tool_choice &&
           request.tool_choice->mode == ToolChoice::Mode::none;
}

std::string mode_word(ToolChoice::Mode mode) {
    switch (mode) {
        case ToolChoice::Mode::automatic: return "auto";
        case ToolChoice::Mode::none: return "none";
        case ToolChoice::Mode::required: return "required";
        case ToolChoice::Mode::tool: break;
    }
    return "tool";
}

}  // namespace

std::string strict_word(bool strict) {
    return strict ? "strict" : "not strict";
}

std::string parallel_fact(bool parallel) {
    return fact({"calls", parallel ? "in parallel" : "one by one"});
}

std::string fact(std::initializer_list<std::string> words) {
    std::string line;
    for (const std::string& word : words) {
        line += (line.empty() ? "" : " | ") + word;
    }
    return line;
}

std::string text_at(const Json& object, const char* key) {
    return object.at(key).get<std::string>();
}

[[noreturn]] void unexpected(const Json& value) {
    throw std::runtime_error("the provider knows no such thing: " + value.dump());
}

void add_limits(Facts& facts, const Json& settings, const char* limit) {
    if (settings.contains(limit)) {
        facts.push_back(fact({"max_tokens", settings.at(limit).dump()}));
    }
    if (settings.contains("temperature")) {
        facts.push_back(fact({"temperature", Json(settings.at("temperature").get<double>()).dump()})
        );
    }
}

Facts facts_of(const ChatRequest& request, const Dialect& dialect) {
    Teller teller(dialect);
    if (!request.system.empty()) {
        teller.facts().push_back(fact({"system", "text", request.system}));
    }
    for (const auto& message : request.messages) {
        teller.tell(*message);
    }
    teller.tell_later();
    Facts& facts = teller.facts();
    for (const ToolSpec& tool : request.tools) {
        const std::string schema = parse_json(tool.parameters.text()).dump();
        facts.push_back(
            fact({"tool", tool.name, tool.description, strictness(tool, dialect), schema})
        );
    }
    const bool implied = dialect.calls_in_choice && request.parallel_tool_calls.has_value();
    if (request.tool_choice || implied) {
        const ToolChoice choice = request.tool_choice.value_or(ToolChoice());
        facts.push_back(fact({"choice", mode_word(choice.mode), choice.name}));
    }
    if (request.parallel_tool_calls && !calls_nothing(request, dialect)) {
        facts.push_back(parallel_fact(*request.parallel_tool_calls));
    }
    if (request.params.max_tokens) {
        facts.push_back(fact({"max_tokens", std::to_string(*request.params.max_tokens)}));
    }
    if (request.params.temperature && dialect.sampling) {
        facts.push_back(fact({"temperature", Json(*request.params.temperature).dump()}));
    }
    if (request.params.response_schema) {
        facts.push_back(fact({"schema", parse_json(request.params.response_schema->text()).dump()})
        );
    }
    return facts;
}

void PrintTo(const Dialect& dialect, std::ostream* out) {
    *out << dialect.codec;
}

const std::vector<Dialect>& dialects() {
    static const std::vector<Dialect> all = [] {
        Dialect chat;
        chat.codec = "openai_chat";
        chat.media_in_results = false;
        chat.image_detail = true;
        chat.document_urls = false;
        chat.document_ids = true;
        chat.sound = true;
        chat.strict = true;
        chat.arguments_are_text = true;
        chat.read = read_openai_chat;
        Dialect responses;
        responses.codec = "openai_responses";
        responses.image_detail = true;
        responses.document_ids = true;
        responses.image_ids = true;
        responses.strict = true;
        responses.always_strict = true;
        responses.arguments_are_text = true;
        responses.read = read_openai_responses;
        Dialect anthropic;
        anthropic.codec = "anthropic";
        anthropic.signed_thinking = true;
        anthropic.redacted_thinking = true;
        anthropic.error_flag = true;
        anthropic.sampling = false;
        anthropic.document_ids = true;
        anthropic.image_ids = true;
        anthropic.cache_points = true;
        anthropic.strict = true;
        anthropic.calls_in_choice = true;
        anthropic.read = read_anthropic;
        Dialect gemini;
        gemini.codec = "gemini";
        gemini.plain_thinking = true;
        gemini.error_flag = true;
        gemini.document_names = false;
        gemini.sound = true;
        gemini.read = read_gemini;
        return std::vector<Dialect>{chat, responses, anthropic, gemini};
    }();
    return all;
}

}  // namespace llmproc::testing_cassettes
