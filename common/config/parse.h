// SPDX-License-Identifier: AGPL-3.0-only
// Internal to common/config: applies one TOML text to a Config, so that the setter can check a text before it is put in place.
#ifndef AUSPEX_COMMON_CONFIG_PARSE_H_
#define AUSPEX_COMMON_CONFIG_PARSE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/config/config.h"

namespace auspex::config_internal {

// Largest configuration file, in octets.
inline constexpr size_t kMaxConfigOctets = 256 * 1024;

// Overwrites the members of `config` that `text` sets. Errors name `file`, the line and the key.
absl::Status ApplyToml(std::string_view text, const std::string& file, Config& config);

}  // namespace auspex::config_internal

#endif  // AUSPEX_COMMON_CONFIG_PARSE_H_
