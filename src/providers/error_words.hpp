/// @file
/// The words of all vendors' errors, and what they mean.
#pragma once

#include <llmproc/error.hpp>

#include <optional>
#include <string_view>

namespace llmproc::providers {

/// Meaning of a code or type that says more than the status does.
std::optional<Errc> decisive_code(std::string_view word);
/// Meaning of a code or type in an error that came after HTTP 200.
std::optional<Errc> code_without_status(std::string_view word);
/// Meaning of a status that is not 2xx.
Errc code_of_status(int status);
/// Whether a message says that the conversation is too long; several servers have no code for it.
bool names_context_length(std::string_view message);

}  // namespace llmproc::providers
