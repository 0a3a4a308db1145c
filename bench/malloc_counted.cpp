// Stands in front of glibc's allocator, so that OpenSSL's and libcurl's requests count too.
#include "malloc_count.hpp"

#include <atomic>
#include <cstddef>

namespace {

std::atomic<std::uint64_t> count{0};
std::atomic<std::uint64_t> bytes{0};

void note(std::size_t size) noexcept {
    count.fetch_add(1, std::memory_order_relaxed);
    bytes.fetch_add(size, std::memory_order_relaxed);
}

}  // namespace

extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t members, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);

void* malloc(std::size_t size) noexcept {
    note(size);
    return __libc_malloc(size);
}

void* calloc(std::size_t members, std::size_t size) noexcept {
    note(members * size);
    return __libc_calloc(members, size);
}

void* realloc(void* memory, std::size_t size) noexcept {
    note(size);
    return __libc_realloc(memory, size);
}

}  // extern "C"

namespace llmproc::bench {

std::uint64_t malloc_count() noexcept {
    return count.load(std::memory_order_relaxed);
}

std::uint64_t malloc_bytes() noexcept {
    return bytes.load(std::memory_order_relaxed);
}

}  // namespace llmproc::bench
