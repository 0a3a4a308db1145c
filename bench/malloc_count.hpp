/// @file
/// How often the C library was asked for memory, by anybody in the process.
#pragma once

#include <cstdint>

namespace llmproc::bench {

/// 0 in the client that is only timed.
std::uint64_t malloc_count() noexcept;
/// For how many bytes it was asked.
std::uint64_t malloc_bytes() noexcept;

}  // namespace llmproc::bench
