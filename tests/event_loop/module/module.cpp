// F40: a module with llmproc inside, for a program that knows nothing of it.
#include <llmproc/sync.hpp>

#include <cstdio>
#include <exception>
#include <optional>

namespace {

/// Still open when the module is closed.
std::optional<llmproc::SyncLLMProcess> left_open;

}  // namespace

/// Runs a process of the program text and closes it, unless it is to be left open. 0 = success.
extern "C" __attribute__((visibility("default"))) int module_run(const char* text, int leave_open) {
    try {
        const llmproc::LLMProgram program =
            llmproc::LLMProgram::from_toml_string(text, "module.toml");
        llmproc::SyncLLMProcess process = program.start_sync();
        const bool good = process.run("hi").text() == "You said: hi";
        if (leave_open != 0) {
            left_open.emplace(std::move(process));
        } else {
            process.close();
        }
        return good ? 0 : 1;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
