/// @file
/// What a process is started from.
#pragma once

#include <llmproc/asio_fwd.hpp>
#include <llmproc/export.hpp>
#include <llmproc/sync_process.hpp>
#include <llmproc/token_provider.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace llmproc {

class AsyncLLMProcess;
class Observer;
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

    /// A copy whose processes report what their calls do to `observer`; null = to nobody.
    /// Lifetime: its processes keep the observer alive.
    [[nodiscard]] LLMProgram with_observer(std::shared_ptr<Observer> observer) const;
    /// A copy that asks `ask` for the passphrase of an encrypted client key; the variable of
    /// `connection.client_key_passphrase_env` is then not read. Asked on the thread that starts the
    /// first process; further ones share the key while its file stays the same. What `ask` throws
    /// leaves `start()`. Throws LLMError: invalid_argument (an empty function).
    /// Thread safety: `ask` may be called by several threads if they start processes.
    [[nodiscard]] LLMProgram with_client_key_passphrase(std::function<std::string()> ask) const;
    /// A copy whose requests carry `authorization: Bearer` with a token of `provider`: a function, a
    /// coroutine function, or a TokenProvider with settings. No key is read then, and none is sent.
    /// An answer 401 drops the token and is asked for once more with a new one. Throws LLMError:
    /// invalid_argument (an empty function).
    [[nodiscard]] LLMProgram with_token_provider(TokenProvider provider) const;

    /// Starts a process on the executor of the awaiting coroutine.
    /// Throws ConfigError: missing_api_key, invalid_config (a certificate, key, passphrase or proxy
    /// that cannot be used).
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
