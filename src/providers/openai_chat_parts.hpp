/// @file
/// Content parts of Chat Completions messages.
#pragma once

#include <llmproc/message.hpp>
#include "core/json_writer.hpp"

#include <string>
#include <string_view>

namespace llmproc::providers {

void write_text_part(JsonWriter& json, std::string_view text);
/// Throws LLMError{not_supported} for an image by file id.
void write_image_part(JsonWriter& json, const ImageBlock& image);
/// Throws LLMError{not_supported} for a document by address.
void write_document_part(JsonWriter& json, const DocumentBlock& document);

/// Throws LLMError{not_supported} for sound that is no bytes of WAV or MP3.
void write_audio_part(JsonWriter& json, const AudioBlock& audio);

/// Whether the block came from this protocol; others mean nothing here and are left out.
bool is_chat_block(const UnknownBlock& block);

/// Appends the assistant's message as one JSON object.
void append_assistant_message(std::string& out, const Message& message);

}  // namespace llmproc::providers
