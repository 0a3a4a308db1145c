#include "core/file_bytes.hpp"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace llmproc {
namespace {

class FileBytesTest : public ::testing::Test {
protected:
    FileBytesTest() { std::ofstream(path, std::ios::binary) << std::string("a\0b\n", 4); }
    ~FileBytesTest() override { std::filesystem::remove(path); }

    std::string path = ::testing::TempDir() + "llmproc-file-bytes-" + std::to_string(::getpid());
    std::string problem = "old";
};

TEST_F(FileBytesTest, ReadsAllBytesUpToTheLimit) {
    EXPECT_EQ(read_file_bytes(path, 4, problem), std::string("a\0b\n", 4));
    EXPECT_EQ(problem, "");
}

TEST_F(FileBytesTest, RefusesMoreThanTheLimit) {
    EXPECT_EQ(read_file_bytes(path, 3, problem), "");
    EXPECT_NE(problem.find("cannot read " + path + ": it is larger than"), std::string::npos);
    std::filesystem::resize_file(path, 2UL * 1024 * 1024 + 1);
    EXPECT_EQ(read_file_bytes(path, 2UL * 1024 * 1024, problem), "");
    EXPECT_NE(problem.find("larger than 2 MiB"), std::string::npos);
}

TEST_F(FileBytesTest, SaysWhyAFileCannotBeRead) {
    EXPECT_EQ(read_file_bytes("/nowhere/at/all", 9, problem), "");
    EXPECT_EQ(problem, "cannot read /nowhere/at/all: No such file or directory");
    EXPECT_EQ(read_file_bytes("~/file", 9, problem), "");
    EXPECT_NE(problem.find("'~' is not expanded"), std::string::npos);
    EXPECT_EQ(read_file_bytes(::testing::TempDir(), 9, problem), "");
    EXPECT_NE(problem.find("directory"), std::string::npos);
}

}  // namespace
}  // namespace llmproc
