// Bodies of requests, read as the providers describe them.
#include "providers/request_facts.hpp"

#include <stdexcept>

namespace llmproc::testing_cassettes {

namespace {

/// "data:TYPE;base64,DATA" or an address.
std::string address(const std::string& url) {
    if (url.rfind("data:", 0) != 0) {
        return "url " + url;
    }
    const std::size_t end = url.find(";base64,");
    return url.substr(5, end - 5) + " " + url.substr(end + 8);
}

std::string strictness(const Json& tool) {
    return tool.contains("strict") ? strict_word(tool.at("strict").get<bool>()) : "";
}

void add_parallel(Facts& facts, const Json& body) {
    if (body.contains("parallel_tool_calls")) {
        facts.push_back(parallel_fact(body.at("parallel_tool_calls").get<bool>()));
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
        if (file.contains("file_id")) {
            facts.push_back(fact({who, "document", "id " + text_at(file, "file_id"), ""}));
            return;
        }
        facts.push_back(
            fact({who, "document", address(text_at(file, "file_data")), text_at(file, "filename")})
        );
    } else if (type == "input_audio" && who == "user") {
        const Json& audio = part.at("input_audio");
        facts.push_back(
            fact({who, "sound", "audio/" + text_at(audio, "format") + " " + text_at(audio, "data")})
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
        } else if (type == "input_image" && part.contains("file_id")) {
            const std::string id = "id " + text_at(part, "file_id");
            facts.push_back(fact({who, "image", id, part.value("detail", "")}));
        } else if (type == "input_file" && part.contains("file_id")) {
            facts.push_back(fact({who, "document", "id " + text_at(part, "file_id"), ""}));
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
    if (type == "file") {
        return "id " + text_at(source, "file_id");
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
    if (block.contains("cache_control")) {
        facts.push_back("cache point");
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
             strictness(function),
             function.at("parameters").dump()}
        ));
    }
    add_openai_choice(facts, body, "function");
    add_parallel(facts, body);
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
             strictness(tool),
             tool.at("parameters").dump()}
        ));
    }
    add_openai_choice(facts, body, nullptr);
    add_parallel(facts, body);
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
             strictness(tool),
             tool.at("input_schema").dump()}
        ));
    }
    if (body.contains("tool_choice")) {
        const Json& choice = body.at("tool_choice");
        const std::string type = text_at(choice, "type");
        facts.push_back(fact({"choice", type == "any" ? "required" : type, choice.value("name", "")}
        ));
        if (choice.contains("disable_parallel_tool_use")) {
            facts.push_back(parallel_fact(!choice.at("disable_parallel_tool_use").get<bool>()));
        }
    }
    add_limits(facts, body, "max_tokens");
    if (body.contains("output_config")) {
        facts.push_back(fact({"schema", body.at("output_config").at("format").at("schema").dump()})
        );
    }
    return facts;
}

}  // namespace llmproc::testing_cassettes
