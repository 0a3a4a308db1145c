/// @file
/// The whole interface but <llmproc/json.hpp>, <llmproc/provider.hpp> and <llmproc/testing/...>.
#pragma once

#include <llmproc/event_loop.hpp>
#include <llmproc/process.hpp>
#include <llmproc/stats.hpp>
#include <llmproc/stream.hpp>
#include <llmproc/sync.hpp>
