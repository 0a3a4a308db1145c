/// @file
/// nginx as the server that all clients call.
#pragma once

#include <llmproc/testing/certificate_authority.hpp>
#include "child.hpp"
#include "stream_server.hpp"

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace llmproc::bench {

/// One nginx worker that answers every call with the same reply of its protocol over TLS 1.3, and a
/// second server for streams.
/// Lifetime: the destructor stops it and removes its files.
class Server {
public:
    /// Throws std::runtime_error if there is no nginx or it does not start.
    explicit Server(const Cores& cores);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    std::uint16_t port() const noexcept { return port_; }
    /// The port for this kind of client: the kinds that measure connecting get one where the server
    /// closes after each answer, those that read streams the second server's.
    std::uint16_t port_for(std::string_view kind) const noexcept;
    const std::string& ca_file() const { return authority_.ca_file(); }
    /// For files of the benchmark itself.
    const std::filesystem::path& folder() const noexcept { return folder_; }

private:
    std::filesystem::path write_files();
    void wait_until_ready();

    testing::CertificateAuthority authority_;
    std::filesystem::path folder_;
    std::uint16_t port_ = 0;
    std::uint16_t closing_port_ = 0;
    std::unique_ptr<Child> nginx_;
    std::optional<StreamServer> streams_;
};

}  // namespace llmproc::bench
