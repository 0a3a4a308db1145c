// Whatever the bytes: a typed error or values, and both ways of reading agree on what is valid.
#include <llmproc/error.hpp>
#include "core/json_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

void read_value(llmproc::JsonReader& reader, std::string& scratch) {
    switch (reader.peek()) {
        case llmproc::JsonKind::object: {
            reader.begin_object();
            std::string_view key;
            while (reader.next_key(key)) {
                read_value(reader, scratch);
            }
            return;
        }
        case llmproc::JsonKind::array:
            reader.begin_array();
            while (reader.next_element()) {
                read_value(reader, scratch);
            }
            return;
        case llmproc::JsonKind::string: reader.string_view_or_buffer(scratch); return;
        // A number beyond double is valid JSON that number() refuses, so only its text is taken.
        case llmproc::JsonKind::number: reader.raw(); return;
        case llmproc::JsonKind::boolean: reader.boolean(); return;
        case llmproc::JsonKind::null: reader.null(); return;
    }
}

bool reads(std::string_view text) {
    try {
        llmproc::JsonReader reader(text);
        std::string scratch;
        read_value(reader, scratch);
        reader.finish();
        return true;
    } catch (const llmproc::LLMError&) {
        return false;
    }
}

bool skips(std::string_view text) {
    try {
        llmproc::JsonReader reader(text);
        reader.skip();
        reader.finish();
        return true;
    } catch (const llmproc::LLMError&) {
        return false;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    if (reads(text) != skips(text)) {
        std::abort();
    }
    return 0;
}
