/// @file
/// The providers' own words for errors, and what they mean here.
#pragma once

#include <llmproc/error.hpp>
#include "providers/openai_errors.hpp"

#include <optional>

namespace llmproc::providers {

/// The code that an error's words mean whatever the HTTP status is; none = the status decides.
std::optional<Errc> decisive_code(const ProviderError& error);

/// The code of an error after HTTP 200, where there is no status to go by.
std::optional<Errc> code_without_status(const ProviderError& error);

}  // namespace llmproc::providers
