/// @file
/// The keys of `[model]` that only some providers have: versions, deployments, places.
#pragma once

#include <llmproc/error.hpp>
#include "program/program_schema.hpp"

#include <functional>
#include <string>

namespace llmproc {

/// The place of a key, or of the table it is missing from.
using PlaceOf = std::function<ConfigPlace(const std::string& key)>;

/// Checks them against the provider, which is known, and takes them over.
/// Throws ConfigError for one that is missing, has no use, or has a value that cannot be.
void check_hosting(ProgramDraft& draft, const PlaceOf& place_of);

/// The address to use where `model.base_url` names none; empty = it must be named.
/// Precondition: check_hosting.
std::string default_base_url(const ProgramSettings& settings);

/// Completes `settings.base_url` by what comes before every path of the provider's, and chooses the
/// protocol. Throws ConfigError where the address and model.api_version contradict each other.
void complete_address(ProgramSettings& settings, const PlaceOf& place_of);

/// The quirks of the server at the address: one that only calls itself the vendor's knows none of
/// the vendor's latest fields.
const ProviderQuirks& quirks_of(const ProgramSettings& settings);

}  // namespace llmproc
