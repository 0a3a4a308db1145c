/// @file
/// How a model's answer becomes a value: asked for by a schema, read, asked for once more.
#pragma once

#include <llmproc/chat.hpp>
#include <llmproc/detail/type_node.hpp>
#include <llmproc/error.hpp>
#include <llmproc/run_options.hpp>
#include <llmproc/run_result.hpp>
#include <llmproc/typed_result.hpp>
#include "process/spending.hpp"

#include <memory>
#include <string>

namespace llmproc {

/// The rules of one typed run; it never waits.
class TypedRun {
public:
    TypedRun(detail::AnswerType type, const RunOptions& options) noexcept
        : type_(type),
          reasks_(options.reasks()) {}

    /// Makes `request` ask for JSON of the type.
    void prepare(ChatRequest& request) const;
    /// Reads an answer to `request`; `spent` is the run's, with this answer. False: it was invalid,
    /// and `request` now asks for another.
    /// Throws LLMError{invalid_answer}, with the answer's text, once nothing more may be asked; of
    /// answers that are cut off, refused, or wait for tools, at once.
    bool accepts(const ChatReply& reply, const SpendingTotals& spent, ChatRequest& request);
    /// Precondition: an answer was accepted; called once.
    detail::TypedAnswer finish(RunResult result);

private:
    /// What is wrong with the answer; empty = it is read.
    std::string read(const std::string& text);
    [[noreturn]] void fail(
        const std::string& problem,
        const ChatReply& reply,
        const SpendingTotals& spent
    ) const;

    detail::AnswerType type_;
    int reasks_;
    std::shared_ptr<void> value_;
};

}  // namespace llmproc
