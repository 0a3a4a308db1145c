#include <llmproc/run_result.hpp>

#include <utility>

namespace llmproc {

RunResult::RunResult(ChatReply reply, int attempts, std::chrono::milliseconds duration)
    : reply_(std::move(reply)),
      text_(reply_.message.text()),
      tool_calls_(reply_.message.tool_calls()),
      api_calls_(1),
      attempts_(attempts),
      duration_(duration) {}

}  // namespace llmproc
