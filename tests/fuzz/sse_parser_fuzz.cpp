// The parser must give the same events for any split; the first byte chooses the size of pieces.
#include "wire/sse_parser.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

std::string parse(std::string_view text, std::size_t piece) {
    llmproc::wire::SseParser parser(llmproc::wire::SseLimits(64, 128));
    llmproc::SseEvent event;
    std::string seen;
    const auto add = [&seen, &event] {
        seen.append(event.event).append("|").append(event.data).append("|");
        seen.append(event.id ? *event.id : "-").append(";");
    };
    for (std::size_t i = 0; i < text.size(); i += piece) {
        // A copy of exact size, so that a view that outlives its read is caught.
        const std::string bytes(text.substr(i, piece));
        parser.feed(bytes);
        while (parser.next(event)) {
            add();
        }
    }
    if (parser.finish() == llmproc::wire::SseTail::pending_event && parser.take_pending(event)) {
        seen += "pending ";
        add();
    }
    seen += parser.last_event_id();
    seen += parser.status() == llmproc::wire::SseStatus::ok ? "ok" : "too large";
    return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const std::string input(data + 1, data + size);
    if (parse(input, input.size()) != parse(input, std::size_t{1} + data[0] % 16U)) {
        std::abort();
    }
    return 0;
}
