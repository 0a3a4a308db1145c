#include "process/count_tokens.hpp"

#include "process/chat_attempts.hpp"

#include <optional>
#include <utility>

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
    // Most servers refuse a conversation without messages.
    if (!core.counts_nothing() && !request.messages.empty()) {
        encoded = core.chat().encode_count(request);
    }
    if (!encoded) {
        co_return core.estimate_tokens();
    }
    try {
        co_return co_await core.chat().fetch(
            call.context(),
            call.retry(),
            std::move(*encoded),
            &Codec::decode_count_tokens,
            note
        );
    } catch (const LLMError& error) {
        if (!has_no_counting(core.settings().endpoint, error.diagnostics().status)) {
            throw;
        }
    }
    core.remember_counts_nothing();
    note = core.chat().describe(request);
    co_return core.estimate_tokens();
}

}  // namespace llmproc
