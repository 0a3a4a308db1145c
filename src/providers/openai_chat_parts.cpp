#include "providers/openai_chat_parts.hpp"

#include "providers/openai_chat.hpp"
#include "providers/request_parts.hpp"

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
    return is_block_of(block, openai_chat_name);
}

}  // namespace llmproc::providers
