/// @file
/// Finds the JSON in what a model wrote.
#pragma once

#include <string_view>
#include <vector>

namespace llmproc {

/// The JSON objects in the text, outermost ones, in order: also behind other words and within a
/// code block. An object that is not complete or not correct is the last, and goes to the end of
/// the text. Without any object: all of the text.
/// Lifetime: they are parts of `text`.
std::vector<std::string_view> json_objects_in(std::string_view text);

}  // namespace llmproc
