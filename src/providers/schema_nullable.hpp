/// @file
/// Small steps of rewriting schemas.
#pragma once

#include "providers/json_tree.hpp"

#include <string>

namespace llmproc::providers {

/// Lets null be a value of the schema.
void make_nullable(JsonTree& schema);

/// The type that the other members imply; empty if they do not.
std::string implied_type(const JsonTree& schema);

}  // namespace llmproc::providers
