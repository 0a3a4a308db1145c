#include "providers/openai_chat_parts.hpp"

#include "providers/openai_chat.hpp"
#include "providers/request_parts.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

namespace llmproc::providers {

void write_text_part(JsonWriter& json, std::string_view text) {
    json.begin_object();
    json.key("type");
    json.string("text");
    json.key("text");
    json.string(text);
    json.end_object();
}

void write_image_part(JsonWriter& json, const ImageBlock& image) {
    if (image.source.kind == MediaSource::Kind::file_id) {
        part_not_supported(
            openai_chat_words,
            "an image by file id",
            "send its bytes (MediaSource::file or bytes) or an address"
        );
    }
    json.begin_object();
    json.key("type");
    json.string("image_url");
    json.key("image_url");
    json.begin_object();
    json.key("url");
    if (image.source.kind == MediaSource::Kind::url) {
        json.string(image.source.data);
    } else {
        json.string(data_url(image.source, "image/png"));
    }
    if (!image.detail.empty()) {
        json.key("detail");
        json.string(image.detail);
    }
    json.end_object();
    json.end_object();
}

void write_document_part(JsonWriter& json, const DocumentBlock& document) {
    if (document.source.kind == MediaSource::Kind::url) {
        part_not_supported(
            openai_chat_words,
            "a document by address",
            "send its bytes (MediaSource::file or bytes), or upload it and give the file id"
        );
    }
    json.begin_object();
    json.key("type");
    json.string("file");
    json.key("file");
    json.begin_object();
    if (document.source.kind == MediaSource::Kind::file_id) {
        json.key("file_id");
        json.string(document.source.data);
    } else {
        // The API refuses file_data without a name.
        json.key("filename");
        json.string(document.name.empty() ? std::string_view("document") : document.name);
        json.key("file_data");
        json.string(data_url(document.source, "application/pdf"));
    }
    json.end_object();
    json.end_object();
}

namespace {

/// The API's word for the format; empty for one that it does not know.
std::string_view sound_format(std::string_view media_type) noexcept {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 6> formats{{
        {"audio/wav", "wav"},
        {"audio/x-wav", "wav"},
        {"audio/wave", "wav"},
        {"audio/vnd.wave", "wav"},
        {"audio/mpeg", "mp3"},
        {"audio/mp3", "mp3"},
    }};
    const auto* const found = std::find_if(formats.begin(), formats.end(), [&](const auto& row) {
        return row.first == media_type;
    });
    return found == formats.end() ? std::string_view() : found->second;
}

}  // namespace

void write_audio_part(JsonWriter& json, const AudioBlock& audio) {
    if (audio.source.kind != MediaSource::Kind::base64) {
        part_not_supported(
            openai_chat_words,
            "sound by address or file id",
            "send its bytes (MediaSource::file or bytes)"
        );
    }
    const std::string_view format = sound_format(audio.source.media_type);
    if (format.empty()) {
        part_not_supported(
            openai_chat_words,
            "sound of the type \"" + audio.source.media_type + "\"",
            "convert it to audio/wav or audio/mpeg"
        );
    }
    json.begin_object();
    json.key("type");
    json.string("input_audio");
    json.key("input_audio");
    json.begin_object();
    json.key("data");
    json.string(audio.source.data);
    json.key("format");
    json.string(format);
    json.end_object();
    json.end_object();
}

bool is_chat_block(const UnknownBlock& block) {
    return is_block_of(block, openai_chat_name);
}

}  // namespace llmproc::providers
