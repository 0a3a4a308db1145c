/// @file
/// How many connections a process may hold.
#pragma once

#include <cstddef>

namespace llmproc::bench {

/// Raises the soft limit of open descriptors to the hard one, for this process and its children;
/// returns it (at most 64 Ki, more is never needed).
std::size_t raise_descriptor_limit();

/// `wanted`, or what the limit of descriptors leaves room for.
std::size_t possible_connections(std::size_t wanted);

}  // namespace llmproc::bench
