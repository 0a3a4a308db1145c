/// @file
/// The table of providers that the library brings.
#pragma once

#include <llmproc/provider.hpp>

#include <string_view>
#include <vector>

namespace llmproc::providers {

/// All rows, sorted by name.
const std::vector<ProviderProfile>& own_profiles();
/// The row of that name or other spelling, or nullptr.
const ProviderProfile* find_own_profile(std::string_view name) noexcept;

}  // namespace llmproc::providers
