/// @file
/// What a process is started from.
#pragma once

#include <llmproc/asio_fwd.hpp>
#include <llmproc/export.hpp>
#include <llmproc/sync_process.hpp>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace llmproc {

class AsyncLLMProcess;
struct ProgramSettings;

/// A static configuration: model, prompt, parameters, connection. Immutable, cheap to copy; owns
/// no loop and no connection. Any number of processes may be started from one program.
///
/// Thread safety: all members from any thread.
class LLMPROC_API LLMProgram {
public:
    /// Loads a program file; docs/program_file.md lists its keys. Relative paths in it are
    /// relative to the file. Throws ConfigError with file, line, column, key and remedy.
    static LLMProgram from_toml(const std::filesystem::path& path);
    /// The same from text. `name` stands for the file in errors; relative paths in it are relative
    /// to the working directory.
    static LLMProgram from_toml_string(std::string_view text, std::string name = "<string>");

    /// Starts a process on the executor of the awaiting coroutine.
    /// Throws ConfigError: missing_api_key, invalid_config (a CA file that cannot be used).
    [[nodiscard]] boost::asio::awaitable<AsyncLLMProcess, boost::asio::any_io_executor> start(
    ) const;
    /// Starts a process on `executor`. Throws as `start()`.
    [[nodiscard]] AsyncLLMProcess start(const boost::asio::any_io_executor& executor) const;
    /// Starts a process with a private loop on a background thread.
    /// Throws as `start()`, and LLMError{limit_reached} when the system refuses a thread.
    [[nodiscard]] SyncLLMProcess start_sync(SyncOptions options = SyncOptions()) const;

    /// `prompt.user` of the program file; empty if there is none. It is not run by itself.
    const std::string& user_prompt() const noexcept;
    /// The system prompt.
    const std::string& system_prompt() const noexcept;
    const std::string& model() const noexcept;
    /// Name of the provider's row in the profile table.
    const std::string& provider() const noexcept;
    /// The address that requests go to.
    const std::string& base_url() const noexcept;

private:
    explicit LLMProgram(std::shared_ptr<const ProgramSettings> settings) noexcept;
    std::shared_ptr<const ProgramSettings> settings_;
};

}  // namespace llmproc
