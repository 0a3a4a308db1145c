// The reader must come to the same answer for any split; the first byte chooses the size of pieces.
#include "net/response_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

std::string read(std::string_view wire, std::size_t piece, bool head_request) {
    llmproc::net::ResponseReader reader(256, head_request);
    std::string body;
    bool fine = true;
    for (std::size_t i = 0; i < wire.size() && fine; i += piece) {
        // A copy of exact size, so that a view that outlives its read is caught.
        const std::string bytes(wire.substr(i, piece));
        fine = reader.feed(bytes, body);
    }
    if (fine) {
        fine = reader.end(true);
    }
    if (fine != reader.complete() || fine != reader.problem_text().empty()) {
        std::abort();
    }
    std::string seen = fine ? "ok " : std::to_string(static_cast<int>(reader.problem())) + ' ';
    seen += reader.reusable() ? "reusable " : "once ";
    seen += std::to_string(reader.head().status) + ' ' + reader.head().reason + '\n';
    for (const auto& [name, value] : reader.head().headers) {
        seen.append(name).append(": ").append(value).append("\n");
    }
    return seen + body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const bool head_request = data[0] >= 128U;
    const std::string input(data + 1, data + size);
    const std::size_t piece = std::size_t{1} + data[0] % 16U;
    if (read(input, input.size(), head_request) != read(input, piece, head_request)) {
        std::abort();
    }
    return 0;
}
