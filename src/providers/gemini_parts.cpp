#include "providers/gemini_parts.hpp"

#include <llmproc/error.hpp>
#include "core/json_writer.hpp"
#include "providers/gemini.hpp"
#include "providers/openai_fields.hpp"

#include <utility>

namespace llmproc::providers {

namespace {

constexpr std::uint32_t max_calls = 128;

void append_member(std::string& members, std::string_view name, std::string_view value) {
    members += members.empty() ? "" : ",";
    append_json_string(members, name);
    members.append(":").append(value);
}

/// An id that is never sent back, since the model's parts must return unchanged.
std::string make_id() {
    constexpr std::string_view usual = "call_";
    return std::string(made_call_id) + make_tool_call_id().substr(usual.size());
}

/// Pieces of arguments come only to those who asked for them; this library does not.
[[noreturn]] void refuse_pieces() {
    throw LLMError(
        Errc::not_supported,
        "the answer has a function call in pieces; remove streamFunctionCallArguments from "
        "parameters.extra_body"
    );
}

void read_call(JsonReader& reader, ToolCallBlock& call) {
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "id") {
            call.id = read_string_or_empty(reader);
        } else if (key == "name") {
            call.name = read_string_or_empty(reader);
        } else if (key == "args" && reader.peek() == JsonKind::object) {
            call.arguments = reader.raw();
        } else if (key == "args" && !reader.consume_null()) {
            throw gemini_malformed("the answer", "the arguments of a call are no object");
        } else if (key == "partialArgs" || key == "willContinue") {
            const std::string_view raw = reader.raw();
            if (raw != "false" && raw != "null" && raw != "[]") {
                refuse_pieces();
            }
        } else if (key != "args") {
            reader.skip();
        }
    }
    if (call.name.empty()) {
        throw gemini_malformed("the answer", "a function call has no name");
    }
    if (call.arguments.empty()) {
        call.arguments = "{}";
    }
}

}  // namespace

void GeminiParts::read_members(JsonReader& reader, Part& part) {
    bool thought = false;
    reader.begin_object();
    std::string_view key;
    while (reader.next_key(key)) {
        if (key == "text" && reader.peek() == JsonKind::string) {
            part.text = reader.string_view_or_buffer(scratch_);
            part.has_text = true;
        } else if (key == "thought" && reader.peek() == JsonKind::boolean) {
            thought = reader.boolean();
        } else if (key == "functionCall" && reader.peek() == JsonKind::object) {
            read_call(reader, part.call);
            part.has_call = true;
        } else {
            append_member(part.extras, key, reader.raw());
        }
    }
    part.thought = thought;
    if (thought && part.has_call) {
        append_member(part.extras, "thought", "true");
    }
}

void GeminiParts::read(JsonReader& reader, StreamEvents& out) {
    JsonReader start = reader;
    Part part;
    read_members(reader, part);
    if (part.has_call) {
        add_call(std::move(part.call), out);
        add_extras(part.extras);
    } else if (!part.text.empty()) {
        add_text(part, out);
        add_extras(part.extras);
    } else if (!part.extras.empty()) {
        // A signature beside an empty text, or a kind of part that is not known.
        const std::string_view raw = start.raw();
        add_raw(raw);
        if (!part.has_text) {
            out.emplace_back(StreamEvent::Type::other, std::string(raw));
        }
    }
}

/// Goes on with the last block if both are plain, else starts one.
template <class Block>
void GeminiParts::append_text(const Part& part) {
    const bool joins = part.extras.empty() && !blocks_.empty() &&
                       std::holds_alternative<Block>(blocks_.back());
    if (joins) {
        std::get<Block>(blocks_.back()).text += part.text;
    } else {
        blocks_.emplace_back(Block(std::string(part.text)));
    }
}

void GeminiParts::add_text(const Part& part, StreamEvents& out) {
    if (part.thought) {
        append_text<ThinkingBlock>(part);
        out.emplace_back(StreamEvent::Type::thinking, std::string(part.text));
    } else {
        append_text<TextBlock>(part);
        out.emplace_back(StreamEvent::Type::text, std::string(part.text));
    }
}

void GeminiParts::add_call(ToolCallBlock call, StreamEvents& out) {
    if (calls_ == max_calls) {
        throw gemini_malformed("the answer", "it has more than 128 function calls");
    }
    if (call.id.empty()) {
        call.id = make_id();
    }
    out.push_back(StreamEvent::tool_call(calls_, call.id, call.name));
    out.push_back(StreamEvent::tool_arguments(calls_, call.arguments));
    ++calls_;
    blocks_.emplace_back(std::move(call));
}

void GeminiParts::add_raw(std::string_view raw) {
    blocks_.emplace_back(UnknownBlock(std::string(gemini_name), RawJson::trusted(std::string(raw)))
    );
}

void GeminiParts::add_extras(const std::string& members) {
    if (!members.empty()) {
        std::string raw = "{";
        append_json_string(raw, of_previous_part);
        raw.append(":{").append(members).append("}}");
        add_raw(raw);
    }
}

}  // namespace llmproc::providers
