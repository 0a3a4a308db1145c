/// @file
/// How many tokens a conversation would be now: the provider's own count, else an estimate.
#pragma once

#include <llmproc/error.hpp>
#include <llmproc/usage.hpp>
#include "process/process_core.hpp"

#include <boost/asio/awaitable.hpp>

namespace llmproc {

/// Counts with system prompt, tools and history. That a server cannot count is remembered.
boost::asio::awaitable<TokenCount> count_conversation(ActiveCall& call, Diagnostics& note);

}  // namespace llmproc
