#include <llmproc/run_result.hpp>

#include <utility>

namespace llmproc {

RunResult::RunResult(ChatReply reply, RunRecord record)
    : reply_(std::move(reply)),
      text_(reply_.message.text()),
      tool_calls_(reply_.message.tool_calls()),
      record_(std::move(record)) {}

}  // namespace llmproc
