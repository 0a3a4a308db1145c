#include <llmproc/error.hpp>
#include <llmproc/message.hpp>
#include "core/file_bytes.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>

namespace llmproc {

namespace {

/// What a file of that kind begins with: `bytes` at the place `at`.
struct Magic {
    std::size_t at;
    std::string_view bytes;
    std::string_view media_type;
};

constexpr std::array magics = {
    Magic{0, "\x89PNG\r\n\x1a\n", "image/png"},
    Magic{0, "\xff\xd8\xff", "image/jpeg"},
    Magic{0, "GIF87a", "image/gif"},
    Magic{0, "GIF89a", "image/gif"},
    Magic{8, "WEBP", "image/webp"},
    Magic{4, "ftypheic", "image/heic"},
    Magic{4, "ftypavif", "image/avif"},
    Magic{0, "%PDF-", "application/pdf"},
    Magic{8, "WAVE", "audio/wav"},
    Magic{0, "ID3", "audio/mpeg"},
    Magic{0, "\xff\xfb", "audio/mpeg"},
    Magic{0, "\xff\xf3", "audio/mpeg"},
    Magic{0, "\xff\xf2", "audio/mpeg"},
    Magic{0, "OggS", "audio/ogg"},
    Magic{0, "fLaC", "audio/flac"},
    Magic{4, "ftypM4A ", "audio/mp4"},
};

struct Extension {
    std::string_view name;
    std::string_view media_type;
};

/// Kinds that their first bytes do not tell; those that they tell must keep their word.
constexpr std::array extensions = {
    Extension{".aac", "audio/aac"},
    Extension{".csv", "text/csv"},
    Extension{".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
    Extension{".htm", "text/html"},
    Extension{".html", "text/html"},
    Extension{".json", "application/json"},
    Extension{".md", "text/markdown"},
    Extension{".mp3", "audio/mpeg"},
    Extension{".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"},
    Extension{".txt", "text/plain"},
    Extension{".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
    Extension{".xml", "text/xml"},
};

bool is_riff(std::string_view bytes) {
    return bytes.starts_with("RIFF");
}

std::string_view type_by_bytes(std::string_view bytes) {
    const auto* const found = std::find_if(magics.begin(), magics.end(), [&](const Magic& magic) {
        // "WEBP" and "WAVE" mean something in a RIFF file only.
        return bytes.size() >= magic.at + magic.bytes.size() &&
               bytes.substr(magic.at, magic.bytes.size()) == magic.bytes &&
               (magic.at != 8 || is_riff(bytes));
    });
    return found == magics.end() ? std::string_view() : found->media_type;
}

std::string_view type_by_name(const std::string& path) {
    std::string extension = std::filesystem::path(path).extension().string();
    std::transform(extension.begin(), extension.end(), extension.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    const auto* const found = std::find_if(
        extensions.begin(),
        extensions.end(),
        [&](const Extension& row) { return row.name == extension; }
    );
    return found == extensions.end() ? std::string_view() : found->media_type;
}

[[noreturn]] void refuse(const std::string& text) {
    throw LLMError(Errc::invalid_argument, "MediaSource::file: " + text);
}

/// Anything else may have no end, or keep whoever opens it waiting.
void require_regular(const std::string& path) {
    std::error_code error;
    const auto status = std::filesystem::status(path, error);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
        refuse("cannot read " + path + ": it is not a regular file; name a file");
    }
}

}  // namespace

MediaSource MediaSource::file(const std::string& path) {
    require_regular(path);
    std::string problem;
    const std::string bytes = read_file_bytes(path, max_file_bytes, problem);
    if (!problem.empty()) {
        refuse(
            problem + "; name a readable file, or upload it to the provider and use "
                      "MediaSource::file_id"
        );
    }
    if (bytes.empty()) {
        refuse("the file " + path + " is empty; name one with content");
    }
    std::string_view type = type_by_bytes(bytes);
    if (type.empty()) {
        type = type_by_name(path);
    }
    if (type.empty()) {
        refuse(
            "neither the first bytes nor the name of " + path +
            " tell what it is; read it and use MediaSource::bytes(data, media_type)"
        );
    }
    return MediaSource::bytes(bytes, std::string(type));
}

}  // namespace llmproc
