/// @file
/// aimock, a server of the npm package @copilotkit/aimock that speaks the vendors' protocols and
/// knows nothing of this library.
#pragma once

#include "support/child_process.hpp"
#include "support/local_server.hpp"
#include "support/peer_support.hpp"

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace llmproc::testing {

/// Where `npm ci` was run; a checkout that cannot be written to names another folder.
inline std::filesystem::path peers_folder() {
    const char* const other = std::getenv("LLMPROC_PEERS_DIR");
    return other != nullptr && *other != '\0' ? other : LLMPROC_PEERS_DIR;
}

inline std::filesystem::path aimock_script() {
    return peers_folder() / "node_modules" / ".bin" / "llmock";
}

/// What the machine lacks for aimock, with the remedy; empty if nothing.
inline std::string lack_of_aimock() {
    std::string text;
    const std::string node = find_program("node");
    if (node.empty()) {
        text += "node (>= 20.15) is not installed. ";
    } else {
        ChildProcess check(
            {node,
             "-e",
             "const [a,b]=process.versions.node.split('.').map(Number);"
             "process.exit(a>20||(a===20&&b>=15)?0:1)"},
            "/dev/null"
        );
        text += check.wait(watchdog) == 0 ? "" : "node is older than 20.15. ";
    }
    if (!std::filesystem::exists(aimock_script())) {
        text += "aimock is not installed: npm ci --prefix " + peers_folder().string() +
                " (or set LLMPROC_PEERS_DIR to a copy of that folder). ";
    }
    return text;
}

/// Starts it with these fixtures and returns its port.
inline std::uint16_t start_aimock(
    std::unique_ptr<ChildProcess>& child,
    const Folder& folder,
    const std::string& fixtures
) {
    const std::filesystem::path file = folder.path() / "fixtures.json";
    write_file(file, fixtures);
    return start_on_free_port(child, folder, "aimock", [&file](std::uint16_t port) {
        return std::vector<std::string>{
            find_program("node"),
            aimock_script().string(),
            "-p",
            std::to_string(port),
            "-f",
            file.string()};
    });
}

}  // namespace llmproc::testing
