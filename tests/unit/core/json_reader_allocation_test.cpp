// A file of its own, because it replaces the global operator new of its executable.
#include "core/json_reader.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <string_view>

namespace {

std::atomic<unsigned long> allocations{0};

}  // namespace

void* operator new(std::size_t size) {
    ++allocations;
    void* memory = std::malloc(size == 0 ? 1 : size);
    if (memory == nullptr) {
        throw std::bad_alloc();
    }
    return memory;
}

// The sanitizers bring their own of this one, which would not match the deletes below.
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
    ++allocations;
    return std::malloc(size == 0 ? 1 : size);
}

void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace llmproc {
namespace {

const std::string text =
    R"({"a plain key that is not short":"a plain value that is not short either",)"
    R"("an escaped \"key\" that is long enough":["escaped \u00e9\n text that is long",1.5e3,-7],)"
    R"("deep":[[[[{"x":null,"y":true}]]]]})";

TEST(JsonReaderAllocationTest, CounterSeesAllocations) {
    const unsigned long before = allocations;
    const std::string long_text(100, 'x');
    EXPECT_EQ(long_text.size(), 100U);
    EXPECT_GT(allocations, before);
}

TEST(JsonReaderAllocationTest, SkipAllocatesNothing) {
    const unsigned long before = allocations;
    JsonReader reader(text);
    reader.skip();
    reader.finish();
    const unsigned long after = allocations;
    EXPECT_EQ(after, before);
}

TEST(JsonReaderAllocationTest, LookingAheadAllocatesNothing) {
    JsonReader reader(R"({"an escaped \"key\" that is long enough":1})");
    std::string_view key;
    reader.begin_object();
    ASSERT_TRUE(reader.next_key(key));
    const unsigned long before = allocations;
    JsonReader ahead = reader;
    ahead.skip();
    ahead = reader;
    const unsigned long after = allocations;
    EXPECT_EQ(after, before);
    EXPECT_EQ(key, R"(an escaped "key" that is long enough)");
}

TEST(JsonReaderAllocationTest, PlainKeysStringsAndNumbersAllocateNothing) {
    const std::string plain =
        R"({"a plain key that is not short":"a plain value that is not short either",)"
        R"("number of something":12345,"another number":0.25,"escaped":"a long text\nwith escapes"})";
    std::string scratch;
    scratch.reserve(64);
    const unsigned long before = allocations;
    JsonReader reader(plain);
    std::string_view key;
    reader.begin_object();
    while (reader.next_key(key)) {
        if (key == "number of something") {
            static_cast<void>(reader.integer());
        } else if (key == "another number") {
            static_cast<void>(reader.number());
        } else {
            static_cast<void>(reader.string_view_or_buffer(scratch));
        }
    }
    reader.finish();
    const unsigned long after = allocations;
    EXPECT_EQ(after, before);
}

}  // namespace
}  // namespace llmproc
