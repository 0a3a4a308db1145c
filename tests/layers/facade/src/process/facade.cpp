#include <llmproc/llmproc.hpp>
