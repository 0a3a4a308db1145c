/// @file
/// The library's version, by semantic versioning.
#pragma once

#define LLMPROC_VERSION_MAJOR 0
#define LLMPROC_VERSION_MINOR 1
#define LLMPROC_VERSION_PATCH 0
#define LLMPROC_VERSION "0.1.0"
