/// @file
/// Marks what a shared build exports; everything else stays hidden.
#pragma once

#if defined(_WIN32)
#if defined(LLMPROC_SHARED_BUILD)
#define LLMPROC_API __declspec(dllexport)
#elif defined(LLMPROC_SHARED)
#define LLMPROC_API __declspec(dllimport)
#else
#define LLMPROC_API
#endif
#else
#define LLMPROC_API __attribute__((visibility("default")))
#endif
