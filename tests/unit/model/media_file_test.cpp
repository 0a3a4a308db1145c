#include <llmproc/error.hpp>
#include <llmproc/message.hpp>

#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace llmproc {
namespace {

class MediaFileTest : public ::testing::Test {
protected:
    MediaFileTest() {
        folder = std::filesystem::path(::testing::TempDir()) /
                 ("llmproc-media-" + std::to_string(::getpid()));
        std::filesystem::create_directories(folder);
    }
    ~MediaFileTest() override { std::filesystem::remove_all(folder); }

    std::string write(const std::string& name, std::string_view bytes) const {
        const std::filesystem::path path = folder / name;
        std::ofstream(path, std::ios::binary) << bytes;
        return path.string();
    }

    /// The message of the refusal.
    static std::string refused(const std::string& path) {
        try {
            static_cast<void>(MediaSource::file(path));
        } catch (const LLMError& error) {
            EXPECT_EQ(error.errc(), Errc::invalid_argument);
            EXPECT_NE(error.message().find(path), std::string::npos) << error.message();
            return error.message();
        }
        return "accepted";
    }

    std::filesystem::path folder;
};

TEST_F(MediaFileTest, TheFirstBytesTellTheKindWhateverTheName) {
    const std::vector<std::pair<std::string, std::string>> kinds = {
        {"\x89PNG\r\n\x1a\n...", "image/png"},
        {"\xff\xd8\xff\xe0", "image/jpeg"},
        {"GIF89a..", "image/gif"},
        {"RIFF....WEBPVP8 ", "image/webp"},
        {"....ftypheic", "image/heic"},
        {"%PDF-1.7", "application/pdf"},
        {"RIFF....WAVEfmt ", "audio/wav"},
        {"ID3\x04", "audio/mpeg"},
        {"\xff\xfb\x90", "audio/mpeg"},
        {"OggS", "audio/ogg"},
        {"fLaC", "audio/flac"},
        {"....ftypM4A ", "audio/mp4"},
    };
    for (const auto& [bytes, media_type] : kinds) {
        const MediaSource source = MediaSource::file(write("wrong.txt", bytes));
        EXPECT_EQ(source, MediaSource::bytes(bytes, media_type));
    }
}

TEST_F(MediaFileTest, TheNameTellsWhatTheBytesDoNot) {
    EXPECT_EQ(MediaSource::file(write("a.txt", "hi")), MediaSource::bytes("hi", "text/plain"));
    EXPECT_EQ(MediaSource::file(write("a.MD", "# x")).media_type, "text/markdown");
    EXPECT_EQ(MediaSource::file(write("a.json", "{}")).media_type, "application/json");
    EXPECT_EQ(MediaSource::file(folder / "a.txt").data, "aGk=");
    // Not of a RIFF file, and too short for any.
    EXPECT_EQ(MediaSource::file(write("b.csv", "12345678WEBP")).media_type, "text/csv");
    EXPECT_EQ(MediaSource::file(write("c.csv", "G")).media_type, "text/csv");
}

TEST_F(MediaFileTest, AnUnknownKindNamesTheWayOut) {
    for (const char* const name : {"a.xyz", "noextension", "a.png", "a.pdf"}) {
        const std::string text = refused(write(name, "what is this?"));
        EXPECT_NE(text.find("MediaSource::bytes(data, media_type)"), std::string::npos) << text;
    }
}

TEST_F(MediaFileTest, WhatCannotBeReadSaysWhy) {
    EXPECT_NE(refused((folder / "none.png").string()).find("No such file"), std::string::npos);
    EXPECT_NE(refused(folder.string()).find("not a regular file"), std::string::npos);
    EXPECT_NE(refused(write("empty.png", "")).find("is empty"), std::string::npos);
    // Opening it would wait for a writer.
    const std::string pipe = (folder / "pipe.png").string();
    ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
    EXPECT_NE(refused(pipe).find("not a regular file"), std::string::npos);
}

TEST_F(MediaFileTest, TheLargestFileIsRead) {
    const std::string path = write("big.txt", "x");
    std::filesystem::resize_file(path, MediaSource::max_file_bytes);
    EXPECT_EQ(MediaSource::file(path).data.size(), (MediaSource::max_file_bytes + 2) / 3 * 4);
    std::filesystem::resize_file(path, MediaSource::max_file_bytes + 1);
    const std::string text = refused(path);
    EXPECT_NE(text.find("larger than 32 MiB"), std::string::npos) << text;
    EXPECT_NE(text.find("MediaSource::file_id"), std::string::npos) << text;
}

}  // namespace
}  // namespace llmproc
