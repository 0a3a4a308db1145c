#include "process/count_tokens.hpp"

#include <optional>

namespace llmproc {

namespace asio = boost::asio;

asio::awaitable<TokenCount> count_conversation(ActiveCall& call, Diagnostics& note) {
    ProcessCore& core = call.core();
    // Nothing below need wait, so a stop or a limit that is over shows only here.
    call.context().enter(Stage::none);
    ChatRequest request = core.request_with(nullptr);
    request.params.fill_from(core.settings().params);
    note = core.chat().describe(request);
    std::optional<HttpRequest> encoded;
    if (!core.counts_nothing()) {
        encoded = core.settings().codec->encode_count_tokens(request, core.settings().endpoint);
    }
    if (!encoded) {
        co_return core.estimate_tokens();
    }
    const std::optional<TokenCount> count =
        co_await core.chat().count_tokens(call.context(), call.retry(), *encoded, note);
    if (count) {
        co_return *count;
    }
    core.remember_counts_nothing();
    note = core.chat().describe(request);
    co_return core.estimate_tokens();
}

}  // namespace llmproc
