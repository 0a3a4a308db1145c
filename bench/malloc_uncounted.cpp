#include "malloc_count.hpp"

namespace llmproc::bench {

std::uint64_t malloc_count() noexcept {
    return 0;
}

std::uint64_t malloc_bytes() noexcept {
    return 0;
}

}  // namespace llmproc::bench
