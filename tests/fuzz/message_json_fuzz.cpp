// Messages as JSON text, whatever the text: an error or messages that are written and read again
// without loss, and that every protocol sends as JSON or refuses.
#include <llmproc/error.hpp>
#include <llmproc/json.hpp>
#include <llmproc/message.hpp>
#include <llmproc/provider.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check_message(const std::string& text) {
    try {
        const llmproc::Message message = llmproc::Message::from_json(text);
        const std::string written = message.to_json();
        const llmproc::Message again = llmproc::Message::from_json(written);
        require(again.to_json() == written);
        require(again.text() == message.text());
    } catch (const llmproc::LLMError& error) {
        require(error.errc() == llmproc::Errc::invalid_json);
    }
}

bool is_json(const std::string& text) {
    try {
        static_cast<void>(llmproc::parse_json(text));
        return true;
    } catch (const llmproc::LLMError&) {
        return false;
    }
}

void check_requests(const llmproc::History& history) {
    llmproc::Endpoint endpoint;
    endpoint.base_url = "https://host.example/v1";
    endpoint.model = "m";
    const llmproc::ChatRequest request(history);
    for (const char* name : {"anthropic", "gemini", "openai_chat", "openai_responses"}) {
        llmproc::EncodeCache cache;
        const llmproc::Codec& codec = *llmproc::find_codec(name);
        std::string body;
        try {
            body = codec.encode(request, endpoint, true, cache).body;
        } catch (const llmproc::LLMError& error) {
            require(
                error.errc() == llmproc::Errc::invalid_argument ||
                error.errc() == llmproc::Errc::not_supported
            );
            continue;
        }
        require(is_json(body));
        require(codec.encode(request, endpoint, true, cache).body == body);
    }
}

void check_history(const std::string& text) {
    try {
        const llmproc::History history = llmproc::history_from_json(text);
        const std::string written = llmproc::to_json(history);
        require(llmproc::to_json(llmproc::history_from_json(written)) == written);
        check_requests(history);
    } catch (const llmproc::LLMError& error) {
        require(error.errc() == llmproc::Errc::invalid_json);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    check_message(text);
    check_history(text);
    return 0;
}
