/// @file
/// A TLS server that reads requests and never answers.
#pragma once

#include <cstddef>
#include <string>

namespace llmproc::bench {

/// Prints the port, then "full" once it has read `calls` requests, each on its own connection.
/// Runs until it is killed.
void hold_calls(const std::string& chain_file, const std::string& key_file, std::size_t calls);

}  // namespace llmproc::bench
