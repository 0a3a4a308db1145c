#include "providers/stream_extras.hpp"

#include "core/json_writer.hpp"
#include "providers/openai_chat.hpp"
#include "providers/openai_fields.hpp"

#include <algorithm>
#include <utility>

namespace llmproc::providers {

namespace {

void keep_raw(std::string& list, std::string_view array) {
    const std::string_view elements = trimmed(array.substr(1, array.size() - 2));
    if (!elements.empty()) {
        list.append(list.empty() ? "" : ",").append(elements);
    }
}

void set_opaque(Message& message, RawJson details) {
    auto& blocks = message.content();
    for (ContentBlock& block : blocks) {
        if (auto* thinking = std::get_if<ThinkingBlock>(&block)) {
            thinking->opaque = std::move(details);
            return;
        }
    }
    ThinkingBlock thinking;
    thinking.opaque = std::move(details);
    blocks.insert(blocks.begin(), std::move(thinking));
}

void set_citations(Message& message, RawJson annotations) {
    auto& blocks = message.content();
    const auto last = std::find_if(blocks.rbegin(), blocks.rend(), [](const ContentBlock& block) {
        const auto* text = std::get_if<TextBlock>(&block);
        return text != nullptr && !text->refusal;
    });
    if (last != blocks.rend()) {
        std::get<TextBlock>(*last).citations = std::move(annotations);
    }
}

}  // namespace

bool StreamExtras::read(JsonReader& reader, std::string_view key, StreamEvents& out) {
    const JsonKind kind = reader.peek();
    if (key == "audio" && kind == JsonKind::object) {
        read_audio(reader, out);
        return true;
    }
    if (kind != JsonKind::array) {
        return false;
    }
    if (key == "reasoning_details") {
        reader.begin_array();
        while (reader.next_element()) {
            reasoning_details_.add(reader.raw());
        }
    } else if (key == "annotations") {
        keep_raw(annotations_, reader.raw());
    } else if (key == "images") {
        const std::string_view raw = reader.raw();
        keep_raw(images_, raw);
        out.emplace_back(StreamEvent::Type::other, "{\"images\":" + std::string(raw) + "}");
    } else {
        return false;
    }
    return true;
}

void StreamExtras::read_audio(JsonReader& reader, StreamEvents& out) {
    const std::string_view raw = reader.raw();
    audio_.present = true;
    JsonReader members(raw);
    members.begin_object();
    std::string_view key;
    while (members.next_key(key)) {
        const bool text = members.peek() == JsonKind::string;
        if (text && key == "id") {
            audio_.id = members.string();
        } else if (text && key == "data") {
            members.append_string(audio_.data);
        } else if (text && key == "transcript") {
            members.append_string(audio_.transcript);
        } else {
            members.skip();
        }
    }
    out.emplace_back(StreamEvent::Type::other, "{\"audio\":" + std::string(raw) + "}");
}

std::string StreamExtras::json_of(const Audio& audio) {
    std::string text;
    JsonWriter json(text);
    json.begin_object();
    json.key("audio");
    json.begin_object();
    json.key("id");
    json.string(audio.id);
    json.key("data");
    json.string(audio.data);
    json.key("transcript");
    json.string(audio.transcript);
    json.end_object();
    json.end_object();
    return text;
}

void StreamExtras::complete(ChatReply& reply) const {
    const auto add_raw = [&reply](std::string raw) {
        reply.message.add(
            UnknownBlock(std::string(openai_chat_name), RawJson::trusted(std::move(raw)))
        );
    };
    if (!reasoning_details_.empty()) {
        set_opaque(reply.message, RawJson::trusted(reasoning_details_.json()));
    }
    if (!annotations_.empty()) {
        set_citations(reply.message, RawJson::trusted("[" + annotations_ + "]"));
    }
    if (audio_.present) {
        add_raw(json_of(audio_));
    }
    if (!images_.empty()) {
        add_raw("{\"images\":[" + images_ + "]}");
    }
}

}  // namespace llmproc::providers
