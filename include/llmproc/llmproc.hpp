/// @file
/// The whole interface but <llmproc/json.hpp>, <llmproc/provider.hpp> and <llmproc/testing/...>.
#pragma once

#include <llmproc/event_loop.hpp>
#include <llmproc/executor.hpp>
#include <llmproc/process.hpp>
#include <llmproc/queue.hpp>
#include <llmproc/run_main.hpp>
#include <llmproc/run_sync.hpp>
#include <llmproc/stats.hpp>
#include <llmproc/stream.hpp>
#include <llmproc/structured.hpp>
#include <llmproc/sync.hpp>
#include <llmproc/task.hpp>
#include <llmproc/task_group.hpp>
#include <llmproc/typed.hpp>
