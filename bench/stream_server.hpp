/// @file
/// The server of the stream rows: it answers as fast as it can, in two shapes.
#pragma once

#include "child.hpp"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace llmproc::bench {

/// Path prefixes that choose how a stream is cut.
inline constexpr const char* bulk_prefix = "/bulk";            ///< Records of 16 KiB.
inline constexpr const char* coalesced_prefix = "/coalesced";  ///< One a token, 64 KiB per send.

/// Answers every protocol's stream requests with as many tokens as the prompt says ("tokens=N");
/// prints its port. Never returns.
[[noreturn]] void serve_streams(const std::string& chain_file, const std::string& key_file);

/// The same in a process of its own: the probe in the folder of the running program.
/// Lifetime: the destructor ends it.
class StreamServer {
public:
    /// Throws std::runtime_error if it does not start.
    StreamServer(const std::filesystem::path& chain, const std::filesystem::path& key, Cores cores);
    StreamServer(const StreamServer&) = delete;
    StreamServer& operator=(const StreamServer&) = delete;
    ~StreamServer();

    std::uint16_t port() const noexcept { return port_; }

private:
    std::optional<Child> child_;
    int output_ = -1;
    std::uint16_t port_ = 0;
};

}  // namespace llmproc::bench
