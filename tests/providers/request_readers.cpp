// Bodies of requests, read as the providers describe them.
#include "providers/request_facts.hpp"

#include <stdexcept>

namespace llmproc::testing_cassettes {

namespace {

std::string text_at(const Json& object, const char* key) {
    return object.at(key).get<std::string>();
}

/// "data:TYPE;base64,DATA" or an address.
std::string address(const std::string& url) {
    if (url.rfind("data:", 0) != 0) {
        return "url " + url;
    }
    const std::size_t end = url.find(";base64,");
    return url.substr(5, end - 5) + " " + url.substr(end + 8);
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

/// A word, or an object that names a tool under `holder`.
void add_openai_choice(Facts& facts, const Json& body, const char* holder) {
    if (!body.contains("tool_choice")) {
        return;
    }
    const Json& choice = body.at("tool_choice");
    if (choice.is_string()) {
        facts.push_back(fact({"choice", choice.get<std::string>(), ""}));
        return;
    }
    if (text_at(choice, "type") != "function") {
        unexpected(choice);
    }
    const Json& named = holder == nullptr ? choice : choice.at(holder);
    facts.push_back(fact({"choice", "tool", text_at(named, "name")}));
}

// --- OpenAI Chat ---------------------------------------------------------------------------------

void add_chat_part(Facts& facts, const std::string& who, const Json& part) {
    const std::string type = text_at(part, "type");
    if (type == "text") {
        facts.push_back(fact({who, "text", text_at(part, "text")}));
    } else if (type == "image_url" && who == "user") {
        const Json& image = part.at("image_url");
        facts.push_back(
            fact({who, "image", address(text_at(image, "url")), image.value("detail", "")})
        );
    } else if (type == "file" && who == "user") {
        const Json& file = part.at("file");
        facts.push_back(
            fact({who, "document", address(text_at(file, "file_data")), text_at(file, "filename")})
        );
    } else {
        unexpected(part);
    }
}

void add_chat_content(Facts& facts, const std::string& who, const Json& content) {
    if (content.is_string()) {
        facts.push_back(fact({who, "text", content.get<std::string>()}));
        return;
    }
    for (const Json& part : content) {
        add_chat_part(facts, who, part);
    }
}

// --- OpenAI Responses ----------------------------------------------------------------------------

void add_responses_content(Facts& facts, const std::string& who, const Json& content) {
    if (content.is_string()) {
        facts.push_back(fact({who, "text", content.get<std::string>()}));
        return;
    }
    for (const Json& part : content) {
        const std::string type = text_at(part, "type");
        if (type == (who == "assistant" ? "output_text" : "input_text")) {
            facts.push_back(fact({who, "text", text_at(part, "text")}));
        } else if (type == "input_image") {
            facts.push_back(
                fact({who, "image", address(text_at(part, "image_url")), part.value("detail", "")})
            );
        } else if (type == "input_file" && part.contains("file_url")) {
            facts.push_back(fact({who, "document", "url " + text_at(part, "file_url"), ""}));
        } else if (type == "input_file") {
            facts.push_back(fact(
                {who, "document", address(text_at(part, "file_data")), text_at(part, "filename")}
            ));
        } else {
            unexpected(part);
        }
    }
}

void add_responses_item(Facts& facts, const Json& item) {
    const std::string type = item.value("type", "message");
    if (type == "message") {
        add_responses_content(facts, text_at(item, "role"), item.at("content"));
    } else if (type == "function_call") {
        facts.push_back(fact(
            {"assistant",
             "call",
             text_at(item, "call_id"),
             text_at(item, "name"),
             text_at(item, "arguments")}
        ));
    } else if (type == "function_call_output") {
        facts.push_back(fact({"result", text_at(item, "call_id"), ""}));
        add_responses_content(facts, "result", item.at("output"));
    } else {
        unexpected(item);
    }
}

// --- Anthropic -----------------------------------------------------------------------------------

std::string anthropic_source(const Json& source) {
    const std::string type = text_at(source, "type");
    if (type == "base64") {
        return text_at(source, "media_type") + " " + text_at(source, "data");
    }
    return type == "url" ? "url " + text_at(source, "url") : source.dump();
}

void add_anthropic_content(Facts& facts, const std::string& who, const Json& content);

void add_anthropic_block(Facts& facts, const std::string& who, const Json& block) {
    const std::string type = text_at(block, "type");
    if (type == "text") {
        facts.push_back(fact({who, "text", text_at(block, "text")}));
    } else if (type == "image") {
        facts.push_back(fact({who, "image", anthropic_source(block.at("source")), ""}));
    } else if (type == "document") {
        const Json& source = block.at("source");
        const bool named = text_at(source, "type") == "base64";
        facts.push_back(
            fact({who, "document", anthropic_source(source), named ? block.value("title", "") : ""})
        );
    } else if (type == "thinking" && who == "assistant") {
        facts.push_back(
            fact({who, "thinking", text_at(block, "thinking"), text_at(block, "signature")})
        );
    } else if (type == "redacted_thinking" && who == "assistant") {
        facts.push_back(fact({who, "redacted", text_at(block, "data")}));
    } else if (type == "tool_use" && who == "assistant") {
        facts.push_back(fact(
            {who, "call", text_at(block, "id"), text_at(block, "name"), block.at("input").dump()}
        ));
    } else if (type == "tool_result" && who == "user") {
        const bool failed = block.value("is_error", false);
        facts.push_back(fact({"result", text_at(block, "tool_use_id"), failed ? "failed" : ""}));
        add_anthropic_content(facts, "result", block.value("content", Json::array()));
    } else {
        unexpected(block);
    }
}

void add_anthropic_content(Facts& facts, const std::string& who, const Json& content) {
    if (content.is_string()) {
        facts.push_back(fact({who, "text", content.get<std::string>()}));
        return;
    }
    for (const Json& block : content) {
        add_anthropic_block(facts, who, block);
    }
}

/// Every call is answered first in the very next message.
void check_anthropic_results(const Json& messages) {
    for (std::size_t i = 0; i + 1 < messages.size(); ++i) {
        if (messages.at(i).at("role") == messages.at(i + 1).at("role")) {
            throw std::runtime_error("two messages of one role");
        }
        std::size_t calls = 0;
        for (const Json& block : messages.at(i).at("content")) {
            calls += block.is_object() && block.at("type") == "tool_use" ? 1U : 0U;
        }
        const Json& next = messages.at(i + 1).at("content");
        for (std::size_t at = 0; at < calls; ++at) {
            if (next.at(at).at("type") != "tool_result") {
                throw std::runtime_error("a call without its result in the next message");
            }
        }
    }
}

// --- Gemini --------------------------------------------------------------------------------------

std::string gemini_media(const Json& part) {
    if (part.contains("inlineData")) {
        const Json& data = part.at("inlineData");
        return text_at(data, "mimeType") + " " + text_at(data, "data");
    }
    return "url " + text_at(part.at("fileData"), "fileUri");
}

/// Gemini has one shape for all media.
std::string gemini_kind(const std::string& source) {
    return source.find("docs.") == 12 || source.rfind("application/", 0) == 0 ? "document"
                                                                              : "image";
}

void add_gemini_result(Facts& facts, const Json& result) {
    const Json& response = result.at("response");
    const bool failed = response.contains("error");
    const Json& said = response.at(failed ? "error" : "output");
    facts.push_back(fact({"result", text_at(result, "id"), failed ? "failed" : ""}));
    facts.push_back(
        fact({"result", "text", said.is_string() ? said.get<std::string>() : said.dump()})
    );
    for (const Json& part : result.value("parts", Json::array())) {
        facts.push_back(fact({"result", "image", gemini_media(part), ""}));
    }
}

void add_gemini_part(Facts& facts, const std::string& who, const Json& part) {
    if (part.contains("text")) {
        const std::string text = text_at(part, "text");
        facts.push_back(
            part.value("thought", false) ? fact({who, "thinking", text, ""})
                                         : fact({who, "text", text})
        );
    } else if (part.contains("functionCall") && who == "assistant") {
        const Json& call = part.at("functionCall");
        facts.push_back(
            fact({who, "call", text_at(call, "id"), text_at(call, "name"), call.at("args").dump()})
        );
    } else if (part.contains("functionResponse") && who == "user") {
        add_gemini_result(facts, part.at("functionResponse"));
    } else if (part.contains("inlineData") || part.contains("fileData")) {
        const std::string source = gemini_media(part);
        facts.push_back(fact({who, gemini_kind(source), source, ""}));
    } else {
        unexpected(part);
    }
}

}  // namespace

Facts read_openai_chat(const Json& body) {
    Facts facts;
    for (const Json& message : body.at("messages")) {
        const std::string role = text_at(message, "role");
        if (role == "tool") {
            facts.push_back(fact({"result", text_at(message, "tool_call_id"), ""}));
            add_chat_content(facts, "result", message.at("content"));
            continue;
        }
        if (!message.at("content").is_null()) {
            add_chat_content(facts, role, message.at("content"));
        }
        for (const Json& call : message.value("tool_calls", Json::array())) {
            const Json& function = call.at("function");
            facts.push_back(fact(
                {role,
                 "call",
                 text_at(call, "id"),
                 text_at(function, "name"),
                 text_at(function, "arguments")}
            ));
        }
    }
    for (const Json& tool : body.value("tools", Json::array())) {
        const Json& function = tool.at("function");
        facts.push_back(fact(
            {"tool",
             text_at(function, "name"),
             function.value("description", ""),
             function.at("parameters").dump()}
        ));
    }
    add_openai_choice(facts, body, "function");
    add_limits(facts, body, "max_tokens");
    if (body.contains("response_format")) {
        facts.push_back(
            fact({"schema", body.at("response_format").at("json_schema").at("schema").dump()})
        );
    }
    return facts;
}

Facts read_openai_responses(const Json& body) {
    Facts facts;
    if (body.contains("instructions")) {
        facts.push_back(fact({"system", "text", text_at(body, "instructions")}));
    }
    for (const Json& item : body.at("input")) {
        add_responses_item(facts, item);
    }
    for (const Json& tool : body.value("tools", Json::array())) {
        facts.push_back(fact(
            {"tool",
             text_at(tool, "name"),
             tool.value("description", ""),
             tool.at("parameters").dump()}
        ));
    }
    add_openai_choice(facts, body, nullptr);
    add_limits(facts, body, "max_output_tokens");
    if (body.contains("text")) {
        facts.push_back(fact({"schema", body.at("text").at("format").at("schema").dump()}));
    }
    return facts;
}

Facts read_anthropic(const Json& body) {
    Facts facts;
    if (body.contains("system")) {
        add_anthropic_content(facts, "system", body.at("system"));
    }
    check_anthropic_results(body.at("messages"));
    for (const Json& message : body.at("messages")) {
        add_anthropic_content(facts, text_at(message, "role"), message.at("content"));
    }
    for (const Json& tool : body.value("tools", Json::array())) {
        facts.push_back(fact(
            {"tool",
             text_at(tool, "name"),
             tool.value("description", ""),
             tool.at("input_schema").dump()}
        ));
    }
    if (body.contains("tool_choice")) {
        const Json& choice = body.at("tool_choice");
        const std::string type = text_at(choice, "type");
        facts.push_back(fact({"choice", type == "any" ? "required" : type, choice.value("name", "")}
        ));
    }
    add_limits(facts, body, "max_tokens");
    if (body.contains("output_config")) {
        facts.push_back(fact({"schema", body.at("output_config").at("format").at("schema").dump()})
        );
    }
    return facts;
}

Facts read_gemini(const Json& body) {
    Facts facts;
    if (body.contains("systemInstruction")) {
        for (const Json& part : body.at("systemInstruction").at("parts")) {
            facts.push_back(fact({"system", "text", text_at(part, "text")}));
        }
    }
    for (const Json& content : body.at("contents")) {
        const std::string who = text_at(content, "role") == "model" ? "assistant" : "user";
        for (const Json& part : content.at("parts")) {
            add_gemini_part(facts, who, part);
        }
    }
    for (const Json& tools : body.value("tools", Json::array())) {
        for (const Json& tool : tools.at("functionDeclarations")) {
            facts.push_back(fact(
                {"tool",
                 text_at(tool, "name"),
                 tool.value("description", ""),
                 tool.at("parametersJsonSchema").dump()}
            ));
        }
    }
    if (body.contains("toolConfig")) {
        const Json& config = body.at("toolConfig").at("functionCallingConfig");
        const std::string mode = text_at(config, "mode");
        if (config.contains("allowedFunctionNames")) {
            facts.push_back(fact({"choice", "tool", config.at("allowedFunctionNames").at(0)}));
        } else {
            facts.push_back(fact(
                {"choice",
                 mode == "ANY"    ? "required"
                 : mode == "NONE" ? "none"
                                  : "auto",
                 ""}
            ));
        }
    }
    const Json settings = body.value("generationConfig", Json::object());
    add_limits(facts, settings, "maxOutputTokens");
    if (settings.contains("responseJsonSchema")) {
        facts.push_back(fact({"schema", settings.at("responseJsonSchema").dump()}));
    }
    return facts;
}

}  // namespace llmproc::testing_cassettes
