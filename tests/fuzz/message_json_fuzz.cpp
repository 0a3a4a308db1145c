// Messages as JSON text, whatever the text: an error or messages that are written and read again
// without loss.
#include <llmproc/error.hpp>
#include <llmproc/message.hpp>

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

void check_history(const std::string& text) {
    try {
        const std::string written = llmproc::to_json(llmproc::history_from_json(text));
        require(llmproc::to_json(llmproc::history_from_json(written)) == written);
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
