#include "limits.hpp"

#include <sys/resource.h>

#include <algorithm>

namespace llmproc::bench {

std::size_t raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 1024;
    }
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 64UL * 1024);
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

std::size_t possible_connections(std::size_t wanted) {
    constexpr std::size_t others = 200;  // files, pipes, the server's own
    const std::size_t limit = raise_descriptor_limit();
    return std::min(wanted, limit > 2 * others ? limit - others : others);
}

}  // namespace llmproc::bench
