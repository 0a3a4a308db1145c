#include "providers/openai_chat_parts.hpp"

#include <llmproc/error.hpp>
#include "core/log_line.hpp"
#include "providers/openai_chat.hpp"

namespace llmproc::providers {

namespace {

std::string data_url(const MediaSource& source, std::string_view fallback_type) {
    std::string url = "data:";
    url.append(source.media_type.empty() ? fallback_type : std::string_view(source.media_type));
    url.append(";base64,").append(source.data);
    return url;
}

}  // namespace

void part_not_supported(std::string_view what, std::string_view remedy) {
    std::string text = "Chat Completions cannot carry ";
    text.append(what).append("; ").append(remedy);
    throw LLMError(Errc::not_supported, text);
}

void block_misplaced(std::string_view block, Role role) {
    std::string text = "a message of role ";
    text.append(to_string(role)).append(" cannot hold a ").append(block).append(" block");
    throw LLMError(Errc::invalid_argument, text);
}

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
        part_not_supported("an image by file id", "send its bytes or an address");
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
            "a document by address",
            "send its bytes or upload it and give the file id"
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

bool is_chat_block(const UnknownBlock& block) {
    if (block.provider == openai_chat_name) {
        return true;
    }
    if (log_enabled(LogLevel::debug)) {
        log_line(LogLevel::debug, "left a block of the protocol " + block.provider + " out");
    }
    return false;
}

}  // namespace llmproc::providers
