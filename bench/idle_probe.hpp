/// @file
/// What waits costs: memory of idle processes, descriptors of a loop.
#pragma once

#include <cstddef>
#include <iosfwd>

namespace llmproc::bench {

/// Resident memory of this process.
double resident_mib();

/// Prints by how many MiB this program grows with so many idle processes on one loop. They come from
/// one program, and one more was started before.
void print_idle_memory(std::ostream& out, std::size_t processes);

/// Prints how many descriptors a loop has open; and an io_context with a thread and a socket.
void print_loop_descriptors(std::ostream& out);

}  // namespace llmproc::bench
