#pragma once

#include <llmproc/event_loop.hpp>
