// Bodies of Gemini's requests, read as Google describes them.
#include "providers/request_facts.hpp"

namespace llmproc::testing_cassettes {

namespace {

std::string gemini_media(const Json& part) {
    if (part.contains("inlineData")) {
        const Json& data = part.at("inlineData");
        return text_at(data, "mimeType") + " " + text_at(data, "data");
    }
    return "url " + text_at(part.at("fileData"), "fileUri");
}

/// Gemini has one shape for all media.
std::string gemini_kind(const std::string& source) {
    if (source.rfind("audio/", 0) == 0) {
        return "sound";
    }
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
        const std::string kind = gemini_kind(source);
        facts.push_back(
            kind == "sound" ? fact({who, kind, source}) : fact({who, kind, source, ""})
        );
    } else {
        unexpected(part);
    }
}

}  // namespace

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
                 "",
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
