/// @file
/// One set of calls for both kinds of process, and texts of all they show, for comparing.
#pragma once

#include <llmproc/llmproc.hpp>
#include <llmproc/testing/scripted_server.hpp>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace llmproc::testing {

/// A process of either kind; every call blocks.
class Subject {
public:
    Subject() = default;
    Subject(const Subject&) = delete;
    Subject& operator=(const Subject&) = delete;
    virtual ~Subject() = default;

    /// Without options, the overload that takes none is called.
    virtual RunResult run(std::string prompt, const std::optional<RunOptions>& options) = 0;
    virtual RunResult run(Message message, const std::optional<RunOptions>& options) = 0;
    virtual std::string run_as(std::string prompt, const std::optional<RunOptions>& options) = 0;
    virtual TypedResult<std::string> run_typed(
        Message message,
        const std::optional<RunOptions>& options
    ) = 0;
    /// Reads to the end; `text` has every event also when it throws.
    virtual void read_stream(
        std::string prompt,
        const std::optional<RunOptions>& options,
        std::string& text
    ) = 0;
    virtual RunResult stream_result(Message message, const std::optional<RunOptions>& options) = 0;
    virtual ChatReply complete(ChatRequest request, const std::optional<RunOptions>& options) = 0;
    virtual TokenCount count_tokens(const std::optional<RunOptions>& options) = 0;
    virtual Embeddings embed(
        std::vector<std::string> texts,
        const std::optional<RunOptions>& options
    ) = 0;
    virtual Embeddings embed(EmbedRequest request, const std::optional<RunOptions>& options) = 0;
    virtual std::vector<std::string> list_models(const std::optional<RunOptions>& options) = 0;
    virtual void reset() = 0;
    virtual void close() = 0;
    virtual History messages() = 0;
    virtual ProcessStats stats() = 0;
};

std::unique_ptr<Subject> sync_subject(const LLMProgram& program);
std::unique_ptr<Subject> async_subject(const LLMProgram& program);

/// All fields but times.
std::string describe(const RunResult& result);
std::string describe(const TypedResult<std::string>& typed);
std::string describe(const ChatReply& reply);
std::string describe(const TokenCount& count);
std::string describe(const Embeddings& embeddings);
std::string describe(const std::vector<std::string>& names);
std::string describe(const StreamEvent& event);
std::string describe(const ProcessStats& stats);
/// Method, target, body and place on its connection.
std::string describe(const RecordedRequest& request);
/// Dynamic type, code, `what()` and all diagnostics.
std::string describe(const std::exception_ptr& error);

}  // namespace llmproc::testing
