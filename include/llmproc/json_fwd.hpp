/// @file
/// The JSON type of the interface, declared only; include <llmproc/json.hpp> to use it.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace llmproc {

using Json = nlohmann::json;

}  // namespace llmproc
