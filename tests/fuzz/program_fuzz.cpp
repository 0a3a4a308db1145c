// A program file, whatever the text: settings, or an error that names a place in the file.
#include <llmproc/error.hpp>
#include "program/program_file.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string text(data, data + size);
    try {
        static_cast<void>(llmproc::read_program(text, "fuzz.toml", "/no/such/folder"));
    } catch (const llmproc::ConfigError& error) {
        if (error.file() != "fuzz.toml" || error.line() == 0 || error.column() == 0) {
            std::abort();
        }
    }
    return 0;
}
