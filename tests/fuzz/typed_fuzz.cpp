// Whatever the bytes: a typed error or a value, whose own JSON reads back as the same value; as an
// answer too. The first byte chooses the type.
#include <llmproc/error.hpp>
#include <llmproc/typed.hpp>
#include "../support/described_types.hpp"
#include "core/typed_json.hpp"
#include "process/answer_json.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace llmproc::testing;

template <typename T>
void check(std::string_view text) {
    std::string written;
    try {
        written = llmproc::to_json(llmproc::from_json<T>(text));
    } catch (const llmproc::LLMError& error) {
        if (error.errc() != llmproc::Errc::invalid_json) {
            std::abort();
        }
        return;
    }
    if (llmproc::to_json(llmproc::from_json<T>(written)) != written) {
        std::abort();
    }
}

template <typename T>
void check_answer(std::string_view text) {
    for (const std::string_view json : llmproc::json_objects_in(text)) {
        if (json.data() < text.data() || json.data() + json.size() > text.data() + text.size()) {
            std::abort();
        }
        try {
            T value{};
            llmproc::detail::read_answer(llmproc::detail::node_of<T>(), &value, json);
        } catch (const llmproc::LLMError& error) {
            if (error.errc() != llmproc::Errc::invalid_json) {
                std::abort();
            }
        }
    }
}

template <typename T>
void check_both(std::string_view text) {
    check<T>(text);
    check_answer<T>(text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string input(data, data + size);
    const std::string_view text = std::string_view(input).substr(1);
    switch (input.front()) {
        case 'w': check_both<Weather>(text); break;
        case 'n': check_both<Numbers>(text); break;
        case 'c': check_both<Containers>(text); break;
        case 't': check_both<Tree>(text); break;
        case 'b': check_both<Left>(text); break;
        case 's': check_both<std::vector<std::optional<Shape>>>(text); break;
        default: check_both<Level>(text); break;
    }
    return 0;
}
