/// @file
/// The table of providers that the library brings.
#pragma once

#include <llmproc/provider.hpp>
#include "wire/url.hpp"

#include <string_view>
#include <vector>

namespace llmproc::providers {

/// All rows, sorted by name.
const std::vector<ProviderProfile>& own_profiles();
/// The row of that name or other spelling, or nullptr.
const ProviderProfile* find_own_profile(std::string_view name) noexcept;
/// Whether `url` is an address of the vendor itself, regional ones included. An address that the
/// profile does not name is another's, but Google Cloud's.
bool is_vendors_own(const wire::Url& url, const ProviderProfile& profile);

}  // namespace llmproc::providers
