// A file of its own, because it replaces the global operator new of its executable.
#include "wire/sse_parser.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <memory>
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

namespace llmproc::wire {
namespace {

std::string stream(int events) {
    std::string text;
    for (int i = 0; i < events; ++i) {
        text += "event: content_block_delta\nid: an-id-longer-than-a-short-string-" +
                std::to_string(i % 10) +
                "\ndata: {\"delta\":{\"text\":\"some words that are not short\"}}\n\n";
        text +=
            "data: {\"first\":\"line of an event that has two of them\",\r\ndata: \"b\":1}\r\n\r\n";
    }
    return text;
}

unsigned long run(
    SseParser& parser,
    std::string_view text,
    std::size_t piece,
    unsigned long& seen
) {
    const auto before = allocations.load();
    SseEvent event;
    for (std::size_t i = 0; i < text.size(); i += piece) {
        parser.feed(text.substr(i, piece));
        while (parser.next(event)) {
            seen += event.data.empty() ? 0U : 1U;
        }
    }
    return allocations.load() - before;
}

TEST(SseAllocationTest, CountsAllocations) {
    const auto before = allocations.load();
    const auto text = std::make_unique<std::string>(100, 'x');
    EXPECT_GE(allocations.load() - before, 2U) << "the counter works";
}

TEST(SseAllocationTest, AllocatesNothingPerEventAfterWarmUp) {
    const auto text = stream(200);
    for (const std::size_t piece :
         {text.size(), std::size_t{16384}, std::size_t{97}, std::size_t{1}}) {
        SseParser parser;
        unsigned long seen = 0;
        run(parser, text, piece, seen);
        EXPECT_EQ(run(parser, text, piece, seen), 0U) << "pieces of " << piece;
        EXPECT_EQ(seen, 800U);
    }
}

TEST(SseAllocationTest, NeedsNoWarmUpForOneLineEventsInsideOneRead) {
    const std::string text = "event: some-name-that-is-long-enough\ndata: " +
                             std::string(500, 'x') + "\n\ndata: " + std::string(500, 'y') + "\n\n";
    SseParser parser;
    unsigned long seen = 0;
    EXPECT_EQ(run(parser, text, text.size(), seen), 0U);
    EXPECT_EQ(seen, 2U);
}

}  // namespace
}  // namespace llmproc::wire
